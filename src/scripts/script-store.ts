/**
 * A user's scripts on disk. Every change is one rename of what was synced before, so that a crash leaves the old script
 * or the new one, and delivery never reads half of either.
 */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { errnoOf, OperationalError } from '../../core/base/errors.ts';
import { scriptLimits } from '../../core/base/limits/rules.ts';
import { type ScriptPlace, scriptNameOf, scriptPath } from './place.ts';
import { readScriptName } from './script-name.ts';

export interface ScriptQuota {
  readonly scriptsMax: number;
  /** Octets of all scripts together. */
  readonly storageBytesMax: number;
}

export interface ListedScript {
  readonly name: string;
  readonly active: boolean;
  readonly sizeBytes: number;
}

/** Names are taken as a client writes them. All methods reject with an OperationalError whose `clientText` may be shown. */
export class ScriptStore {
  readonly #place: ScriptPlace;
  readonly #quota: ScriptQuota;

  constructor(place: ScriptPlace, quota: ScriptQuota) {
    this.#place = place;
    this.#quota = quota;
  }

  /** By name, in order of code points. */
  async list(): Promise<ListedScript[]> {
    const active = await this.activeName();
    const scripts: ListedScript[] = [];
    for (const file of await namesIn(this.#place.directory)) {
      const name = scriptNameOf(file);
      const path = join(this.#place.directory, file);
      if (name === undefined || path === this.#place.active) continue;
      const found = await statOf(path);
      if (!found?.isFile()) continue;
      scripts.push({ name, active: name === active, sizeBytes: found.size });
    }
    return scripts.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Undefined where none is, or where the active script is a plain file. */
  async activeName(): Promise<string | undefined> {
    const { active, directory } = this.#place;
    try {
      const target = resolve(dirname(active), await readlink(active));
      if (dirname(target) !== directory || (await statOf(target)) === undefined) return undefined;
      return scriptNameOf(target.slice(directory.length + 1));
    } catch (error) {
      // EINVAL: a plain file; ENOENT: nothing there.
      if (['ENOENT', 'ENOTDIR', 'EINVAL'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** Rejects with `script-missing`. */
  async read(name: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      throw errnoOf(error) === 'ENOENT' ? missing() : error;
    }
  }

  /** Rejects with `script-quota` (facts.quota says which: `MAXSCRIPTS`, `MAXSIZE` or none) when that script would not fit. */
  async assertRoom(name: string, sizeBytes: number): Promise<void> {
    const own = this.#path(name);
    if (sizeBytes > scriptLimits.scriptBytesMax) {
      throw quotaExceeded('MAXSIZE', `a script has at most ${scriptLimits.scriptBytesMax} octets`);
    }
    const others = (await this.list()).filter((script) => scriptPath(this.#place, script.name) !== own);
    if (others.length + 1 > this.#quota.scriptsMax) {
      throw quotaExceeded('MAXSCRIPTS', `at most ${this.#quota.scriptsMax} scripts`);
    }
    const taken = others.reduce((sum, script) => sum + script.sizeBytes, 0);
    if (taken + sizeBytes > this.#quota.storageBytesMax) {
      throw quotaExceeded('', `at most ${this.#quota.storageBytesMax} octets of scripts`);
    }
  }

  /** Durable when it resolves. Rejects with `script-quota`. */
  async write(name: string, content: Uint8Array): Promise<void> {
    await this.assertRoom(name, content.length);
    await this.#replace(this.#path(name), content);
  }

  /** Rejects with `script-active` or `script-missing`. */
  async delete(name: string): Promise<void> {
    const path = this.#path(name);
    if ((await statOf(path)) === undefined) throw missing();
    if (readScriptName(name) === (await this.activeName())) {
      const clientText = 'the active script cannot be deleted';
      throw new OperationalError('script-active', clientText, { temporary: false, clientText });
    }
    await rm(path);
    await syncDirectory(this.#place.directory);
  }

  /** The active script stays active under its new name. Rejects with `script-missing` or `script-exists`. */
  async rename(from: string, to: string): Promise<void> {
    const [old, wanted] = [this.#path(from), this.#path(to)];
    if ((await statOf(old)) === undefined) throw missing();
    if (old === wanted) return;
    if ((await statOf(wanted)) !== undefined) {
      const clientText = 'a script of that name exists';
      throw new OperationalError('script-exists', clientText, { temporary: false, clientText });
    }
    const wasActive = readScriptName(from) === (await this.activeName());
    if (wasActive) {
      // At no moment is the link without a script: mail may come at any.
      await this.#replace(wanted, await readFile(old));
      await this.#link(wanted);
      await rm(old);
    } else await rename(old, wanted);
    await syncDirectory(this.#place.directory);
  }

  /** @param name '' for none. Rejects with `script-missing`. */
  async activate(name: string): Promise<void> {
    const { active } = this.#place;
    const path = name === '' ? undefined : this.#path(name);
    if (path !== undefined && (await statOf(path)) === undefined) throw missing();
    await this.#rescue();
    if (path !== undefined) await this.#link(path);
    else {
      if ((await lstat(active).catch(absent)) === undefined) return;
      await rm(active);
      await syncDirectory(dirname(active));
    }
  }

  #path(name: string): string {
    const path = scriptPath(this.#place, readScriptName(name));
    if (path !== this.#place.active) return path;
    const clientText = 'that name is taken by the server';
    throw new OperationalError('script-name', clientText, { temporary: false, clientText });
  }

  /** A script that the user once put there by hand is kept under a name, as Pigeonhole keeps it. */
  async #rescue(): Promise<void> {
    const { active, directory } = this.#place;
    const found = await lstat(active).catch(absent);
    if (!found?.isFile()) return;
    for (let number = 0; ; number += 1) {
      const wanted = join(directory, `dovecot.orig${number === 0 ? '' : `.${number}`}.sieve`);
      if ((await lstat(wanted).catch(absent)) !== undefined) continue;
      await this.#replace(wanted, await readFile(active));
      return;
    }
  }

  async #link(path: string): Promise<void> {
    const { active } = this.#place;
    const folder = dirname(active);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const temporary = join(folder, temporaryName());
    await symlink(relative(folder, path), temporary);
    await rename(temporary, active);
    await syncDirectory(folder);
  }

  async #replace(path: string, content: Uint8Array): Promise<void> {
    const { directory } = this.#place;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const temporary = join(directory, temporaryName());
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncDirectory(directory);
  }
}

function temporaryName(): string {
  return `.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
}

function missing(): OperationalError {
  const clientText = 'there is no script of that name';
  return new OperationalError('script-missing', clientText, { temporary: false, clientText });
}

function quotaExceeded(quota: '' | 'MAXSCRIPTS' | 'MAXSIZE', clientText: string): OperationalError {
  return new OperationalError('script-quota', clientText, { temporary: false, clientText, facts: { quota } });
}

async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(absent)) ?? [];
}

function statOf(path: string) {
  return stat(path).catch(absent);
}

function absent(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
  throw error;
}

async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
