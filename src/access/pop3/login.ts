/** USER and PASS, APOP, and AUTH with SASL. RFC 1939 section 7, RFC 5034. */
import { pop3Limits } from '../../../core/base/limits/access.ts';
import { decodeBase64 } from '../../../core/net/sasl.ts';
import { Pop3Refusal } from './refusal.ts';
import type { Pop3Session } from './session.ts';
import { multiline } from './text.ts';

/** Whoever it is, the answer is the same: it must not tell who exists. */
export function user(session: Pop3Session, words: readonly string[]): void {
  if (!session.login.allowed) throw new Pop3Refusal('authentication needs TLS here', 'SYS/PERM');
  const name = words.join(' ');
  if (name === '') throw new Pop3Refusal('a name was expected');
  session.name = name;
  session.ok('send PASS');
}

/** A password may have spaces in it. */
export async function pass(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { name } = session;
  if (name === undefined) throw new Pop3Refusal('send USER first');
  session.name = undefined;
  await session.entered(await session.login.password('USER', name, words.join(' ')));
}

/** The name may have spaces, the digest is the last word. */
export async function apop(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { login, timestamp } = session;
  if (timestamp === undefined) throw new Pop3Refusal('APOP is not offered here');
  const name = words.slice(0, -1).join(' ');
  if (name === '') throw new Pop3Refusal('a name and a digest were expected');
  await session.entered(await login.apop(name, timestamp, words.at(-1)!));
}

export async function auth(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { login, wire } = session;
  const [mechanism, initial] = words;
  // RFC 5034 section 4 has CAPA for it; older clients ask so.
  if (mechanism === undefined || mechanism === '') {
    session.ok('these');
    wire.write(multiline(Buffer.from(login.mechanisms.map((each) => `${each}\r\n`).join(''))));
    return;
  }
  const response =
    initial === undefined ? undefined : initial === '=' ? Buffer.alloc(0) : decodeBase64(initial);
  if (initial !== undefined && !response) throw new Pop3Refusal('base64 was expected');
  const outcome = await login.authenticate(mechanism, response, async (challenge) => {
    wire.write(`+ ${challenge.toString('base64')}\r\n`);
    const line = (await wire.line(pop3Limits.lineOctetsMax)).toString('latin1');
    return line === '*' ? 'cancel' : decodeBase64(line);
  });
  await session.entered(outcome);
}
