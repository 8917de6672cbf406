/**
 * One folder of a Maildir. The files are the truth: names give messages and flags, Dovecot's list gives UIDs, and other
 * programs may change all of it at any time. https://cr.yp.to/proto/maildir.html, Maildir++
 */
import { linkSync, mkdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import { crlfLength } from '../crlf.ts';
import type { EngineContext, FolderEngine, MessagePlace, ReceivedMessage, Transferred } from '../engine.ts';
import { flagBit, flagNames, isKeyword, isSystemFlag } from '../flags.ts';
import { FolderBook, type FoundMessage } from '../folder-book.ts';
import { keyOf } from '../index/key.ts';
import type { FilledColumn } from '../mailbox.ts';
import { MailboxError } from '../mailbox-error.ts';
import { addKeywords, readKeywords } from '../maildir-flags.ts';
import { octetsAt } from '../read-place.ts';
import { tombstonesNeededMs, writeTombstones } from '../tombstones.ts';
import { baseOf, crlfOctetsOf, deliveryNameOf, flagBitsOf, octetsOf, withFlags } from './file-name.ts';
import { Listing, type Part, parts } from './listing.ts';
import { UidBook } from './uid-book.ts';
import { uniqueName } from './unique-name.ts';

/** A file that lies in `cur` and is to become a message of the folder. */
interface Incoming {
  /** Name in `cur`, flags included. */
  readonly name: string;
  readonly size: number;
  readonly internalDate?: number;
}

export class MaildirFolder implements FolderEngine {
  readonly directory: string;
  readonly book: FolderBook;
  /** True once the folder is gone, or its UIDs were begun anew: to be opened again. */
  isGone = false;
  /** Sessions that have it selected for writing: only then new mail goes to `cur`. */
  writers = 0;
  readonly #context: EngineContext;
  readonly #listing: Listing;
  readonly #uids: UidBook;
  /** Path below the directory, by UID. */
  readonly #paths = new Map<number, string>();
  /** Those whose file lies in `new`. */
  readonly #inNew = new Set<number>();
  #keywordsStamp = '';

  /** @param directory absolute: holds cur, new and tmp */
  static async open(directory: string, context: EngineContext): Promise<MaildirFolder> {
    // A power cut may have left a part of a new folder.
    for (const part of ['cur', 'new', 'tmp'])
      mkdirSync(join(directory, part), { recursive: true, mode: 0o700 });
    const listing = new Listing(directory);
    const files = new Map<string, string>();
    // First new, then cur: a message on its way is seen once at least.
    for (const part of ['new', 'cur'] as const)
      for (const name of listing.look(part)) files.set(baseOf(name), `${part}/${name}`);
    const uids = await UidBook.open(directory, [...files.keys()], context.clock);
    return new MaildirFolder(directory, context, listing, uids, files);
  }

  private constructor(
    directory: string,
    context: EngineContext,
    listing: Listing,
    uids: UidBook,
    files: ReadonlyMap<string, string>,
  ) {
    this.directory = directory;
    this.#context = context;
    this.#listing = listing;
    this.#uids = uids;
    const messages: FoundMessage[] = [];
    for (const [uid, base] of uids.entries()) {
      const path = files.get(base)!;
      this.#setPath(uid, path);
      messages.push(found(uid, path));
    }
    this.#keywordsStamp = keywordsStamp(this.directory);
    this.book = new FolderBook({
      index: context.index,
      clock: context.clock,
      mailboxId: uids.mailboxId,
      uidValidity: uids.uidValidity,
      uidNext: uids.uidNext,
      keywords: keywordNames(readKeywords(this.directory)),
      recentFrom: messages.find(({ uid }) => this.#paths.get(uid)!.startsWith('new/'))?.uid ?? uids.uidNext,
      messages,
    });
  }

  get watched(): readonly string[] {
    return parts.map((part) => join(this.directory, part));
  }

  placeOf(uid: number): MessagePlace | undefined {
    const path = this.#pathOf(uid);
    return path === undefined ? undefined : { path };
  }

  /** Absolute path of a message, as it is known; undefined when there is none. */
  #pathOf(uid: number): string | undefined {
    const path = this.#paths.get(uid);
    return path === undefined ? undefined : join(this.directory, path);
  }

  /** When something may be hidden by a change of our own: epoch milliseconds, infinite for never. */
  get lookDueAt(): number {
    return this.#listing.dueAt;
  }

  async refresh(how?: 'surely'): Promise<void> {
    if (this.isGone) return;
    try {
      this.#refreshKeywords();
      const changed = how === 'surely' ? parts : this.#listing.changed();
      if (changed.length > 0) await this.#look(changed);
      if (this.writers > 0) this.#takeNew();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
      if (statSync(join(this.directory, 'cur'), { throwIfNoEntry: false })) throw error;
      this.isGone = true;
    }
  }

  #refreshKeywords(): void {
    const stamp = keywordsStamp(this.directory);
    if (stamp === this.#keywordsStamp) return;
    this.#keywordsStamp = stamp;
    this.book.setKeywords(keywordNames(readKeywords(this.directory)));
  }

  async #look(changed: readonly Part[], listing: 'old' | 'last' = 'old'): Promise<void> {
    let difference = this.#compare(changed);
    // What is not where it was may be elsewhere, and a name that changes during a listing may be missed by it.
    if (difference.missing.length > 0) difference = this.#compare(parts);
    if (difference.missing.length > 0) {
      const again = this.#compare(parts);
      const gone = new Set(again.missing);
      difference = { ...again, missing: difference.missing.filter((uid) => gone.has(uid)) };
    }
    const { fresh, moved, missing } = difference;
    let modseq: number | undefined;
    for (const [uid, path] of moved) {
      this.#setPath(uid, path);
      const index = this.book.state.indexOf(uid);
      const flags = flagBitsOf(path);
      if (flags !== this.book.state.flagsAt(index)) {
        modseq ??= this.book.change();
        this.book.setFlags(index, flags, modseq);
      }
    }
    this.#forget(missing);
    if (fresh.size > 0) await this.#welcome(fresh, listing);
  }

  #compare(looked: readonly Part[]): Difference {
    const { state } = this.book;
    const seen = new Uint8Array(state.count);
    const fresh = new Map<string, string>();
    const moved: [number, string][] = [];
    // New first: where a name is in both, the one in cur counts.
    for (const part of ['new', 'cur'] as const) {
      if (!looked.includes(part)) continue;
      for (const name of this.#listing.look(part)) {
        const path = `${part}/${name}`;
        const base = baseOf(name);
        const uid = this.#uids.uidOf(base);
        if (uid === undefined) {
          fresh.set(base, path);
          continue;
        }
        seen[state.indexOf(uid)] = 1;
        if (this.#paths.get(uid) !== path) moved.push([uid, path]);
      }
    }
    const missing: number[] = [];
    for (let index = 0; index < state.count; index += 1) {
      if (seen[index]) continue;
      const uid = state.uidAt(index);
      if (looked.length === 2 || this.#paths.get(uid)!.startsWith(looked[0]!)) missing.push(uid);
    }
    return { fresh, moved, missing };
  }

  #forget(uids: readonly number[]): void {
    if (uids.length === 0) return;
    this.book.remove(uids);
    this.#uids.remove(uids);
    for (const uid of uids) {
      this.#paths.delete(uid);
      this.#inNew.delete(uid);
    }
  }

  /** Files that appeared are given UIDs, by us or as another program gave them. */
  async #welcome(files: ReadonlyMap<string, string>, listing: 'old' | 'last'): Promise<void> {
    const given = await this.#uids.give([...files.keys()], 'by arrival', listing);
    if (given === 'look again') return this.#look(parts, 'last');
    if (given === 'begun anew') {
      this.isGone = true;
      return;
    }
    for (const { uid, base } of given) this.#setPath(uid, files.get(base)!);
    this.book.add(given.map(({ uid, base }) => found(uid, files.get(base)!)));
    this.book.state.uidNext = this.#uids.uidNext;
  }

  #setPath(uid: number, path: string): void {
    this.#paths.set(uid, path);
    if (path.startsWith('new/')) this.#inNew.add(uid);
    else this.#inNew.delete(uid);
  }

  /** Mail in `new` goes to `cur` once a session has it. */
  #takeNew(): void {
    if (this.#inNew.size === 0) return;
    for (const uid of [...this.#inNew]) {
      const path = this.#paths.get(uid)!;
      const target = `cur/${withFlags(path.slice(4), flagBitsOf(path))}`;
      if (this.#rename(path, target)) this.#setPath(uid, target);
    }
    this.#listing.changedByUs();
  }

  /** False when the file is not there any more. @throws system errors */
  #rename(from: string, to: string): boolean {
    try {
      renameSync(join(this.directory, from), join(this.directory, to));
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return false;
    }
  }

  /**
   * Bits for flags, keywords that are new to the folder included.
   * @param create false passes over keywords that the folder does not have
   * @throws MailboxError LIMIT when all letters are taken, INUSE when another program holds their list
   */
  bitsFor(flags: readonly string[], create: boolean): number {
    const missing = flags.filter((flag) => isKeyword(flag) && flagBit(flag, this.book.state.keywords) === 0);
    if (create && missing.length > 0) {
      const list = addKeywords(this.directory, missing);
      if (!list) throw new MailboxError('INUSE', 'another program holds the keywords');
      this.#keywordsStamp = keywordsStamp(this.directory);
      this.book.setKeywords(keywordNames(list));
    }
    let bits = 0;
    for (const flag of flags) {
      const bit = flagBit(flag, this.book.state.keywords);
      if (bit === 0 && create && (isKeyword(flag) || isSystemFlag(flag)))
        throw new MailboxError('LIMIT', 'no room for more keywords in this folder');
      bits |= bit;
    }
    return bits >>> 0;
  }

  async setFlags(uids: readonly number[], change: (flags: number) => number): Promise<number[]> {
    const lost: number[] = [];
    let modseq: number | undefined;
    for (const uid of uids) {
      const path = this.#paths.get(uid);
      const index = this.book.state.indexOf(uid);
      if (path === undefined || index < 0) continue;
      const before = this.book.state.flagsAt(index);
      const after = change(before);
      if (after === before) continue;
      const target = `cur/${withFlags(path.slice(4), after)}`;
      if (!this.#rename(path, target)) {
        lost.push(uid);
        continue;
      }
      this.#setPath(uid, target);
      modseq ??= this.book.change();
      this.book.setFlags(index, after, modseq);
    }
    if (modseq !== undefined) this.#listing.changedByUs();
    return lost;
  }

  async remove(uids: readonly number[]): Promise<{ uids: number[]; octets: number }> {
    const now = this.#context.clock.now();
    const files = uids.map((uid) => ({ uid, path: this.#pathOf(uid) })).filter(({ path }) => path);
    const stats = files.map(({ path }) => statSync(path!, { throwIfNoEntry: false }));
    const recent = files.filter((_, at) => (stats[at]?.ctimeMs ?? 0) > now - tombstonesNeededMs);
    this.#mourn(recent.map(({ path }) => path!));
    // Where another program renamed a file in this instant, it is found again as a new message.
    for (const { path } of files) rmSync(path!, { force: true });
    const gone = files.map(({ uid }) => uid);
    this.#left(gone);
    return { uids: gone, octets: stats.reduce((sum, stat) => sum + (stat?.size ?? 0), 0) };
  }

  #mourn(paths: readonly string[]): void {
    const { tombstones, clock } = this.#context;
    if (tombstones === undefined) return;
    writeTombstones(
      tombstones,
      paths.map((path) => deliveryNameOf(basename(path))),
      clock.now(),
    );
  }

  /** Files that left `cur` and `new`. */
  #left(uids: readonly number[]): void {
    if (uids.length === 0) return;
    this.#forget(uids);
    this.#listing.changedByUs();
  }

  async receive(messages: readonly ReceivedMessage[]): Promise<number[]> {
    const files: Incoming[] = messages.map(({ octets, crlfOctets, flags, internalDate }) => {
      const base = `${uniqueName(this.#context.clock.now())},S=${octets},W=${crlfOctets}`;
      return { name: withFlags(base, this.bitsFor(flags, true)), size: crlfOctets, internalDate };
    });
    return this.#takeAll(files, (file, at) => {
      const { path, internalDate } = messages[at]!;
      utimesSync(path, internalDate / 1000, internalDate / 1000);
      renameSync(path, join(this.directory, 'cur', file.name));
    });
  }

  async transfer(source: FolderEngine, uids: readonly number[], how: 'copy' | 'move'): Promise<Transferred> {
    if (!(source instanceof MaildirFolder)) throw new Error('folders of two formats');
    const found = uids.flatMap((uid) => {
      const path = source.#pathOf(uid);
      return path === undefined ? [] : [{ uid, path, flags: source.#flagNamesOf(uid) }];
    });
    const from: number[] = [];
    const files: Incoming[] = [];
    let octets = 0;
    try {
      for (const { uid, path, flags } of found) {
        // A message that moves keeps its name: by it the journal's replay knows that it is there.
        const name = how === 'move' && source !== this ? basename(path) : this.#copyName(path);
        const target = withFlags(name, this.bitsFor(flags, true));
        if (!this.#place(path, target, how)) continue;
        from.push(uid);
        octets += octetsOf(target) || statSync(join(this.directory, 'cur', target)).size;
        files.push({ name: target, ...source.#knownOf(uid) });
      }
      if (how === 'move') source.#left(from);
      const to = await this.#take(files);
      return { from, to, addedOctets: how === 'copy' ? octets : 0 };
    } catch (error) {
      if (how === 'copy')
        for (const { name } of files) rmSync(join(this.directory, 'cur', name), { force: true });
      throw error;
    }
  }

  /** Another name for the same octets, sizes kept. */
  #copyName(path: string): string {
    const sizes = /,[SW]=\d+/g;
    return uniqueName(this.#context.clock.now()) + (baseOf(basename(path)).match(sizes) ?? []).join('');
  }

  /** Links or moves a file into `cur`. @returns false when it was gone */
  #place(path: string, name: string, how: 'copy' | 'move'): boolean {
    const target = join(this.directory, 'cur', name);
    try {
      if (how === 'copy') linkSync(path, target);
      else renameSync(path, target);
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || statSync(path, { throwIfNoEntry: false })) throw error;
      return false;
    }
  }

  #flagNamesOf(uid: number): string[] {
    const { state } = this.book;
    const index = state.indexOf(uid);
    return index < 0 ? [] : flagNames(state.flagsAt(index), state.keywords);
  }

  #knownOf(uid: number): { size: number; internalDate: number } {
    const { columns } = this.book.state;
    const index = this.book.state.indexOf(uid);
    if (index < 0) return { size: Number.NaN, internalDate: Number.NaN };
    return { size: columns.size[index]!, internalDate: columns.internalDate[index]! };
  }

  /** Puts each file in its place and gives them UIDs; takes all back when one fails. */
  async #takeAll(files: readonly Incoming[], put: (file: Incoming, at: number) => void): Promise<number[]> {
    let placed = 0;
    try {
      for (const file of files) {
        put(file, placed);
        placed += 1;
      }
      return await this.#take(files);
    } catch (error) {
      for (const { name } of files.slice(0, placed))
        rmSync(join(this.directory, 'cur', name), { force: true });
      throw error;
    }
  }

  octetsOf(uids: readonly number[]): number {
    let octets = 0;
    for (const uid of uids) {
      const path = this.#pathOf(uid);
      if (path === undefined) continue;
      const named = octetsOf(path);
      octets += Number.isNaN(named) ? (statSync(path, { throwIfNoEntry: false })?.size ?? 0) : named;
    }
    return octets;
  }

  async sync(): Promise<void> {
    const directory = join(this.directory, 'cur');
    const { directorySync } = this.#context;
    await Promise.all([directorySync.sync(directory), directorySync.syncNamesTo(directory)]);
  }

  fill(uids: readonly number[], columns: readonly FilledColumn[]): void {
    const { state } = this.book;
    const { size, internalDate, saveDate } = state.columns;
    const dates = columns.some((column) => column !== 'size');
    for (const uid of uids) {
      const index = state.indexOf(uid);
      if (index < 0) continue;
      if (columns.includes('size') && Number.isNaN(size[index]!)) {
        const octets = octetsAt({ path: this.#pathOf(uid)! });
        if (octets) size[index] = crlfLength(octets);
        this.book.filled(uid);
      }
      if (!dates || !(Number.isNaN(internalDate[index]!) || Number.isNaN(saveDate[index]!))) continue;
      const stat = statSync(this.#pathOf(uid)!, { throwIfNoEntry: false });
      if (!stat) continue;
      internalDate[index] = Math.floor(stat.mtimeMs);
      // The time of the last change of name is what there is where nobody saw the message come.
      if (Number.isNaN(saveDate[index]!)) saveDate[index] = Math.floor(stat.ctimeMs);
      this.book.filled(uid);
    }
  }

  uidlOf(uid: number): string {
    const hex = (value: number) => value.toString(16).padStart(8, '0');
    return this.#uids.fieldOf(uid, 'P') ?? hex(uid) + hex(this.book.state.uidValidity);
  }

  /** Files put into `cur` become messages, in this order. @returns their UIDs @throws MailboxError INUSE */
  async #take(files: readonly Incoming[]): Promise<number[]> {
    const byBase = new Map(files.map((file) => [baseOf(file.name), file]));
    const given = await this.#uids.give([...byBase.keys()], 'as listed', 'old');
    if (given === 'look again') await this.#look(parts, 'last');
    else if (given === 'begun anew') this.isGone = true;
    else {
      const messages = given.map(({ uid, base }) => {
        const { name, size, internalDate } = byBase.get(base)!;
        this.#setPath(uid, `cur/${name}`);
        return { ...found(uid, `cur/${name}`), size, internalDate };
      });
      this.book.add(messages);
      this.book.state.uidNext = this.#uids.uidNext;
      this.#listing.changedByUs();
    }
    if (this.isGone) throw new MailboxError('UNAVAILABLE', 'the folder was made anew by another program');
    const uids = [...byBase.keys()].map((base) => this.#uids.uidOf(base));
    if (uids.includes(undefined)) throw new MailboxError('EXPUNGEISSUED', 'expunged by another program');
    return uids.filter((uid) => uid !== undefined);
  }

  close(): void {
    this.#uids.close();
    this.book.close();
  }
}

interface Difference {
  /** Bases that have no UID, and their paths. */
  readonly fresh: Map<string, string>;
  readonly moved: [number, string][];
  readonly missing: number[];
}

function found(uid: number, path: string): FoundMessage {
  const name = path.slice(4);
  return { uid, flags: flagBitsOf(name), key: keyOf(baseOf(name)), size: crlfOctetsOf(name) };
}

function keywordNames(list: ReadonlyMap<number, string>): string[] {
  const names: string[] = [];
  for (const [index, name] of list) {
    while (names.length < index) names.push('');
    names[index] = name;
  }
  return Array.from(names, (name) => name ?? '');
}

function keywordsStamp(directory: string): string {
  const stat = statSync(join(directory, 'dovecot-keywords'), { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : '';
}
