/**
 * One mbox file as a folder. The file is the truth: UIDs, flags and keywords stand in its headers, as UW IMAP and Dovecot
 * write them, and other programs may append to it or write it anew at any time, under the same locks. RFC 4155
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, OperationalError } from '../../../core/base/errors.ts';
import { keywordsMax, mboxAccessLockWaitMs } from '../../../core/base/limits/mailbox.ts';
import { writeAllSync } from '../../../core/base/write-all.ts';
import { crlfLength } from '../crlf.ts';
import type { EngineContext, FolderEngine, MessagePlace, ReceivedMessage, Transferred } from '../engine.ts';
import { flagBit, flagNames, isKeyword, isSystemFlag, systemFlags } from '../flags.ts';
import { FolderBook, type FoundMessage } from '../folder-book.ts';
import { keyOf } from '../index/key.ts';
import type { FilledColumn } from '../mailbox.ts';
import { MailboxError } from '../mailbox-error.ts';
import { lockMbox } from '../mbox-lock.ts';
import { tombstonesNeededMs, writeTombstones } from '../tombstones.ts';
import { nextUidValidity } from '../uid-validity.ts';
import { composed, contentOf, withBlock } from './compose.ts';
import { type BlockValues, fieldBlockOf } from './fields.ts';
import { fromLine } from './format.ts';
import type { Identities, Identity } from './identities.ts';
import { type MboxMessage, parseMbox } from './parse.ts';
import { mendMbox, readRange, replaceEnd } from './rewrite.ts';

const systemMask = (1 << systemFlags.length) - 1;

export interface MboxFolderOptions {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly identities: Identities;
  readonly context: EngineContext;
}

/** The file as it was read or written last. */
interface Known {
  readonly stamp: string;
  /** In the order of UIDs, one for each of the state. */
  readonly messages: readonly MboxMessage[];
}

/** A message that is to be put at the end. */
interface Arrival {
  readonly content: Buffer;
  readonly fromLine: string;
  readonly flags: readonly string[];
  readonly internalDate: number;
}

export class MboxFolder implements FolderEngine {
  isGone = false;
  writers = 0;
  readonly #options: MboxFolderOptions;
  readonly #redoPath: string;
  #identity: Identity;
  #book: FolderBook | undefined;
  #known: Known = { stamp: '', messages: [] };

  static async open(options: MboxFolderOptions): Promise<MboxFolder> {
    const folder = new MboxFolder(options);
    await folder.refresh();
    return folder;
  }

  private constructor(options: MboxFolderOptions) {
    this.#options = options;
    this.#redoPath = redoPathOf(options.path);
    const { identities, name, context } = options;
    this.#identity =
      identities.get(name) ??
      identities.set(name, { uidValidity: nextUidValidity(context.clock), uidEnd: 1 });
  }

  get book(): FolderBook {
    return this.#book!;
  }

