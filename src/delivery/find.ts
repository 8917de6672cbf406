/**
 * Looks for a copy that may be there already: after a crash, and before a delivery is tried again. A user may have
 * moved it meanwhile, so every folder is looked through; what a crash left half-written does not count.
 */
import { createReadStream, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../core/base/errors.ts';
import { foundNamesMax } from '../../core/base/limits/flow.ts';
import { checksumOf } from './checksum.ts';
import type { Copy } from './copy.ts';
import { isWholeInMbox, listMbox } from './find-in-mbox.ts';

/** Remembers what it has seen for as long as it lives: the length of one recovery, or of one attempt. */
export interface Finder {
  /** Path of the file with that base name, in cur or new of any folder. */
  inMaildir(root: string, name: string): Promise<string | undefined>;
  /** True when the mbox holds the whole copy under that id. The caller holds the locks, which reading does not undo. */
  inMbox(path: string, id: string, copy: Copy): Promise<boolean>;
}

export function createFinder(): Finder {
  const maildirs = new Map<string, Map<string, string>>();
  /** Names from that second on are in the list of a Maildir: a large mailbox is mostly older mail. */
  const listedSince = new Map<string, number>();
  const mboxes = new Map<string, Map<string, number>>();
  let remembered = 0;

  /** Memory is bounded: past the limit everything is forgotten and read again when asked for. */
  function remember<T>(
    memory: Map<string, Map<string, T>>,
    key: string,
    found: Map<string, T>,
  ): Map<string, T> {
    if (remembered + found.size > foundNamesMax) {
      maildirs.clear();
      mboxes.clear();
      remembered = 0;
    }
    remembered += found.size;
    memory.set(key, found);
    return found;
  }

  return {
    async inMaildir(root, name) {
      const known = maildirs.get(root)?.get(name);
      if (known !== undefined && statSync(known, { throwIfNoEntry: false })) return known;
      const arrival = arrivalOf(name);
      const covered = maildirs.has(root) && arrival >= listedSince.get(root)!;
      // Moved since it was seen: the other names are as likely to have been, so all are read again.
      if (covered && known === undefined) return undefined;
      const since = arrival - 60;
      const names = await listMaildir(root, since);
      listedSince.set(root, since);
      return remember(maildirs, root, names).get(name);
    },
    async inMbox(path, id, copy) {
      const at = mboxes.get(path)?.get(id);
      if (at !== undefined && (await isWholeInMbox(path, at, copy))) return true;
      // Nobody but us adds our ids, so what was absent still is; what was there may lie elsewhere after an expunge.
      if (mboxes.has(path) && at === undefined) return false;
      const fresh = remember(mboxes, path, await listMbox(path)).get(id);
      return fresh !== undefined && (await isWholeInMbox(path, fresh, copy));
    },
  };
}

/** True when the file holds exactly the copy. */
export async function isWholeFile(path: string, copy: Copy): Promise<boolean> {
  const wanted = await checksumOf(octetsOf(copy));
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.size !== wanted.length) return false;
  const found = await checksumOf(createReadStream(path));
  return found.crc32 === wanted.crc32 && found.length === wanted.length;
}

/** Base names of messages to their paths. @param since seconds since the epoch: names from then on */
async function listMaildir(root: string, since: number): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const entries = await list(root);
  const folders = entries.filter((entry) => entry.startsWith('.') && entry !== '.' && entry !== '..');
  for (const folder of ['', ...folders]) {
    // In the order in which readers move mail: what is moved meanwhile is seen twice, not never.
    for (const part of ['new', 'cur']) {
      const directory = join(root, folder, part);
      for (const entry of await list(directory)) {
        if (arrivalOf(entry) >= since) names.set(baseOf(entry), join(directory, entry));
      }
    }
  }
  return names;
}

async function list(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

/** Seconds since the epoch, with which every name of ours begins; a name of others may give NaN, which is never since. */
function arrivalOf(name: string): number {
  return Number.parseInt(name, 10);
}

/** The name without size fields and flags. */
function baseOf(entry: string): string {
  const end = entry.search(/[,:]/);
  return end < 0 ? entry : entry.slice(0, end);
}

async function* octetsOf(copy: Copy): AsyncGenerator<Uint8Array> {
  if (copy.kind === 'memory') yield* copy.chunks;
  else yield* copy.open();
}
