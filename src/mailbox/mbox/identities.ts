/**
 * What names the mboxes of an account beyond their octets: MAILBOXID, and UIDVALIDITY with the UIDs that were given, for
 * an mbox that is empty or whose first message another program removed. One small file beside the folders.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import { mboxFoldersDirectory } from '../folders.ts';
import { MailboxError } from '../mailbox-error.ts';
import { writeFileDurably } from '../write-file-durably.ts';

export interface Identity {
  readonly mailboxId: string;
  readonly uidValidity: number;
  /** No UID from here on was given. */
  readonly uidEnd: number;
}

/** Beside the folders of that INBOX. */
export function identitiesFile(inbox: string): string {
  return join(mboxFoldersDirectory(inbox), '.identities.json');
}

export class Identities {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get(folder: string): Identity | undefined {
    return this.#read().get(folder);
  }

  /** On disk when it returns. */
  set(folder: string, identity: Omit<Identity, 'mailboxId'>): Identity {
    const all = this.#read();
    const mailboxId = all.get(folder)?.mailboxId ?? randomBytes(16).toString('hex');
    const whole = { mailboxId, ...identity };
    all.set(folder, whole);
    this.#write(all);
    return whole;
  }

  delete(folder: string): void {
    const all = this.#read();
    if (all.delete(folder)) this.#write(all);
  }

  rename(pairs: readonly { from: string; to: string }[]): void {
    const all = this.#read();
    const moved = pairs.map(({ from, to }) => [to, all.get(from)] as const);
    for (const { from } of pairs) all.delete(from);
    for (const [to, identity] of moved) if (identity) all.set(to, identity);
    this.#write(all);
  }

  #read(): Map<string, Identity> {
    try {
      const { version, folders } = JSON.parse(readFileSync(this.#path, 'utf8'));
      if (version !== 1) throw new MailboxError('UNAVAILABLE', 'identities of a newer version');
      return new Map(Object.entries(folders as Record<string, Identity>));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return new Map();
    }
  }

  #write(all: ReadonlyMap<string, Identity>): void {
    const folders = Object.fromEntries(all);
    writeFileDurably(this.#path, `${JSON.stringify({ version: 1, folders }, null, 1)}\n`);
  }
}
