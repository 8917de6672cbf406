/**
 * Where an rcfile's mail lies: a file in mbox format, a directory, an MH folder, a Maildir, /dev/null; named as procmail
 * names what it stores. On disk when it returns; what failed is taken back. procmailrc(5), "Recipe action line".
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';
import { errnoOf } from '../../../../core/base/errors.ts';
import { writeAllSync } from '../../../../core/base/write-all.ts';
import { openMbox } from '../../../mailbox/open-mbox.ts';

export interface Stored {
  /** As LASTFOLDER and the log name it. */
  readonly name: string;
  /** Octets written. */
  readonly length: number;
}

export interface FolderOptions {
  /** MSGPREFIX: of the names of files in a directory. */
  readonly prefix: string;
  /** Nothing is quoted. */
  readonly raw: boolean;
  readonly umask: number;
}

type FolderKind = 'nowhere' | 'mh' | 'maildir' | 'directory' | 'file';

/** @throws system errors; the folder is as before then */
export async function storeInFolders(
  folders: readonly string[],
  octets: Uint8Array,
  options: FolderOptions,
): Promise<Stored> {
  const [first = '', ...others] = folders;
  const stored = await storeIn(first, octets, options);
  if (others.length === 0 || kindOf(first) === 'file' || kindOf(first) === 'nowhere') return stored;
  const names = [stored.name, ...others.map((folder) => linkInto(folder, stored.name, options))];
  return { name: names.join(' '), length: stored.length };
}

export function kindOf(folder: string): FolderKind {
  if (folder === '/dev/null') return 'nowhere';
  if (folder.endsWith('/.')) return 'mh';
  if (folder.endsWith('/')) return 'maildir';
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? 'directory' : 'file';
}

async function storeIn(folder: string, octets: Uint8Array, options: FolderOptions): Promise<Stored> {
  switch (kindOf(folder)) {
    case 'nowhere':
      return { name: folder, length: octets.length };
    case 'file':
      return appendToFile(folder, octets, options);
    case 'maildir':
      return storeInMaildir(folder, octets, options);
    case 'mh':
      return writeNew(octets, (link) => nextNumber(folder.slice(0, -2), link), folder.slice(0, -2), options);
    case 'directory':
      return writeNew(octets, (link, inode) => uniqueName(folder, inode, options, link), folder, options);
  }
}

// Files

async function appendToFile(
  path: string,
  octets: Uint8Array,
  { raw, umask }: FolderOptions,
): Promise<Stored> {
  const fd = openMbox(path, 0o666, constants.O_APPEND);
  try {
    while (!tryLock(fd)) await sleep(50);
    const { size } = fstatSync(fd);
    if (size === 0) markUnread(fd, umask);
    const text = raw ? octets : quoteFrom(octets);
    try {
      writeAllSync(fd, [text]);
      fsyncSync(fd);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
    return { name: path, length: text.length };
  } finally {
    closeSync(fd);
  }
}

/** Every line that would read as the beginning of the next mail, the first line excepted; none where Content-Length tells where it begins. */
function quoteFrom(octets: Uint8Array): Uint8Array {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  if (!text.includes('\nFrom ')) return octets;
  const header = text.subarray(0, headerEnd(text)).toString('latin1');
  if (/^Content-Length:/im.test(header)) return octets;
  return Buffer.from(text.toString('latin1').replace(/\nFrom /g, '\n>From '), 'latin1');
}

function headerEnd(text: Buffer): number {
  const end = text.indexOf('\n\n');
  return end < 0 ? text.length : end;
}

// Directories

function storeInMaildir(folder: string, octets: Uint8Array, { umask }: FolderOptions): Stored {
  const root = folder.slice(0, -1);
  for (const part of ['new', 'cur', 'tmp']) mkdirSync(join(root, part), { recursive: true, mode: 0o777 });
  const name = maildirName();
  const tmp = join(root, 'tmp', name);
  const path = join(root, 'new', name);
  write(tmp, octets, umask);
  try {
    renameSync(tmp, path);
  } catch (error) {
    rmSync(tmp, { force: true });
    throw error;
  }
  syncDirectory(join(root, 'new'));
  return { name: path, length: octets.length };
}

let deliveries = 0;

/** https://cr.yp.to/proto/maildir.html: time, process and count, host. */
function maildirName(): string {
  const host = hostname().replaceAll('/', '\\057').replaceAll(':', '\\072');
  return `${Math.floor(Date.now() / 1000)}.${process.pid}_${deliveries++}.${host}`;
}

/** A file of its own, under a name that `place` finds with a link: no name is ever taken twice. */
function writeNew(
  octets: Uint8Array,
  place: (link: (path: string) => boolean, inode: number) => string,
  directory: string,
  { umask }: FolderOptions,
): Stored {
  mkdirSync(directory, { recursive: true, mode: 0o777 });
  const tmp = join(directory, `_${process.pid.toString(36)}${(deliveries++).toString(36)}.${hostname()}`);
  write(tmp, octets, umask);
  try {
    const name = place((path) => tryLink(tmp, path), statSync(tmp).ino);
    syncDirectory(directory);
    return { name, length: octets.length };
  } finally {
    rmSync(tmp, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function nextNumber(directory: string, link: (path: string) => boolean): string {
  const numbers = readdirSync(directory).filter((name) => /^[0-9]+$/.test(name));
  for (let next = numbers.reduce((most, name) => Math.max(most, Number(name)), 0) + 1; ; next++) {
    const path = `${directory}/${next}`;
    if (link(path)) return path;
  }
}

function uniqueName(
  directory: string,
  inode: number,
  { prefix }: FolderOptions,
  link: (path: string) => boolean,
): string {
  for (let attempt = 0; ; attempt++) {
    const path = `${directory}/${prefix}${inode.toString(36)}${attempt === 0 ? '' : `_${attempt}`}`;
    if (link(path)) return path;
  }
}

/** Of further folders: the same file under another name. */
function linkInto(folder: string, from: string, options: FolderOptions): string {
  const link = (path: string) => tryLink(from, path);
  switch (kindOf(folder)) {
    case 'mh': {
      mkdirSync(folder, { recursive: true, mode: 0o777 });
      return nextNumber(folder.slice(0, -2), link);
    }
    case 'maildir': {
      const root = folder.slice(0, -1);
      for (const part of ['new', 'cur', 'tmp']) mkdirSync(join(root, part), { recursive: true, mode: 0o777 });
      const path = join(root, 'new', maildirName());
      link(path);
      return path;
    }
    default:
      return uniqueName(folder, statSync(from).ino, options, link);
  }
}

/** @throws system errors; nothing is left then */
function write(path: string, octets: Uint8Array, umask: number): void {
  const fd = openSync(path, 'wx', 0o666);
  try {
    markUnread(fd, umask);
    writeAllSync(fd, [octets]);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** "Others may execute" tells that there is new mail, where the umask lets it. procmailrc(5), UMASK. */
function markUnread(fd: number, umask: number): void {
  if ((umask & 0o001) === 0) fchmodSync(fd, (fstatSync(fd).mode & 0o777) | 0o001);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  const parent = openSync(dirname(path), 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}
