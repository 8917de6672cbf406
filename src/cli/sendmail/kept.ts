/** What a null client could not send: kept in its folder, tried again by `sendmail -q`, returned to the sender when its time is over. */
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { systemClock as clock } from '../../../core/base/clock.ts';
import { describeError, errnoOf, OperationalError } from '../../../core/base/errors.ts';
import type { Config } from '../../../core/config/config.ts';
import { makeDsn } from '../../../core/mail/dsn.ts';
import type { Envelope, Recipient } from '../../../core/mail/envelope.ts';
import { memorySource } from '../../../core/mail/source.ts';
import { type DropEnvelope, narrowDrop, openDrop, writeDrop } from '../../maildrop/drop.ts';
import { exitCodes } from '../exit-codes.ts';
import { attempt, type Outcome, tell } from './attempt.ts';

/** A message that waits. */
export interface KeptMail {
  readonly path: string;
  readonly envelope: DropEnvelope;
  readonly message: Buffer;
  /** Epoch milliseconds. */
  readonly since: number;
}

/** Durable when it answers true; says why it could not be kept. @param since when the mail came; now when absent */
export async function keep(
  config: Config,
  envelope: DropEnvelope,
  message: Buffer,
  since = clock.now(),
): Promise<boolean> {
  try {
    mkdirSync(keptDirectory(config), { recursive: true, mode: 0o700 });
    await writeDrop(keptDirectory(config), { ...envelope, since }, [message]);
    return true;
  } catch (error) {
    process.stderr.write(`sendmail: ${describeError(error)}\n`);
    return false;
  }
}

/** All that waits, the oldest first; what was begun and never ended is left out. */
export async function* keptMail(config: Config): AsyncGenerator<KeptMail> {
  const directory = keptDirectory(config);
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    const drop = await openDrop(path, config.limits.messageBytesMax).catch(notTaken);
    if (drop === undefined) continue;
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of drop.read()) chunks.push(chunk);
    } finally {
      await drop.close();
    }
    // Its name begins with the time at which it was written.
    const since = drop.envelope.since ?? Number.parseInt(name, 36);
    yield { path, envelope: drop.envelope, message: Buffer.concat(chunks), since };
  }
}

/** What is no mail stays for whoever put it there, and holds up no other. */
function notTaken(error: unknown): undefined {
  if (!(error instanceof OperationalError)) throw error;
  process.stderr.write(`sendmail: ${error.message}\n`);
}

/** `sendmail -q` of a null client: each is tried once more. One such run at a time; another has nothing to do. */
export async function sendKept(config: Config): Promise<number> {
  const unlock = lock(keptDirectory(config));
  if (unlock === undefined) return exitCodes.ok;
  let code: number = exitCodes.ok;
  try {
    for await (const mail of keptMail(config)) {
      if (!(await sendAgain(config, mail))) code = exitCodes.tempFail;
    }
  } finally {
    unlock();
  }
  return code;
}

/** False when what is left of it, or a report, could not be written. Its file goes last: a crash before has some of it sent twice. */
async function sendAgain(config: Config, mail: KeptMail): Promise<boolean> {
  const { path, envelope, message, since } = mail;
  const outcomes = await attempt(config, envelope, message);
  const isOver = clock.now() - since > config.queue.expireSeconds * 1000;
  const failed = outcomes.filter(({ outcome }) => outcome === 'failed' || (outcome === 'deferred' && isOver));
  const waiting = outcomes.filter((each) => each.outcome === 'deferred' && !failed.includes(each));
  if (waiting.length === outcomes.length) return true;
  const isTold = failed.length === 0 || (await returnToSender(config, mail, failed));
  // Of whom the sender could not be told it is tried, or told, another time.
  const left = isTold ? waiting : [...waiting, ...failed];
  if (left.length === 0) rmSync(path);
  else if (left.length < outcomes.length) {
    const recipients = left.map(({ address }) => address);
    return (await keepFor(config, mail, recipients)) && isTold;
  }
  return isTold;
}

/** In a file of its own, which is whole or not there; on a full disk in the old one, lest the others get it once more. */
async function keepFor(config: Config, mail: KeptMail, recipients: readonly string[]): Promise<boolean> {
  const { path, envelope, message, since } = mail;
  if (await keep(config, { ...envelope, recipients }, message, since)) {
    rmSync(path);
    return true;
  }
  try {
    await narrowDrop(path, recipients);
    return true;
  } catch (error) {
    process.stderr.write(`sendmail: ${describeError(error)}\n`);
    return false;
  }
}

/** Whoever sent it left long ago: the report goes the way of all mail, and waits as it does. */
async function returnToSender(
  config: Config,
  { envelope, message, since }: KeptMail,
  failed: readonly Outcome[],
): Promise<boolean> {
  tell(failed);
  const { sender = '', notify = [], ret, envid } = envelope;
  const wanted = notify.length === 0 || notify.includes('failure');
  if (sender === '' || !wanted) return true;
  const returned: Envelope = {
    sender,
    recipients: [],
    body: '8bitmime',
    smtputf8: false,
    requireTls: false,
    ...(ret && { ret }),
    ...(envid !== undefined && { envid }),
  };
  const report = makeDsn({
    reportingMta: config.hostname,
    arrivedAt: since,
    now: clock.now(),
    envelope: returned,
    source: memorySource(message),
    recipients: failed.map(({ address, reply, remoteMta }) => ({
      recipient: { id: 'r1', address, original: address, notify } satisfies Recipient,
      action: 'failed' as const,
      reply,
      ...(remoteMta === undefined ? {} : { remoteMta }),
    })),
  });
  const bounce: DropEnvelope = { version: 1, sender: '', recipients: [sender] };
  const [told] = await attempt(config, bounce, Buffer.from(report));
  if (told?.outcome === 'failed') tell([told]);
  if (told?.outcome !== 'deferred') return true;
  return keep(config, bounce, Buffer.from(report));
}

function keptDirectory(config: Config): string {
  return join(config.dataDirectory, 'maildrop');
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.drop'))
      .sort();
  } catch (error) {
    // Nothing was ever kept.
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined when another process has it; it ends with the process. */
function lock(directory: string): (() => void) | undefined {
  let fd: number;
  try {
    fd = openSync(join(directory, 'lock'), 'a', 0o600);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return () => {};
    throw error;
  }
  if (tryLock(fd)) return () => closeSync(fd);
  closeSync(fd);
  return undefined;
}
