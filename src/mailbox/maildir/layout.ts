/** A Maildir++: the root is INBOX, every other folder a directory `.A.B` in it. https://www.courier-mta.org/imap/README.maildirquota.html */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import { annotationsFile } from '../annotations.ts';
import type { EngineContext, FolderEngine, Layout } from '../engine.ts';
import { maildirFolderPath } from '../folders.ts';
import { listFolders } from '../list.ts';
import { isMaildirFolder, makeMaildirFolder } from '../maildir-folder.ts';
import { noteMaildirSize } from '../maildirsize.ts';
import { tombstonesNeededMs, writeTombstones } from '../tombstones.ts';
import { deliveryNameOf, octetsOf } from './file-name.ts';
import { MaildirFolder } from './folder.ts';
import { uniqueName } from './unique-name.ts';

export class MaildirLayout implements Layout {
  readonly #context: EngineContext;
  readonly #root: string;

  constructor(context: EngineContext) {
    this.#context = context;
    this.#root = context.path;
    makeMaildirFolder(this.#root, 'INBOX');
  }

  get uploads(): string {
    return join(this.#root, 'tmp');
  }
  get subscriptions(): string {
    return join(this.#root, 'subscriptions');
  }
  get annotations(): string {
    return annotationsFile({ format: 'maildir', path: this.#root });
  }
  get watched(): readonly string[] {
    return [this.#root];
  }

  isFolderName(name: string): boolean {
    return name.startsWith('.') || name === 'subscriptions';
  }

  list(): Promise<string[]> {
    return listFolders({ format: 'maildir', path: this.#root });
  }

  exists(folder: string): boolean {
    return isMaildirFolder(maildirFolderPath(this.#root, folder));
  }

  async create(folder: string): Promise<void> {
    makeMaildirFolder(this.#root, folder, 'not subscribed');
    await this.#context.directorySync.syncNamesTo(join(maildirFolderPath(this.#root, folder), 'cur'));
  }

  async delete(folder: string): Promise<void> {
    const directory = maildirFolderPath(this.#root, folder);
    const { messages, octets } = this.#mourn(directory);
    // Out of sight in one step, then removed at leisure.
    const aside = join(this.#root, 'tmp', uniqueName(this.#context.clock.now()));
    renameSync(directory, aside);
    rmSync(aside, { recursive: true, force: true });
    this.count(-octets, -messages);
    this.#syncRoot();
  }

  /** Notes what came lately: the journal's replay would deliver it again. */
  #mourn(directory: string): { messages: number; octets: number } {
    const { tombstones, clock } = this.#context;
    const since = clock.now() - tombstonesNeededMs;
    const recent: string[] = [];
    let messages = 0;
    let octets = 0;
    for (const part of ['cur', 'new']) {
      for (const name of namesIn(join(directory, part))) {
        const stat = statSync(join(directory, part, name), { throwIfNoEntry: false });
        if (!stat) continue;
        messages += 1;
        octets += octetsOf(name) || stat.size;
        if (stat.ctimeMs > since) recent.push(deliveryNameOf(name));
      }
    }
    if (tombstones !== undefined) writeTombstones(tombstones, recent, clock.now());
    return { messages, octets };
  }

  async rename(pairs: readonly { from: string; to: string }[]): Promise<void> {
    for (const { from, to } of pairs)
      renameSync(maildirFolderPath(this.#root, from), maildirFolderPath(this.#root, to));
    this.#syncRoot();
  }

  open(folder: string): Promise<FolderEngine> {
    return MaildirFolder.open(maildirFolderPath(this.#root, folder), this.#context);
  }

  count(octets: number, messages: number): void {
    if (octets !== 0 || messages !== 0) noteMaildirSize(this.#root, octets, messages);
  }

  /** What was renamed or removed stays so after a power loss. */
  #syncRoot(): void {
    const fd = openSync(this.#root, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
