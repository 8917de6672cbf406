/** What a login comes to: the account opens, or the refusal is told. RFC 9051 section 6.2, RFC 5530. */

import { OperationalError } from '../../../core/base/errors.ts';
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { LoginOutcome, LoginRefusal } from '../login.ts';
import { capabilities } from './capabilities.ts';
import type { Done } from './command.ts';
import { Refusal } from './refusal.ts';
import type { Session } from './session.ts';

const refusals: Readonly<Record<LoginRefusal, readonly ['NO' | 'BAD', code: string | undefined]>> = {
  credentials: ['NO', 'AUTHENTICATIONFAILED'],
  cancelled: ['BAD', undefined],
  malformed: ['BAD', undefined],
  mechanism: ['NO', 'CANNOT'],
  encryption: ['NO', 'PRIVACYREQUIRED'],
  unavailable: ['NO', 'UNAVAILABLE'],
};

/** @throws Refusal */
export async function entered(session: Session, outcome: LoginOutcome): Promise<Done> {
  if (outcome.kind === 'refused') {
    if (outcome.last) session.end('too many failed logins');
    const [status, code] = refusals[outcome.reason];
    throw new Refusal(status, outcome.text, code);
  }
  try {
    await session.enter(outcome.user);
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    session.house.log.warn('mailbox-unavailable', { user: outcome.user.address, error: error.message });
    throw new Refusal('NO', 'the mailbox cannot be opened now', 'UNAVAILABLE');
  }
  session.wire.idleTimeoutMs = imapLimits.idleTimeoutMs;
  // RFC 9051 section 6.2.2: saves the client the question.
  return { code: `CAPABILITY ${capabilities(session)}`, text: 'Logged in' };
}
