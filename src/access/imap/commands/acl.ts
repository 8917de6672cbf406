/** SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS. RFC 4314. */
import { command } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';
import { bad, no } from '../refusal.ts';
import type { Session } from '../session.ts';
import { astringText, octetsOf } from '../write/text.ts';
import { ownerRights } from './list.ts';

function mailboxOnly(input: Cursor): string {
  input.space();
  return input.mailbox();
}

function mailboxAndIdentifier(input: Cursor) {
  const mailbox = mailboxOnly(input);
  input.space();
  return { mailbox, identifier: input.text().toLowerCase() };
}

export const getacl = command({
  name: 'GETACL',
  in: 'authenticated',
  parse: mailboxOnly,
  async run(session, mailbox) {
    const folder = session.folderName(mailbox);
    const rights = await session.account.acl(folder);
    const told = [[session.user.address, ownerRights] as const, ...rights].map(
      ([identifier, each]) => `${astringText(octetsOf(identifier))} ${each}`,
    );
    session.untagged(`ACL ${session.mailboxText(folder)} ${told.join(' ')}`);
  },
});

export const setacl = command({
  name: 'SETACL',
  in: 'authenticated',
  parse(input) {
    const place = mailboxAndIdentifier(input);
    input.space();
    const written = input.astring();
    const how = written.startsWith('+') ? 'add' : written.startsWith('-') ? 'remove' : 'replace';
    return { ...place, how, rights: readRights(how === 'replace' ? written : written.slice(1)) };
  },
  async run(session, { mailbox, identifier, how, rights }) {
    const folder = session.folderName(mailbox);
    checkIdentifier(session, identifier);
    const before = (await session.account.acl(folder)).get(identifier) ?? '';
    const kept = how === 'replace' ? '' : how === 'add' ? before : without(before, rights);
    const next = ordered(how === 'remove' ? kept : kept + rights);
    await session.account.setAcl(folder, identifier, next === '' ? undefined : next);
  },
});

export const deleteacl = command({
  name: 'DELETEACL',
  in: 'authenticated',
  parse: mailboxAndIdentifier,
  async run(session, { mailbox, identifier }) {
    checkIdentifier(session, identifier);
    await session.account.setAcl(session.folderName(mailbox), identifier, undefined);
  },
});

export const listrights = command({
  name: 'LISTRIGHTS',
  in: 'authenticated',
  parse: mailboxAndIdentifier,
  async run(session, { mailbox, identifier }) {
    const folder = session.folderName(mailbox);
    await session.account.acl(folder);
    // The owner has all of them always; anybody else any of them, one by one.
    const rights =
      identifier === session.user.address ? ownerRights : `"" ${ownerRights.split('').join(' ')}`;
    session.untagged(
      `LISTRIGHTS ${session.mailboxText(folder)} ${astringText(octetsOf(identifier))} ${rights}`,
    );
  },
});

export const myrights = command({
  name: 'MYRIGHTS',
  in: 'authenticated',
  parse: mailboxOnly,
  async run(session, mailbox) {
    const folder = session.folderName(mailbox);
    await session.account.acl(folder);
    session.untagged(`MYRIGHTS ${session.mailboxText(folder)} ${ownerRights}`);
  },
});

/** RFC 4314 section 2.1.1: c and d stand for what they were in RFC 2086. */
function readRights(written: string): string {
  let rights = '';
  for (const right of written) {
    if (ownerRights.includes(right)) rights += right;
    else if (right === 'c') rights += 'kx';
    else if (right === 'd') rights += 'te';
    else throw bad('there is no such right');
  }
  return rights;
}

/** RFC 4314 section 3.1: an owner that locks itself out could not let itself in again. */
function checkIdentifier(session: Session, identifier: string): void {
  if (identifier === session.user.address) throw no("the owner's rights cannot be changed", 'CANNOT');
}

function without(rights: string, removed: string): string {
  return [...rights].filter((right) => !removed.includes(right)).join('');
}

function ordered(rights: string): string {
  return [...ownerRights].filter((right) => rights.includes(right)).join('');
}
