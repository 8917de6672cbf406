/** The script that mail for a user meets: read anew only when the file is another, for each message asks. */
import { type BigIntStats, statSync } from 'node:fs';
import { type FileHandle, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, OperationalError } from '../../core/base/errors.ts';
import { scriptLimits } from '../../core/base/limits/rules.ts';
import { type ScriptPlace, scriptNameOf, scriptPath } from './place.ts';
import { readScriptName } from './script-name.ts';
import { openUserFile } from './user-file.ts';

export interface ActiveScript {
  readonly name: string;
  readonly source: string;
  /** Tells this version of this file from any other. */
  readonly version: string;
}

export class ActiveScripts {
  /** By path, oldest first. */
  readonly #known = new Map<string, ActiveScript>();

  /**
   * The version of the script that lies there, '' where there is none; undefined where it is not the one that was read
   * last, or cannot be looked at: loading it tells. One call of the system that does not leave the thread, for every
   * message asks.
   */
  version(path: string): string | undefined {
    try {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (found === undefined) return '';
      const version = versionOf(found);
      return this.#known.get(path)?.version === version ? version : undefined;
    } catch {
      // A loop of links, a folder that is closed to us: `load` has the words for it.
      return undefined;
    }
  }

  /** Undefined where the user has none. Rejects with OperationalError `script-too-large` or `script-unsafe`, or an error of the system. */
  async load({ active, directory }: ScriptPlace): Promise<ActiveScript | undefined> {
    return this.#open(active, [directory, dirname(active)], () => nameOf(active), 'utf8');
  }

  /**
   * An rcfile of procmail's, an octet a character, or what it includes. Rejects as `load`.
   *
   * @param name of a file beside it or in a folder there; undefined: the rcfile itself
   */
  async loadRcfile(rcfile: string, name?: string): Promise<ActiveScript | undefined> {
    const parts = name?.split('/') ?? [];
    // Nothing that mail, an rcfile or a link says leads out of the user's own folder: names here, links where it is opened.
    if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
      return undefined;
    const path = name === undefined ? rcfile : join(dirname(rcfile), name);
    return this.#open(path, [dirname(rcfile)], async () => name ?? basename(rcfile), 'latin1');
  }

  async #open(
    path: string,
    folders: readonly string[],
    name: () => Promise<string>,
    encoding: 'utf8' | 'latin1',
  ): Promise<ActiveScript | undefined> {
    const handle = await openUserFile(path, folders);
    try {
      return handle && (await this.#read(handle, path, name, encoding));
    } finally {
      await handle?.close();
    }
  }

  async #read(
    handle: FileHandle,
    path: string,
    name: () => Promise<string>,
    encoding: 'utf8' | 'latin1',
  ): Promise<ActiveScript | undefined> {
    const found = await handle.stat({ bigint: true });
    if (!found.isFile()) return undefined;
    const version = versionOf(found);
    const known = this.#known.get(path);
    if (known?.version === version) return known;
    if (found.size > scriptLimits.scriptBytesMax) {
      throw new OperationalError('script-too-large', `${path} has ${found.size} octets`, {
        temporary: true,
      });
    }
    const size = Number(found.size);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    const script = { name: await name(), source: buffer.toString(encoding, 0, bytesRead), version };
    this.#remember(path, script);
    return script;
  }

  /** Another of the user's scripts, for `include`; undefined where there is none. Rejects as `load`. */
  async loadNamed(place: ScriptPlace, name: string): Promise<ActiveScript | undefined> {
    const path = scriptPath(place, readScriptName(name));
    return this.#open(path, [place.directory], async () => name, 'utf8');
  }

  #remember(path: string, known: ActiveScript): void {
    this.#known.delete(path);
    this.#known.set(path, known);
    if (this.#known.size > scriptLimits.rememberedMax) this.#known.delete(this.#known.keys().next().value!);
  }
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}/${ino}/${size}/${mtimeNs}/${ctimeNs}`;
}

/** What the user calls it: the link leads to a script of that name. */
async function nameOf(active: string): Promise<string> {
  const target = await readlink(active).catch((error: unknown) => {
    // A plain file.
    if (errnoOf(error) === 'EINVAL') return active;
    throw error;
  });
  return scriptNameOf(basename(target)) ?? basename(target);
}
