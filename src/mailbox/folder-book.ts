/**
 * What is known of one folder's messages: the state in memory, and behind it the index, written shortly after. Formats
 * tell it what they find; it gives modseqs and keeps what the format cannot. RFC 7162.
 */
import { readBootId, unknownBoot } from '../../core/base/boot-id.ts';
import type { Clock } from '../../core/base/clock.ts';
import { indexRowsPerTurn, indexSaveDelayMs } from '../../core/base/limits/mailbox.ts';
import { FolderState } from './folder-state.ts';
import type { FolderIndex, FolderRow, MessageRow } from './index/folder-index.ts';

/** A message as its format has it. */
export interface FoundMessage {
  readonly uid: number;
  readonly flags: number;
  readonly key: number;
  /** Octets with CRLF line ends, or NaN. */
  readonly size: number;
  readonly internalDate?: number;
  /** Epoch milliseconds; where absent, now for a message that just came. */
  readonly saveDate?: number;
}

export interface FolderBookOptions {
  readonly index: FolderIndex;
  readonly clock: Clock;
  readonly mailboxId: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly keywords: readonly string[];
  /** First UID that no session was told of, as far as the format tells: for a folder that the index does not know. */
  readonly recentFrom: number;
  /** Ascending by UID. */
  readonly messages: readonly FoundMessage[];
}

const bootId = readBootId();

