/** What lies in cur and new at one moment, and whether it may have changed since it was looked at. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listingSettledMs, listingVerifyFactor, listingVerifyMs } from '../../../core/base/limits/mailbox.ts';

export type Part = 'cur' | 'new';
export const parts: readonly Part[] = ['cur', 'new'];

interface Looked {
  /** Of the directory, at the last look or after our own last change. */
  mtimeMs: number;
  /** Epoch milliseconds from which on the time of the directory tells whether it changed. */
  settledAt: number;
}

/** Remembers the directories' times: a listing of 100,000 names is dear, a stat is not. */
export class Listing {
  readonly #directory: string;
  readonly #looked: Record<Part, Looked>;
  /** Our own changes hide those that others make in the same instant: to be looked for at this time. 0 is not due. */
  #verifyAt = 0;
  #lookMs = 0;

  constructor(directory: string) {
    this.#directory = directory;
    const never = () => ({ mtimeMs: Number.NaN, settledAt: 0 });
    this.#looked = { cur: never(), new: never() };
  }

  /** Directories that may hold something else than at the last look. @throws system errors, ENOENT when they are gone */
  changed(): Part[] {
    const now = Date.now();
    if (this.#verifyAt !== 0 && now >= this.#verifyAt) return [...parts];
    return parts.filter((part) => {
      const { mtimeMs, settledAt } = this.#looked[part];
      return this.#mtime(part) !== mtimeMs || (settledAt !== 0 && now >= settledAt);
    });
  }

  /** Names in a directory now, hidden ones left out. @throws system errors */
  look(part: Part): string[] {
    const began = performance.now();
    // Taken before the names, so that what changes meanwhile is seen the next time.
    const mtimeMs = this.#mtime(part);
    const now = Date.now();
    // The clock of a file system ticks every few milliseconds: a second change within a tick has the same time.
    const settled = now - mtimeMs > listingSettledMs;
    this.#looked[part] = { mtimeMs, settledAt: settled ? 0 : now + listingSettledMs };
    const names = readdirSync(join(this.#directory, part)).filter((name) => !name.startsWith('.'));
    this.#lookMs = performance.now() - began;
    if (part === 'cur') this.#verifyAt = 0;
    return names;
  }

  /** We changed the directories ourselves and know how. @returns milliseconds after which to look whether somebody else did too */
  changedByUs(): number {
    for (const part of parts) this.#looked[part].mtimeMs = this.#mtime(part);
    const delayMs = Math.max(listingVerifyMs, this.#lookMs * listingVerifyFactor);
    if (this.#verifyAt === 0) this.#verifyAt = Date.now() + delayMs;
    return delayMs;
  }

  /** Epoch milliseconds at which a look is due whatever the times say; 0 for none. */
  get dueAt(): number {
    const times = [this.#verifyAt, this.#looked.cur.settledAt, this.#looked.new.settledAt];
    return Math.min(...times.filter((at) => at !== 0), Number.POSITIVE_INFINITY);
  }

  #mtime(part: Part): number {
    return statSync(join(this.#directory, part)).mtimeMs;
  }
}