  get watched(): readonly string[] {
    return [this.#options.path];
  }

  /** A file that takes its place is not told of. */
  get lookDueAt(): number {
    return 0;
  }

  async refresh(): Promise<void> {
    if (this.isGone || (this.#book && this.#stamp() === this.#known.stamp)) return;
    if (this.#book && this.#stamp() === '' && this.#options.name !== 'INBOX') {
      this.isGone = true;
      return;
    }
    try {
      await this.#locked(() => {});
    } catch (error) {
      if (!this.isGone) throw error;
    }
  }

  #stamp(): string {
    const stat = statSync(this.#options.path, { throwIfNoEntry: false });
    return stat ? stampOf(stat) : '';
  }

  /** Under both locks, with what others changed taken in. @throws MailboxError INUSE; system errors */
  async #locked<T>(work: (fd: number) => T): Promise<T> {
    const lock = await this.#lock();
    try {
      mendMbox(lock.fd, this.#redoPath);
      if (!this.#book || stampOf(fstatSync(lock.fd)) !== this.#known.stamp) this.#take(lock.fd);
      if (this.isGone) throw new MailboxError('UNAVAILABLE', 'the folder was made anew by another program');
      return work(lock.fd);
    } finally {
      lock.release();
    }
  }

  async #lock() {
    try {
      return await lockMbox(this.#options.path, mboxAccessLockWaitMs);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      throw new MailboxError('INUSE', 'another program holds the folder');
    }
  }

  /** Reads the file: finds what is new, changed and gone, and numbers what is new. */
  #take(fd: number): void {
    const text = readRange(fd, 0, fstatSync(fd).size);
    const { messages, base, pseudo } = parseMbox(text);
    if (base && this.#book && base.uidValidity !== this.#book.state.uidValidity) {
      this.isGone = true;
      return;
    }
    const uidValidity = base?.uidValidity ?? this.#identity.uidValidity;
    const sameLife = uidValidity === this.#identity.uidValidity;
    // Without the folder's own field nobody knows how far UIDs were given, but for what was set aside.
    const uidsGiven = Math.max(base?.lastUid ?? 0, !base && sameLife ? this.#identity.uidEnd - 1 : 0);
    const uidNext = Math.max(this.#book?.state.uidNext ?? 1, uidsGiven + 1);
    const keywords = keywordList(this.#book?.state.keywords ?? base?.keywords ?? [], messages);
    const numbered = this.#number(messages, uidNext);
    this.#tell(messages, numbered, { uidValidity, uidNext, keywords });
    const firstUnnumbered = messages.findIndex(({ uid }, at) => uid !== numbered[at]);
    const baseIsRight =
      base && base.lastUid + 1 >= this.book.state.uidNext && sameNames(base.keywords, keywords);
    if (firstUnnumbered < 0 && (baseIsRight || messages.length === 0) && !pseudo) {
      this.#known = { stamp: stampOf(fstatSync(fd)), messages };
      return;
    }
    this.#known = { stamp: '', messages };
    const changed = new Set(numbered.filter((_, at) => firstUnnumbered >= 0 && at >= firstUnnumbered));
    this.#write(fd, text, changed, pseudo?.start);
  }

  /** UIDs in the order of the file: those that stand in it where they can be believed, else new ones. */
  #number(messages: readonly MboxMessage[], uidNext: number): number[] {
    let next = uidNext;
    let last = 0;
    let anew = false;
    const known = this.#book?.state;
    const numbers = messages.map(({ uid }) => {
      // A UID that is not above the one before, that nobody gave, or whose message went, came with the message.
      const isGone = known !== undefined && uid < known.uidNext && known.indexOf(uid) < 0;
      anew ||= uid <= last || uid >= uidNext || isGone;
      last = anew ? next++ : uid;
      return last;
    });
    this.#reserve(next);
    return numbers;
  }

  /** UIDs are on disk in the file before anybody is told; this is for a file that loses them. */
  #reserve(uidNext: number): void {
    if (uidNext <= this.#identity.uidEnd) return;
    this.#identity = this.#options.identities.set(this.#options.name, {
      uidValidity: this.#identity.uidValidity,
      uidEnd: uidNext + 100,
    });
  }

  #tell(
    messages: readonly MboxMessage[],
    uids: readonly number[],
    folder: { uidValidity: number; uidNext: number; keywords: readonly string[] },
  ): void {
    const { uidValidity, uidNext, keywords } = folder;
    const found = messages.map((message, at): FoundMessage => {
      const key = keyOf(`${this.#identity.mailboxId} ${uidValidity} ${uids[at]}`);
      const { internalDate = this.#options.context.clock.now() } = message;
      return { uid: uids[at]!, flags: bitsOf(message, keywords), key, size: Number.NaN, internalDate };
    });
    const end = Math.max(uidNext, (uids.at(-1) ?? 0) + 1);
    if (!this.#book) {
      if (uidValidity !== this.#identity.uidValidity)
        this.#identity = this.#options.identities.set(this.#options.name, { uidValidity, uidEnd: end });
      const { index, clock } = this.#options.context;
      const { mailboxId } = this.#identity;
      const recentFrom = uidNext;
      this.#book = new FolderBook({
        ...{ index, clock, mailboxId, uidValidity, keywords, recentFrom },
        uidNext: end,
        messages: found,
      });
      return;
    }
    const { state } = this.#book;
    const there = new Set(uids);
    this.#book.remove([...state.columns.uid.subarray(0, state.count)].filter((uid) => !there.has(uid)));
    let modseq: number | undefined;
    for (const { uid, flags } of found) {
      const index = state.indexOf(uid);
      if (index < 0 || state.flagsAt(index) === flags) continue;
      modseq ??= this.#book.change();
      this.#book.setFlags(index, flags, modseq);
    }
    this.#book.add(found.filter(({ uid }) => state.indexOf(uid) < 0));
    if (!sameNames(state.keywords, keywords)) this.#book.setKeywords(keywords);
    state.uidNext = end;
  }

  /**
   * Writes the fields of these messages as the state has them, and the folder's in the first: in place where the room is
   * there, else with everything behind them. Synced when it returns.
   * @param from offset from which all is to be written; the messages' own where absent
   */
  #write(fd: number, text: Buffer, uids: ReadonlySet<number>, from?: number): void {
    const { messages } = this.#known;
    const inPlace: { at: number; block: string }[] = [];
    let rewriteFrom = from === undefined ? messages.length : 0;
    for (const [index, message] of messages.entries()) {
      // The first always: it holds what the folder has given.
      if (index > 0 && !uids.has(this.book.state.uidAt(index))) continue;
      const field = message.fields.length === 1 ? message.fields[0]! : undefined;
      const block = field && fieldBlockOf(this.#valuesAt(index), field.end - field.start);
      if (block !== undefined) inPlace.push({ at: field!.start, block });
      else rewriteFrom = Math.min(rewriteFrom, index);
    }
    const offset = from ?? messages[rewriteFrom]?.start ?? text.length;
    for (const { at, block } of inPlace) if (at < offset) writeAllSync(fd, [Buffer.from(block)], at);
    fsyncSync(fd);
    if (rewriteFrom < messages.length) {
      const end = messages
        .slice(rewriteFrom)
        .flatMap((message, at) => withBlock(text, message, this.#valuesAt(rewriteFrom + at)));
      replaceEnd(fd, this.#redoPath, offset, Buffer.concat(end));
    }
    this.#look(fd);
  }

  /** Reads where everything lies after a write of our own. */
  #look(fd: number): void {
    const stat = fstatSync(fd);
    const { messages } = parseMbox(readRange(fd, 0, stat.size));
    // A program that takes no lock wrote in the same instant: everything is looked at again.
    const isOurs = messages.length === this.book.state.count;
    this.#known = { stamp: isOurs ? stampOf(stat) : '', messages };
  }

  #valuesAt(index: number): BlockValues {
    const { state } = this.book;
    const keywords = [
      ...flagNames(state.flagsAt(index) & ~systemMask, state.keywords),
      ...(this.#known.messages[index]?.keywords ?? []).filter((name) => flagBit(name, state.keywords) === 0),
    ];
    return {
      uid: state.uidAt(index),
      flags: state.flagsAt(index),
      keywords,
      ...(index === 0 && { base: this.#base() }),
    };
  }

  #base() {
    const { uidValidity, uidNext, keywords } = this.book.state;
    return { uidValidity, lastUid: uidNext - 1, keywords: keywords.filter((name) => name !== '') };
  }

  bitsFor(flags: readonly string[], create: boolean): number {
    const { state } = this.book;
    const names = [...state.keywords];
    for (const flag of create ? flags : []) {
      if (!isKeyword(flag) || flagBit(flag, names) !== 0) continue;
      if (names.length >= keywordsMax)
        throw new MailboxError('LIMIT', 'no room for more keywords in this folder');
      names.push(flag);
    }
    if (names.length > state.keywords.length) this.book.setKeywords(names);
    return flags.reduce(
      (bits, flag) => (isKeyword(flag) || isSystemFlag(flag) ? (bits | flagBit(flag, names)) >>> 0 : bits),
      0,
    );
  }

  async setFlags(uids: readonly number[], change: (flags: number) => number): Promise<readonly number[]> {
    return this.#locked((fd) => {
      const { state } = this.book;
      const changed = new Set<number>();
      let modseq: number | undefined;
      for (const uid of uids) {
        const index = state.indexOf(uid);
        if (index < 0 || change(state.flagsAt(index)) === state.flagsAt(index)) continue;
        modseq ??= this.book.change();
        this.book.setFlags(index, change(state.flagsAt(index)), modseq);
        changed.add(uid);
      }
      if (changed.size > 0) this.#write(fd, readRange(fd, 0, fstatSync(fd).size), changed);
      return [];
    });
  }

  async remove(uids: readonly number[]): Promise<{ uids: readonly number[]; octets: number }> {
    return this.#locked((fd) => {
      const { state } = this.book;
      const { messages } = this.#known;
      const text = readRange(fd, 0, fstatSync(fd).size);
      const gone = uids.filter((uid) => state.indexOf(uid) >= 0);
      if (gone.length === 0) return { uids: gone, octets: 0 };
      const indexes = gone.map((uid) => state.indexOf(uid));
      this.#mourn(
        text,
        indexes.map((index) => messages[index]!),
      );
      const first = Math.min(...indexes);
      const removed = new Set(indexes);
      const kept = messages.filter((_, index) => !removed.has(index));
      const offset = messages[first]!.start;
      const octets = indexes.reduce((sum, index) => sum + messages[index]!.end - messages[index]!.start, 0);
      this.book.remove(gone);
      this.#known = { stamp: '', messages: kept };
      if (kept.length === 0) this.#rememberEnd();
      const end = kept.slice(first).flatMap((message, at) => {
        // Only the new first one gets other fields: the folder's.
        if (first + at > 0) return [text.subarray(message.start, message.end)];
        return withBlock(text, message, this.#valuesAt(0));
      });
      replaceEnd(fd, this.#redoPath, offset, Buffer.concat(end));
      this.#look(fd);
      return { uids: gone, octets };
    });
  }

  /** An empty file tells nothing of the UIDs that were given. */
  #rememberEnd(): void {
    const { uidValidity, uidNext } = this.book.state;
    this.#identity = this.#options.identities.set(this.#options.name, { uidValidity, uidEnd: uidNext });
  }

  /** Notes what the journal's replay would look for. */
  #mourn(text: Buffer, messages: readonly MboxMessage[]): void {
    const { tombstones, clock } = this.#options.context;
    if (tombstones === undefined) return;
    const since = clock.now() - tombstonesNeededMs;
    const recent = messages.filter(({ internalDate = since }) => internalDate >= since);
    const ids = recent.map((message) => deliveryIdOf(text, message));
    writeTombstones(
      tombstones,
      ids.filter((id) => id !== undefined),
      clock.now(),
    );
  }

