/** All commands of POP3 by name. RFC 1939, RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH), RFC 6856 (UTF8). */
import { apop, auth, pass, user } from './login.ts';
import { dele, list, noop, quit, retr, rset, stat, top, uidl } from './mail.ts';
import { Pop3Refusal } from './refusal.ts';
import type { Pop3Session } from './session.ts';
import { multiline } from './text.ts';

export interface Pop3Command {
  readonly in: 'any' | 'authorization' | 'transaction';
  /** Writes its own answer. @throws Pop3Refusal, MailboxError */
  run(session: Pop3Session, words: readonly string[]): void | Promise<void>;
}

export const pop3Commands: ReadonlyMap<string, Pop3Command> = new Map<string, Pop3Command>([
  ['CAPA', { in: 'any', run: tellCapabilities }],
  ['STLS', { in: 'authorization', run: startTls }],
  ['UTF8', { in: 'authorization', run: utf8 }],
  ['USER', { in: 'authorization', run: user }],
  ['PASS', { in: 'authorization', run: pass }],
  ['APOP', { in: 'authorization', run: apop }],
  ['AUTH', { in: 'authorization', run: auth }],
  ['STAT', { in: 'transaction', run: stat }],
  ['LIST', { in: 'transaction', run: list }],
  ['RETR', { in: 'transaction', run: retr }],
  ['TOP', { in: 'transaction', run: top }],
  ['UIDL', { in: 'transaction', run: uidl }],
  ['DELE', { in: 'transaction', run: dele }],
  ['RSET', { in: 'transaction', run: rset }],
  ['NOOP', { in: 'transaction', run: noop }],
  ['QUIT', { in: 'any', run: quit }],
]);

/** RFC 2449 section 5: what is told works now. */
function tellCapabilities(session: Pop3Session): void {
  const { login, isLoggedIn, wire } = session;
  const lines = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER', 'UTF8 USER'];
  if (!isLoggedIn && mayStartTls(session)) lines.push('STLS');
  if (login.allowed) lines.push('USER');
  if (login.mechanisms.length > 0) lines.push(`SASL ${login.mechanisms.join(' ')}`);
  session.ok('what works here');
  wire.write(multiline(Buffer.from(`${lines.join('\r\n')}\r\nIMPLEMENTATION mailfilter\r\n`)));
}

function mayStartTls({ wire, house, listener }: Pop3Session): boolean {
  return !wire.tls && house.tls !== undefined && listener.tls === 'starttls';
}

/** RFC 2595 section 4. */
async function startTls(session: Pop3Session): Promise<void> {
  if (!mayStartTls(session)) throw new Pop3Refusal('TLS cannot begin here');
  session.ok('begin TLS now');
  // What was said in clear counts no more.
  session.name = undefined;
  await session.wire.startTls(session.house.tls!);
}

/** RFC 6856 section 2: messages are sent as they are in any case, and names may be UTF-8. */
function utf8(session: Pop3Session): void {
  session.ok('UTF-8 it is');
}
