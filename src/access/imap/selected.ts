/** The mailbox that a session has selected: what it was told of it, and what it is due to be told. RFC 9051 section 7.5, RFC 7162. */
import { deletedBit, flagNames, type Keywords, systemFlags } from '../../mailbox/flags.ts';
import type { Folder } from '../../mailbox/mailbox.ts';
import type { NumberRange } from '../../mailbox/search-query.ts';
import { FolderView, type ViewChanges } from '../../mailbox/view.ts';
import { isInRanges, resolveSet, type SequenceSet } from './parse/sequence-set.ts';
import { bad } from './refusal.ts';

export class Selected {
  /** Another one after a RENAME of this session, with the same messages. */
  folder: Folder;
  readonly view: FolderView;
  /** The result that SEARCH saved, as UIDs in ascending order. RFC 5182. */
  saved: Uint32Array = new Uint32Array(0);
  /** UIDs that are `\Recent` for this session. */
  readonly #recent: NumberRange[] = [];
  readonly #flagTexts = new FlagTexts();
  #keywords = '';
  /** Messages whose flags changed while the client did not want to hear of it. */
  readonly #heldFlags = new Set<number>();

  constructor(folder: Folder) {
    this.folder = folder;
    this.view = new FolderView(folder.snapshot);
    this.claimRecent();
    this.#keywords = this.#keywordText();
  }

  /** Messages that came are `\Recent` for who asks first. */
  claimRecent(): void {
    const { first, end } = this.folder.claimRecent();
    if (end > first) this.#recent.push({ first, last: end - 1 });
  }

  forgetSaved(): void {
    this.saved = new Uint32Array(0);
  }

  get recentRanges(): readonly NumberRange[] {
    return this.#recent;
  }

  isRecent(uid: number): boolean {
    return this.#recent.length > 0 && isInRanges(uid, this.#recent);
  }

  countRecent(): number {
    let count = 0;
    for (const { first, last } of this.#recent) {
      const { uids } = this.view;
      for (let index = lowerBound(uids, first); index < uids.length && uids[index]! <= last; index += 1) {
        count += 1;
      }
    }
    return count;
  }

  /** True once after the folder got keywords that the client has not been told. */
  hasNewKeywords(): boolean {
    const text = this.#keywordText();
    if (text === this.#keywords) return false;
    this.#keywords = text;
    return true;
  }

  /** Flags of the FLAGS response. */
  definedFlags(): string[] {
    return [...systemFlags, ...this.view.snapshot.keywords.filter((keyword) => keyword !== '')];
  }

  permanentFlags(): string[] {
    if (this.folder.readOnly) return [];
    return this.folder.acceptsKeywords ? [...this.definedFlags(), '\\*'] : this.definedFlags();
  }

  /** The flags of a message with spaces between them. */
  flagsText(seq: number, withRecent: boolean): string {
    const text = this.#flagTexts.of(this.view.flagBits(seq), this.view.snapshot.keywords);
    if (!withRecent || !this.isRecent(this.view.uidAt(seq))) return text;
    return text === '' ? '\\Recent' : `${text} \\Recent`;
  }

  /** 0 when the message is gone. */
  modseqOf(seq: number): number {
    const index = this.view.indexAt(seq);
    return index < 0 ? 0 : this.view.snapshot.modseq(index);
  }

  /** Numbers of messages with `\Deleted`. */
  deletedUids(): number[] {
    const uids: number[] = [];
    for (let seq = 1; seq <= this.view.count; seq += 1) {
      if (this.view.flagBits(seq) & deletedBit) uids.push(this.view.uidAt(seq));
    }
    return uids;
  }

  /**
   * UIDs of a set, ascending. Message numbers that are not there are an error of the client (RFC 9051 section 6.4.5);
   * UIDs that are not there are passed over (section 6.4.9).
   */
  uidsOf(set: SequenceSet, asUids: boolean): Uint32Array {
    if (set === 'saved') return this.saved.filter((uid) => this.view.seqOf(uid) > 0);
    const { uids } = this.view;
    if (asUids) return takeUids(uids, resolveSet(set, uids.at(-1) ?? 0));
    this.#checkNumbers(set);
    const parts = resolveSet(set, this.view.count)
      .filter(({ last }) => last > 0)
      .map(({ first, last }) => uids.subarray(Math.max(first, 1) - 1, Math.min(last, uids.length)));
    return parts.length === 1 ? parts[0]! : joined(parts);
  }

  /** Takes in what the folder knows by now. @param expunge whether message numbers may change */
  update(expunge: boolean): ViewChanges {
    const changes = this.view.update(this.folder.snapshot, { expunge });
    if (changes.added > 0) this.claimRecent();
    return changes;
  }

  /** @returns messages whose flags are to be told now: all of them, those that were held among them, or none */
  holdFlags(changed: readonly number[], hold: boolean): readonly number[] {
    if (hold) for (const uid of changed) this.#heldFlags.add(uid);
    if (hold || this.#heldFlags.size === 0) return hold ? [] : changed;
    const all = [...new Set([...this.#heldFlags, ...changed])];
    this.#heldFlags.clear();
    return all;
  }

  #checkNumbers(set: Exclude<SequenceSet, 'saved'>): void {
    const { count } = this.view;
    for (const [first, last] of set) {
      const least = Math.min(first, last);
      const most = Math.max(first, last);
      // `n:*` names the last message where n is past it.
      const isOpen = most === Number.POSITIVE_INFINITY;
      if (isOpen ? false : most > count || least > count) throw bad('there is no message of that number');
    }
  }

  #keywordText(): string {
    return this.folder.snapshot.keywords.join(' ');
  }
}

/** Most messages have one of a few sets of flags. */
class FlagTexts {
  readonly #texts = new Map<number, string>();
  #keywords: Keywords = [];

  of(bits: number, keywords: Keywords): string {
    if (keywords !== this.#keywords) {
      this.#keywords = keywords;
      this.#texts.clear();
    }
    let text = this.#texts.get(bits);
    if (text === undefined) {
      text = flagNames(bits, keywords).join(' ');
      if (this.#texts.size < flagTextsMax) this.#texts.set(bits, text);
    }
    return text;
  }
}

const flagTextsMax = 256;

function takeUids(uids: Uint32Array, ranges: readonly NumberRange[]): Uint32Array {
  const parts = ranges.map(({ first, last }) => {
    return uids.subarray(lowerBound(uids, first), lowerBound(uids, last + 1));
  });
  return parts.length === 1 ? parts[0]! : joined(parts);
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function lowerBound(values: Uint32Array, wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
