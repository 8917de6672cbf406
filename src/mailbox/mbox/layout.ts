/** An account of mbox files: INBOX is a file, the others lie in a hidden directory beside it, children in `.sbd`. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import { annotationsFile } from '../annotations.ts';
import type { EngineContext, FolderEngine, Layout } from '../engine.ts';
import { mboxFolderPath, mboxFoldersDirectory } from '../folders.ts';
import { listFolders } from '../list.ts';
import { writeTombstones } from '../tombstones.ts';
import { deliveryIdOf, MboxFolder, redoPathOf } from './folder.ts';
import { Identities, identitiesFile } from './identities.ts';
import { parseMbox } from './parse.ts';

export class MboxLayout implements Layout {
  readonly #context: EngineContext;
  readonly #inbox: string;
  readonly #directory: string;
  readonly #identities: Identities;

  constructor(context: EngineContext) {
    this.#context = context;
    this.#inbox = context.path;
    this.#directory = mboxFoldersDirectory(context.path);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#identities = new Identities(identitiesFile(context.path));
  }

  get uploads(): string {
    return join(this.#directory, '.uploads');
  }
  get subscriptions(): string {
    return join(this.#directory, '.subscriptions');
  }
  get annotations(): string {
    return annotationsFile({ format: 'mbox', path: this.#inbox });
  }
  get watched(): readonly string[] {
    return [this.#directory];
  }

  isFolderName(name: string): boolean {
    return name === '.subscriptions' || !(name.startsWith('.') || name.endsWith('.lock'));
  }

  list(): Promise<string[]> {
    return listFolders({ format: 'mbox', path: this.#inbox });
  }

  exists(folder: string): boolean {
    return existsSync(mboxFolderPath(this.#inbox, folder));
  }

  async create(folder: string): Promise<void> {
    const path = mboxFolderPath(this.#inbox, folder);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'wx', 0o600));
    await this.#context.directorySync.syncNamesTo(path);
  }

  async delete(folder: string): Promise<void> {
    const path = mboxFolderPath(this.#inbox, folder);
    const { tombstones, clock } = this.#context;
    if (tombstones !== undefined) {
      const text = readFileSync(path);
      const ids = parseMbox(text).messages.map((message) => deliveryIdOf(text, message));
      writeTombstones(
        tombstones,
        ids.filter((id) => id !== undefined),
        clock.now(),
      );
    }
    rmSync(path);
    rmSync(redoPathOf(path), { force: true });
    this.#identities.delete(folder);
    syncDirectory(dirname(path));
  }

  async rename(pairs: readonly { from: string; to: string }[]): Promise<void> {
    for (const { from, to } of pairs) {
      const [source, target] = [mboxFolderPath(this.#inbox, from), mboxFolderPath(this.#inbox, to)];
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      renameSync(source, target);
      // What a crash left to do goes with the file.
      renameIfThere(redoPathOf(source), redoPathOf(target));
      syncDirectory(dirname(target));
      syncDirectory(dirname(source));
    }
    this.#identities.rename(pairs);
  }

  open(folder: string): Promise<FolderEngine> {
    const path = mboxFolderPath(this.#inbox, folder);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return MboxFolder.open({ name: folder, path, identities: this.#identities, context: this.#context });
  }

  /** The files tell what they hold. */
  count(): void {}
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
