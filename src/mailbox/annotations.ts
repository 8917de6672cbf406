/**
 * What a mailbox format has no place for and no index may lose: special uses (RFC 6154), metadata (RFC 5464) and rights
 * (RFC 4314) of folders, in one small file of the account.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { annotationLimits } from '../../core/base/limits/mailbox.ts';
import { mboxFoldersDirectory } from './folders.ts';
import type { MailboxPlace } from './list.ts';
import type { SpecialUse } from './mailbox.ts';
import { MailboxError } from './mailbox-error.ts';
import { writeFileDurably } from './write-file-durably.ts';

interface Entry {
  specialUse?: SpecialUse[];
  metadata?: Record<string, string>;
  acl?: Record<string, string>;
}

interface Contents {
  version: 1;
  /** By folder name; '' is the account. */
  folders: Record<string, Entry>;
}

/** Where they lie beside that mailbox. */
export function annotationsFile({ format, path }: MailboxPlace): string {
  return format === 'maildir'
    ? join(path, 'mailfilter-folders.json')
    : join(mboxFoldersDirectory(path), '.folders.json');
}

export class Annotations {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  specialUses(): Map<string, readonly SpecialUse[]> {
    const entries = Object.entries(this.#read().folders);
    return new Map(entries.map(([folder, { specialUse }]) => [folder, specialUse ?? []]));
  }

  metadata(folder: string): Map<string, string> {
    return new Map(Object.entries(this.#read().folders[folder]?.metadata ?? {}));
  }

  acl(folder: string): Map<string, string> {
    return new Map(Object.entries(this.#read().folders[folder]?.acl ?? {}));
  }

  setSpecialUse(folder: string, uses: readonly SpecialUse[]): void {
    this.#change((folders) => {
      // A use belongs to one folder. RFC 6154 section 3 lets a server refuse more.
      for (const entry of Object.values(folders))
        entry.specialUse = entry.specialUse?.filter((use) => !uses.includes(use));
      entryOf(folders, folder).specialUse = [...uses];
    });
  }

  /** @throws MailboxError LIMIT */
  setMetadata(folder: string, changes: ReadonlyMap<string, string | undefined>): void {
    this.#change((folders) => {
      const entry = entryOf(folders, folder);
      entry.metadata = merged(entry.metadata, changes);
      const values = Object.entries(entry.metadata);
      const octets = values.reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0);
      const { entriesMax, bytesMax } = annotationLimits;
      if (values.length > entriesMax) throw new MailboxError('LIMIT', 'too many annotations');
      if (octets > bytesMax) throw new MailboxError('LIMIT', 'annotations are too large');
    });
  }

  /** @throws MailboxError LIMIT */
  setAcl(folder: string, identifier: string, rights: string | undefined): void {
    this.#change((folders) => {
      const entry = entryOf(folders, folder);
      entry.acl = merged(entry.acl, new Map([[identifier, rights]]));
      if (Object.keys(entry.acl).length > annotationLimits.identifiersMax)
        throw new MailboxError('LIMIT', 'too many identifiers');
    });
  }

  delete(folder: string): void {
    if (!this.#read().folders[folder]) return;
    this.#change((folders) => {
      delete folders[folder];
    });
  }

  rename(pairs: readonly { from: string; to: string }[]): void {
    if (!pairs.some(({ from }) => this.#read().folders[from])) return;
    this.#change((folders) => {
      const moved = pairs.map(({ from, to }) => [to, folders[from]] as const);
      for (const { from } of pairs) delete folders[from];
      for (const [to, entry] of moved) if (entry) folders[to] = entry;
    });
  }

  #change(change: (folders: Record<string, Entry>) => void): void {
    const contents = this.#read();
    change(contents.folders);
    for (const [folder, entry] of Object.entries(contents.folders))
      if (isEmpty(entry)) delete contents.folders[folder];
    writeFileDurably(this.#path, `${JSON.stringify(contents, null, 1)}\n`);
  }

  #read(): Contents {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return { version: 1, folders: emptyRecord() };
    }
    const contents = JSON.parse(text) as Contents;
    // What a newer version wrote must not be written over by this one.
    if (contents.version !== 1) throw new MailboxError('UNAVAILABLE', 'annotations of a newer version');
    return { version: 1, folders: Object.assign(emptyRecord<Entry>(), contents.folders) };
  }
}

function entryOf(folders: Record<string, Entry>, folder: string): Entry {
  folders[folder] ??= {};
  return folders[folder];
}

function merged(
  values: Readonly<Record<string, string>> | undefined,
  changes: ReadonlyMap<string, string | undefined>,
): Record<string, string> {
  const result = Object.assign(emptyRecord<string>(), values);
  for (const [name, value] of changes) {
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  return result;
}

/** A folder or an entry may be called `__proto__`. */
function emptyRecord<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}

function isEmpty({ specialUse, metadata, acl }: Entry): boolean {
  return !specialUse?.length && Object.keys({ ...metadata, ...acl }).length === 0;
}