  receive(messages: readonly ReceivedMessage[]): Promise<readonly number[]> {
    return this.#append(
      messages.map(({ path, flags, internalDate }) => ({
        content: readFileSync(path),
        fromLine: fromLine('', internalDate),
        flags,
        internalDate,
      })),
    );
  }

  async #append(arrivals: readonly Arrival[]): Promise<readonly number[]> {
    if (arrivals.length === 0) return [];
    return this.#locked((fd) => {
      const { state } = this.book;
      const size = fstatSync(fd).size;
      const isFirst = state.count === 0;
      const found = arrivals.map(({ flags, internalDate }, at): FoundMessage => {
        const uid = state.uidNext + at;
        const key = keyOf(`${this.#identity.mailboxId} ${state.uidValidity} ${uid}`);
        return { uid, flags: this.bitsFor(flags, true), key, size: Number.NaN, internalDate };
      });
      this.#reserve(state.uidNext + arrivals.length);
      const texts: Buffer[] = [];
      let lastTwo: Uint8Array = readRange(fd, Math.max(0, size - 2), size);
      for (const [at, { content, fromLine: line }] of arrivals.entries()) {
        const { uid, flags } = found[at]!;
        const base =
          isFirst && at === 0 ? { ...this.#base(), lastUid: uid + arrivals.length - 1 } : undefined;
        const keywords = flagNames(flags & ~systemMask, state.keywords);
        const text = composed(content, line, { uid, flags, keywords, base }, lastTwo);
        texts.push(text);
        lastTwo = text.subarray(-2);
      }
      try {
        writeAllSync(fd, texts, size);
        fsyncSync(fd);
      } catch (error) {
        ftruncateSync(fd, size);
        throw error;
      }
      this.book.add(found);
      this.#look(fd);
      // The first message tells how far UIDs were given; until then the ones in the new messages do.
      if (!isFirst) this.#write(fd, readRange(fd, 0, fstatSync(fd).size), new Set());
      return found.map(({ uid }) => uid);
    });
  }

  async transfer(source: FolderEngine, uids: readonly number[], how: 'copy' | 'move'): Promise<Transferred> {
    if (!(source instanceof MboxFolder)) throw new Error('folders of two formats');
    const from: number[] = [];
    const arrivals: Arrival[] = [];
    for (const uid of uids) {
      const arrival = source.#arrivalOf(uid);
      if (!arrival) continue;
      from.push(uid);
      arrivals.push(arrival);
    }
    const to = await this.#append(arrivals);
    // Stored first, then removed: a crash between the two leaves both.
    if (how === 'move') await source.remove(from);
    const addedOctets = how === 'copy' ? arrivals.reduce((sum, { content }) => sum + content.length, 0) : 0;
    return { from, to, addedOctets };
  }

  #arrivalOf(uid: number): Arrival | undefined {
    const index = this.book.state.indexOf(uid);
    const text = index < 0 ? undefined : this.#textOf(index);
    if (!text) return undefined;
    const { internalDate = this.#options.context.clock.now() } = this.#known.messages[index]!;
    const message = relative(this.#known.messages[index]!);
    return {
      content: contentOf(text, message),
      fromLine: text.toString('latin1', 0, message.headerStart),
      flags: flagNames(this.book.state.flagsAt(index), this.book.state.keywords),
      internalDate,
    };
  }

  /** The message as it stands in the file; undefined when the file has changed since it was looked at. */
  #textOf(index: number): Buffer | undefined {
    const message = this.#known.messages[index];
    if (!message || this.#known.stamp === '') return undefined;
    let fd: number;
    try {
      fd = openSync(this.#options.path, 'r');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const { start, end } = message;
      const text = readRange(fd, start, end);
      // After the read: what another program wrote meanwhile is not taken for the message.
      return stampOf(fstatSync(fd)) === this.#known.stamp && text.length === end - start ? text : undefined;
    } finally {
      closeSync(fd);
    }
  }

  read(uid: number): Uint8Array | undefined {
    const index = this.book.state.indexOf(uid);
    const text = index < 0 ? undefined : this.#textOf(index);
    return text && contentOf(text, relative(this.#known.messages[index]!));
  }

  placeOf(uid: number): MessagePlace | undefined {
    const octets = this.read(uid);
    return octets && { octets };
  }

  octetsOf(uids: readonly number[]): number {
    return uids.reduce((sum, uid) => {
      const message = this.#known.messages[this.book.state.indexOf(uid)];
      return message ? sum + message.end - message.start : sum;
    }, 0);
  }

  /** Every change is synced when it is made. */
  async sync(): Promise<void> {}

  fill(uids: readonly number[], columns: readonly FilledColumn[]): void {
    const { state } = this.book;
    const { size, saveDate, internalDate } = state.columns;
    for (const uid of uids) {
      const index = state.indexOf(uid);
      if (index < 0) continue;
      if (columns.includes('size') && Number.isNaN(size[index]!)) {
        const octets = this.read(uid);
        if (octets) size[index] = crlfLength(octets);
      }
      // Nobody saw it come: the time of the From_ line is when it was delivered.
      if (Number.isNaN(saveDate[index]!)) saveDate[index] = internalDate[index]!;
      this.book.filled(uid);
    }
  }

  uidlOf(uid: number): string {
    const hex = (value: number) => value.toString(16).padStart(8, '0');
    return hex(uid) + hex(this.book.state.uidValidity);
  }

  close(): void {
    this.book.close();
  }
}

/** Beside the mbox, where no folder can be. */
export function redoPathOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.mailfilter-redo`);
}

function stampOf({ ino, size, mtimeMs }: { ino: number; size: number; mtimeMs: number }): string {
  return `${ino} ${size} ${mtimeMs}`;
}

/** Offsets from the message's own start. */
function relative(message: MboxMessage): MboxMessage {
  const { start } = message;
  return {
    ...message,
    start: 0,
    headerStart: message.headerStart - start,
    bodyStart: message.bodyStart - start,
    bodyEnd: message.bodyEnd - start,
    end: message.end - start,
    fields: message.fields.map((field) => ({ start: field.start - start, end: field.end - start })),
  };
}

/** Those that are known keep their place; new ones follow as long as there is room. */
function keywordList(known: readonly string[], messages: readonly MboxMessage[]): readonly string[] {
  const names = known.slice(0, keywordsMax);
  for (const { keywords } of messages) {
    for (const keyword of keywords) {
      if (names.length < keywordsMax && isKeyword(keyword) && flagBit(keyword, names) === 0)
        names.push(keyword);
    }
  }
  return names;
}

function bitsOf({ flags, keywords }: MboxMessage, names: readonly string[]): number {
  return keywords.reduce((bits, keyword) => (bits | flagBit(keyword, names)) >>> 0, flags);
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const [first, second] = [a.filter((name) => name !== ''), b.filter((name) => name !== '')];
  return first.length === second.length && first.every((name, at) => name === second[at]);
}

/** By it the journal's replay knows a copy in an mbox. */
export function deliveryIdOf(text: Buffer, { headerStart, bodyStart }: MboxMessage): string | undefined {
  const header = text.toString('latin1', headerStart, bodyStart);
  return /^X-Mailfilter-Delivery: (\S+)$/m.exec(header)?.[1];
}
