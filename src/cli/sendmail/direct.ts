/** Sending without a server: each message goes to its relay at once, and what cannot go now is kept for `sendmail -q`. */
import { userInfo } from 'node:os';
import type { Config } from '../../../core/config/config.ts';
import type { DropEnvelope } from '../../maildrop/drop.ts';
import { exitCodes } from '../exit-codes.ts';
import { attempt, tell } from './attempt.ts';
import { keep } from './kept.ts';

/** Answers an exit code by sysexits.h; tells what was refused. */
export async function sendDirectly(config: Config, given: DropEnvelope, message: Buffer): Promise<number> {
  const envelope = completed(config, given);
  const outcomes = await attempt(config, envelope, message);
  tell(outcomes.filter(({ outcome }) => outcome === 'failed'));
  const deferred = outcomes.filter(({ outcome }) => outcome === 'deferred');
  if (deferred.length > 0) {
    const recipients = deferred.map(({ address }) => address);
    if (!(await keep(config, { ...envelope, recipients }, message))) {
      tell(deferred);
      return exitCodes.tempFail;
    }
  }
  return outcomes.some(({ outcome }) => outcome === 'failed') ? exitCodes.unavailable : exitCodes.ok;
}

/** Names without a domain are of this host; who names no sender is the one who calls. */
function completed(config: Config, envelope: DropEnvelope): DropEnvelope {
  const domain = config.domains[0] ?? config.hostname;
  const complete = (address: string) =>
    address === '' || address.includes('@') ? address : `${address}@${domain}`;
  return {
    ...envelope,
    sender: complete(envelope.sender ?? userInfo().username),
    recipients: envelope.recipients.map(complete),
  };
}
