/** The commands on messages. RFC 1939 sections 5 to 7. */
import { MailboxError } from '../../mailbox/mailbox-error.ts';
import { Pop3Refusal } from './refusal.ts';
import type { Pop3Session } from './session.ts';
import { firstLines, multiline } from './text.ts';

export function stat(session: Pop3Session): void {
  session.ok(`${session.maildrop.count} ${session.maildrop.octets}`);
}

export function list(session: Pop3Session, words: readonly string[]): void {
  const { maildrop, wire } = session;
  if (words.length > 0) {
    const at = maildrop.uids.indexOf(maildrop.uidOf(words[0]));
    session.ok(`${at + 1} ${maildrop.sizes[at]}`);
    return;
  }
  session.ok(`${maildrop.count} messages`);
  let lines = '';
  for (const { number, size } of maildrop.messages()) lines += `${number} ${size}\r\n`;
  wire.write(multiline(Buffer.from(lines)));
}

/** RFC 1939 section 7: stable over sessions. */
export async function uidl(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { maildrop, wire } = session;
  const uid = words.length > 0 ? maildrop.uidOf(words[0]) : undefined;
  const ids = await maildrop.uidls();
  if (uid !== undefined) {
    const at = maildrop.uids.indexOf(uid);
    session.ok(`${at + 1} ${ids[at]}`);
    return;
  }
  session.ok('unique ids');
  let lines = '';
  for (const { number } of maildrop.messages()) lines += `${number} ${ids[number - 1]}\r\n`;
  wire.write(multiline(Buffer.from(lines)));
}

export async function retr(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { maildrop, wire } = session;
  const uid = maildrop.uidOf(words[0]);
  const octets = await maildrop.octetsOf(uid);
  maildrop.read.add(uid);
  session.ok(`${octets.length} octets`);
  wire.write(multiline(octets));
  await wire.drained();
}

/** The header and so many lines of the body. */
export async function top(session: Pop3Session, words: readonly string[]): Promise<void> {
  const { maildrop, wire } = session;
  const uid = maildrop.uidOf(words[0]);
  const lines = words[1];
  if (lines === undefined || !/^[0-9]{1,10}$/.test(lines))
    throw new Pop3Refusal('a number of lines was expected');
  const octets = await maildrop.octetsOf(uid);
  session.ok('the begin of it');
  wire.write(multiline(firstLines(octets, Number(lines))));
  await wire.drained();
}

export function dele(session: Pop3Session, words: readonly string[]): void {
  const { maildrop } = session;
  maildrop.deleted.add(maildrop.uidOf(words[0]));
  session.ok('marked');
}

export function rset(session: Pop3Session): void {
  session.maildrop.deleted.clear();
  session.ok(`${session.maildrop.count} messages`);
}

export function noop(session: Pop3Session): void {
  session.ok('still here');
}

/** RFC 1939 section 6: what cannot be removed is told; the client still has it then. */
export async function quit(session: Pop3Session): Promise<void> {
  session.isOver = true;
  if (!session.isLoggedIn) {
    session.ok('bye');
    return;
  }
  try {
    await session.update();
  } catch (error) {
    if (!(error instanceof MailboxError)) throw error;
    throw new Pop3Refusal('some deleted messages were not removed', 'SYS/TEMP');
  }
  session.ok('bye');
}