export class FolderBook {
  readonly state = new FolderState();
  readonly mailboxId: string;
  readonly #index: FolderIndex;
  readonly #clock: Clock;
  readonly #unsaved = new Set<number>();
  #expunged: { uid: number; modseq: number }[] = [];
  #historyFrom = 0;
  /** The index counts the folder as left in order, so that it would believe its highest modseq. */
  #markedClean = false;
  #headerUnsaved = false;
  #generation: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FolderBookOptions) {
    this.#index = options.index;
    this.#clock = options.clock;
    this.mailboxId = options.mailboxId;
    this.state.uidValidity = options.uidValidity;
    this.state.uidNext = options.uidNext;
    this.state.keywords = options.keywords;
    this.#load(options);
    this.#generation = this.#index.generation;
  }

  #load(options: FolderBookOptions): void {
    const { state } = this;
    const now = this.#clock.now();
    const loaded = this.#index.load(this.mailboxId, state.uidValidity);
    const believed = loaded !== undefined && loaded.cleanInBoot === bootId && bootId !== unknownBoot;
    this.#markedClean = believed;
    state.highestModseq = loaded?.highestModseq ?? 1;
    // The last that were told may not have been written.
    if (!believed) state.nextModseq(now);
    this.#historyFrom = loaded?.historyFrom ?? state.highestModseq;
    state.firstRecentUid = loaded?.firstRecentUid ?? options.recentFrom;
    this.#merge(options.messages, loaded?.messages ?? []);
    if (!loaded) this.#headerUnsaved = true;
    if (!loaded || this.#headerUnsaved) this.#saveLater();
  }

  /** One modseq for all that changed while nobody looked. */
  #merge(messages: readonly FoundMessage[], rows: readonly MessageRow[]): void {
    let modseq: number | undefined;
    const changed = () => (modseq ??= this.change());
    let at = 0;
    for (const message of messages) {
      for (; at < rows.length && rows[at]![0] < message.uid; at += 1)
        this.#expunged.push({ uid: rows[at]![0], modseq: changed() });
      const row = rows[at]?.[0] === message.uid ? rows[at++]! : undefined;
      const same = row !== undefined && row[1] === message.flags;
      this.state.add({
        ...message,
        modseq: same ? row[2] : changed(),
        size: Number.isNaN(message.size) ? (row?.[3] ?? Number.NaN) : message.size,
        internalDate: message.internalDate ?? row?.[4] ?? undefined,
        saveDate: row?.[5] ?? message.saveDate,
      });
      if (!same) this.#unsaved.add(message.uid);
    }
    for (; at < rows.length; at += 1) this.#expunged.push({ uid: rows[at]![0], modseq: changed() });
  }

  /** A modseq for what is about to change. */
  change(): number {
    this.#headerUnsaved = true;
    if (this.#markedClean) {
      // Before anybody is told the new one: after a crash the old one must not be believed.
      this.#markedClean = false;
      this.#index.save(this.mailboxId, this.state.uidValidity, {
        folder: this.#row(''),
        messages: [],
        expunged: [],
      });
    }
    const modseq = this.state.nextModseq(this.#clock.now());
    this.#saveLater();
    return modseq;
  }

  /** Messages that came; their UIDs are above all others, ascending. */
  add(messages: readonly FoundMessage[]): void {
    if (messages.length === 0) return;
    const modseq = this.change();
    for (const message of messages) {
      this.state.add({ ...message, modseq, saveDate: message.saveDate ?? this.#clock.now() });
      this.state.uidNext = Math.max(this.state.uidNext, message.uid + 1);
      this.#unsaved.add(message.uid);
    }
  }

  setFlags(index: number, flags: number, modseq: number): void {
    this.state.setFlags(index, flags, modseq);
    this.#unsaved.add(this.state.uidAt(index));
    this.#saveLater();
  }

  /** Messages that are gone. */
  remove(uids: readonly number[]): void {
    if (uids.length === 0) return;
    const modseq = this.change();
    this.state.remove(new Set(uids));
    for (const uid of uids) {
      this.#unsaved.delete(uid);
      this.#expunged.push({ uid, modseq });
    }
  }

  setKeywords(keywords: readonly string[]): void {
    this.state.keywords = keywords;
    this.state.changed();
  }

  claimRecent(end: number): void {
    if (end <= this.state.firstRecentUid) return;
    this.state.firstRecentUid = end;
    this.state.changed();
    this.#headerUnsaved = true;
    this.#saveLater();
  }

  /** Sizes and dates that were filled in. */
  filled(uid: number): void {
    this.#unsaved.add(uid);
    this.#saveLater();
  }

  /** UIDs expunged after that modseq, or undefined where nobody remembers. */
  expungedSince(modseq: number): number[] | undefined {
    this.#saveSome(Number.POSITIVE_INFINITY);
    return this.#index.expungedSince(this.mailboxId, modseq);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#saveSome(Number.POSITIVE_INFINITY, bootId);
  }

  /** The folder was deleted. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#unsaved.clear();
    this.#index.forget(this.mailboxId);
  }

  #saveLater(): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#saveSome(indexRowsPerTurn);
      if (this.#unsaved.size > 0) this.#saveLater();
    }, indexSaveDelayMs);
    this.#timer.unref();
  }

  #saveSome(rowsMax: number, cleanInBoot = ''): void {
    if (this.#generation !== this.#index.generation) this.#saveAllAgain();
    const uids: number[] = [];
    for (const uid of this.#unsaved) {
      if (uids.length >= rowsMax) break;
      uids.push(uid);
    }
    if (uids.length === 0 && this.#expunged.length === 0 && !this.#headerUnsaved && cleanInBoot === '')
      return;
    for (const uid of uids) this.#unsaved.delete(uid);
    const messages = uids.map((uid) => this.#messageRow(uid)).filter((row) => row !== undefined);
    const folder = this.#row(cleanInBoot);
    this.#index.save(this.mailboxId, this.state.uidValidity, { folder, messages, expunged: this.#expunged });
    this.#expunged = [];
    this.#headerUnsaved = false;
    this.#markedClean = cleanInBoot !== '';
  }

  /** The index was begun anew meanwhile: of expunges before now nothing is known. */
  #saveAllAgain(): void {
    this.#generation = this.#index.generation;
    this.#historyFrom = this.state.highestModseq;
    this.#expunged = [];
    for (let index = 0; index < this.state.count; index += 1) this.#unsaved.add(this.state.uidAt(index));
  }

  #row(cleanInBoot: string): FolderRow {
    const { highestModseq, firstRecentUid } = this.state;
    return { highestModseq, firstRecentUid, historyFrom: this.#historyFrom, cleanInBoot };
  }

  #messageRow(uid: number): MessageRow | undefined {
    const index = this.state.indexOf(uid);
    if (index < 0) return undefined;
    const { flags, modseq, size, internalDate, saveDate } = this.state.columns;
    const orNull = (value: number) => (Number.isNaN(value) ? null : value);
    return [
      uid,
      flags[index]!,
      modseq[index]!,
      orNull(size[index]!),
      orNull(internalDate[index]!),
      orNull(saveDate[index]!),
    ];
  }
}
