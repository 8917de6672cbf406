/** Where a filter's mail lies: a Maildir, or a file in mbox format; on disk when it returns, and taken back when it fails. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { writeAllSync } from '../../../core/base/write-all.ts';
import type { Step } from '../../../rules/maildrop/steps.ts';
import { lockMbox } from '../../mailbox/mbox-lock.ts';
import { openMbox } from '../../mailbox/open-mbox.ts';
import { asctime } from '../asctime.ts';

type Store = Extract<Step, { type: 'store' }>;

/** @returns octets of the mail as it was stored  @throws system errors; the mailbox is as before then */
export async function storeMail(store: Store): Promise<number> {
  const umask = process.umask(store.umask);
  try {
    return isMaildir(store.path) ? storeInMaildir(store) : await append(store);
  } finally {
    process.umask(umask);
  }
}

function isMaildir(path: string): boolean {
  return ['new', 'cur', 'tmp'].every((part) => isFolder(join(path, part)));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function append(store: Store): Promise<number> {
  const { path } = store;
  const text = quoteFrom(store.input);
  const octets = [
    Buffer.from(`From ${store.sender} ${asctime(new Date())}\n`, 'latin1'),
    text,
    Buffer.from('\n'),
  ];
  const before = statSync(path, { throwIfNoEntry: false });
  // A device has neither an end nor anybody to wait for.
  if (before !== undefined && !before.isFile()) writeTo(path, octets);
  else await appendLocked(path, octets);
  return text.length;
}

function writeTo(path: string, octets: readonly Uint8Array[]): void {
  const fd = openSync(path, 'r+');
  try {
    writeAllSync(fd, octets);
  } finally {
    closeSync(fd);
  }
}

async function appendLocked(path: string, octets: readonly Uint8Array[]): Promise<void> {
  // UMASK decides who may read a new one.
  closeSync(openMbox(path, 0o666));
  const lock = await lockMbox(path);
  try {
    const { size } = fstatSync(lock.fd);
    try {
      writeAllSync(lock.fd, octets, size);
      fsyncSync(lock.fd);
    } catch (error) {
      ftruncateSync(lock.fd, size);
      throw error;
    }
    syncDirectory(dirname(path));
  } finally {
    lock.release();
  }
}

/** Each line that would read as a From_ line, or as a quoted one, gets one more `>`. */
function quoteFrom(input: Uint8Array): Buffer {
  const text = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  if (!text.includes('From ')) return text;
  return Buffer.from(text.toString('latin1').replace(/(^|\n)(?=>*From )/g, '$1>'), 'latin1');
}

let deliveries = 0;

/** https://cr.yp.to/proto/maildir.html, with the size as Maildir++ has it. */
function storeInMaildir({ path, input, size, flags, keywords }: Store): number {
  const [seconds, micros] = [Math.floor(Date.now() / 1000), process.hrtime.bigint() % 1_000_000n];
  const host = hostname().replaceAll('/', '\\057').replaceAll(':', '\\072');
  const name = `${seconds}.M${micros}P${process.pid}_${deliveries++}.${host},S=${size}`;
  const tmp = join(path, 'tmp', name);
  const target = flags === '' ? join(path, 'new', name) : join(path, 'cur', `${name}:2,${flags}`);
  const fd = openSync(tmp, 'wx', 0o666);
  try {
    writeAllSync(fd, [input]);
    fsyncSync(fd);
    if (keywords.length > 0) noteKeywords(path, name, keywords);
    renameSync(tmp, target);
  } catch (error) {
    rmSync(tmp, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  syncDirectory(dirname(target));
  return input.length;
}

/** As Courier's IMAP server keeps them: a file of the mail's name, a keyword a line. */
function noteKeywords(path: string, name: string, keywords: readonly string[]): void {
  const folder = join(path, 'courierimapkeywords');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, name), keywords.map((keyword) => `${keyword}\n`).join(''), { mode: 0o600 });
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
