/**
 * Mail that a program of this machine leaves for the server, whether it runs or not: one file a message, in a folder where
 * everybody may put files and nobody but the server can look. Whose mail it is the owner of the file tells.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describeError, errnoOf, OperationalError } from '../../core/base/errors.ts';
import { maildropLimits } from '../../core/base/limits/outbound.ts';
import { writeAll } from '../../core/base/write-all.ts';
import type { DsnNotify } from '../../core/mail/envelope.ts';

/** Everybody may write, the owner alone may list; nobody removes what is another's. */
export const maildropMode = 0o1733;
/** What is complete has the right to be executed, which means nothing for a message. As Postfix marks it. */
const readyMode = 0o744;

/** The envelope as the program gave it. */
export interface DropEnvelope {
  readonly version: 1;
  /** Undefined: whoever owns the file. */
  readonly sender?: string;
  readonly recipients: readonly string[];
  readonly notify?: readonly DsnNotify[];
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  readonly body?: '7bit' | '8bitmime';
  /** Epoch milliseconds at which it came, where it was tried before. */
  readonly since?: number;
}

export interface Drop {
  readonly envelope: DropEnvelope;
  /** Of the file's owner. */
  readonly uid: number;
  /** Names this very file, whoever gave it its name: nobody can make another of the same identity. */
  readonly identity: string;
  /** Epoch milliseconds at which it was complete. */
  readonly completedAt: number;
  /** Octets of the message, CRLF line ends. */
  read(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Durable when it resolves. @throws OperationalError `maildrop` when the folder cannot be written
 * @param message with CRLF line ends
 */
export async function writeDrop(
  directory: string,
  envelope: DropEnvelope,
  message: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string> {
  const name = `${Date.now().toString(36)}.${randomBytes(16).toString('hex')}.drop`;
  const path = join(directory, name);
  let handle: FileHandle;
  try {
    handle = await open(path, 'wx', 0o600);
  } catch (error) {
    throw new OperationalError('maildrop', `cannot leave mail in ${directory}: ${describeError(error)}`, {
      temporary: true,
      cause: error,
    });
  }
  try {
    await writeAll(handle.fd, [Buffer.from(`${JSON.stringify(envelope)}\n`)]);
    for await (const chunk of message) await writeAll(handle.fd, [chunk]);
    // The name is on disk with the content; the mark comes after both, so that no part is taken for the whole.
    await handle.sync();
    await handle.chmod(readyMode);
    await handle.sync();
    return name;
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Undefined when it is not complete, or gone. @throws OperationalError `maildrop-file`, permanent, for what must not be
 * taken: no plain file, one with another name elsewhere, one that cannot be read as a drop.
 */
export async function openDrop(path: string, messageBytesMax: number): Promise<Drop | undefined> {
  const found = await lstat(path).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  // A link would have us read, under its owner's name, what is another's.
  if (!found.isFile() || found.nlink !== 1) throw unfit(path, 'it is no plain file of one name');
  if ((found.mode & 0o100) === 0) return undefined;
  if (found.size > messageBytesMax + maildropLimits.envelopeBytesMax) throw unfit(path, 'it is too large');
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { uid, ino, dev, nlink, size, ctimeMs } = await handle.stat();
    if (ino !== found.ino || nlink !== 1) throw unfit(path, 'it was exchanged');
    const { envelope, start } = await readEnvelope(handle, path);
    return {
      envelope,
      uid,
      // Nobody sets the time of change (inode(7)).
      identity: [basename(path), dev, ino, size, ctimeMs].join(' '),
      completedAt: Math.floor(ctimeMs),
      read: () => octetsFrom(handle, start),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Has the file wait for fewer recipients, where it lies: blanks fill the line, so that a full disk has room for it.
 * One write; durable when it resolves. @throws OperationalError `maildrop-file`; system errors
 */
export async function narrowDrop(path: string, recipients: readonly string[]): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { envelope, start } = await readEnvelope(handle, path);
    const line = Buffer.alloc(start, ' ');
    const text = Buffer.from(JSON.stringify({ ...envelope, recipients }));
    if (text.length >= start) throw unfit(path, 'there is no room for a shorter list of recipients');
    line.set(text);
    line[start - 1] = 10;
    await writeAll(handle.fd, [line], 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readEnvelope(
  handle: FileHandle,
  path: string,
): Promise<{ envelope: DropEnvelope; start: number }> {
  const head = Buffer.alloc(maildropLimits.envelopeBytesMax);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  const end = head.subarray(0, bytesRead).indexOf(10);
  if (end < 0) throw unfit(path, 'its envelope has no end');
  let envelope: DropEnvelope;
  try {
    envelope = JSON.parse(head.toString('utf8', 0, end)) as DropEnvelope;
  } catch (error) {
    throw unfit(path, describeError(error));
  }
  if (!isEnvelope(envelope)) throw unfit(path, 'its envelope cannot be read');
  return { envelope, start: end + 1 };
}

/** Anybody can write such a file by hand. */
function isEnvelope(value: DropEnvelope | null): boolean {
  if (typeof value !== 'object' || value === null || value.version !== 1) return false;
  const { sender, recipients, notify = [], ret, envid, body, since } = value;
  const words = ['never', 'success', 'failure', 'delay'];
  return (
    (sender === undefined || typeof sender === 'string') &&
    Array.isArray(recipients) &&
    recipients.length > 0 &&
    recipients.length <= maildropLimits.recipientsMax &&
    recipients.every((each) => typeof each === 'string') &&
    Array.isArray(notify) &&
    notify.every((word) => words.includes(word)) &&
    (ret === undefined || ret === 'full' || ret === 'hdrs') &&
    (envid === undefined || typeof envid === 'string') &&
    (body === undefined || body === '7bit' || body === '8bitmime') &&
    (since === undefined || Number.isSafeInteger(since))
  );
}

async function* octetsFrom(handle: FileHandle, start: number): AsyncGenerator<Uint8Array> {
  for (let at = start; ; ) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
    at += bytesRead;
  }
}

function unfit(path: string, why: string): OperationalError {
  return new OperationalError('maildrop-file', `${path} is not taken: ${why}`, { temporary: false });
}
