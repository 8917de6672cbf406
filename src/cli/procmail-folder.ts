/** Mail that lies in a Maildir or an mbox, one message after the other, for commands that try rcfiles on it. */
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../core/base/errors.ts';
import { procmailLimits } from '../../core/base/limits/rules.ts';
import type { StoredMail } from '../../rules/procmail/convert/verify.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

export interface FolderMail extends StoredMail {
  /** The file of a Maildir; of an mbox its path and the number of the message. */
  readonly name: string;
}

/** @throws CommandError where it is neither */
export async function* mailOf(path: string): AsyncGenerator<FolderMail> {
  if (!isDirectory(path)) {
    yield* mailOfMbox(path);
    return;
  }
  if (partsOf(path).length === 0)
    throw new CommandError(exitCodes.noInput, `${path} is no Maildir: there is no folder cur in it`);
  for (const part of partsOf(path)) {
    const folder = join(path, part);
    for (const file of readdirSync(folder).sort()) {
      if (file.startsWith('.')) continue;
      const octets = readFileSync(join(folder, file));
      yield { name: join(part, file), octets, sender: returnPath(octets) };
    }
  }
}

/** How many there are, where that is known before they are read. */
export function mailCount(path: string): number | undefined {
  if (!isDirectory(path)) return undefined;
  return partsOf(path).reduce((sum, part) => sum + readdirSync(join(path, part)).length, 0);
}

/** Folders of a Maildir that are there. */
function partsOf(path: string): string[] {
  const isThere = (part: string) =>
    statSync(join(path, part), { throwIfNoEntry: false })?.isDirectory() === true;
  return ['cur', 'new'].filter(isThere);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw new CommandError(exitCodes.noInput, `${path}: ${describeError(error)}`);
  }
}

const next = Buffer.from('\n\nFrom ');

/** A From_ line behind an empty line begins the next message. RFC 4155 appendix A. */
async function* mailOfMbox(path: string): AsyncGenerator<FolderMail> {
  let held = Buffer.alloc(0);
  let number = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    // Only what is new is searched, and what may reach back over the seam.
    let from = Math.max(0, held.length - next.length);
    held = Buffer.concat([held, chunk]);
    for (let end = held.indexOf(next, from); end >= 0; end = held.indexOf(next, from)) {
      number += 1;
      yield entry(held.subarray(0, end + 1), path, number);
      held = held.subarray(end + 2);
      from = 0;
    }
    if (held.length > procmailLimits.mailBytesMax)
      throw new CommandError(exitCodes.dataError, `${path}: message ${number + 1} is too large`);
  }
  if (held.length > 0) yield entry(held, path, number + 1);
}

function entry(octets: Buffer, path: string, number: number): FolderMail {
  const end = octets.indexOf(10);
  const line = octets.toString('latin1', 0, end < 0 ? undefined : end);
  const [, sender] = /^From (\S+)/.exec(line) ?? [];
  if (sender === undefined)
    throw new CommandError(exitCodes.dataError, `${path} is no mbox: it has no From_ line`);
  return {
    name: `${path}#${number}`,
    octets: octets.subarray(end + 1),
    sender: sender.toUpperCase() === 'MAILER-DAEMON' ? '' : sender,
  };
}

function returnPath(octets: Buffer): string | undefined {
  const header = octets.toString('latin1', 0, 64 * 1024).split(/\r?\n\r?\n/, 1)[0]!;
  return /^return-path:[ \t]*<([^<>\s]*)>/im.exec(header)?.[1];
}
