/** Searches whose result a client keeps up to date: ADDTO and REMOVEFROM. RFC 5267 section 4.3. */
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { ViewChanges } from '../../mailbox/view.ts';
import type { Session } from './session.ts';
import { setText } from './write/text.ts';

export interface Context {
  /** Of the command that made it. */
  readonly tag: string;
  readonly uid: boolean;
  /** True where positions have a meaning. */
  readonly isSorted: boolean;
  /** Finds it anew: UIDs in the result's order. */
  find(): Promise<Uint32Array>;
}

interface Kept extends Context {
  result: number[];
}

export class Contexts {
  readonly #session: Session;
  readonly #kept = new Map<string, Kept>();
  #isStale = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @returns false where the session has as many as it may */
  add(context: Context, result: ArrayLike<number>): boolean {
    if (this.#kept.size >= imapLimits.contextsMax) return false;
    this.#kept.set(context.tag, { ...context, result: Array.from(result) });
    return true;
  }

  /** CANCELUPDATE. */
  remove(tag: string): void {
    this.#kept.delete(tag);
  }

  has(tag: string): boolean {
    return this.#kept.has(tag);
  }

  clear(): void {
    this.#kept.clear();
  }

  changed({ expunged, added, changed }: ViewChanges): void {
    if (this.#kept.size === 0) return;
    if (expunged.length > 0 || added > 0 || changed.length > 0) this.#isStale = true;
  }

  /** Before the EXPUNGE responses: afterwards the numbers mean other messages. RFC 5267 section 4.3.4. */
  expunging(expunged: ViewChanges['expunged']): void {
    for (const context of this.#kept.values()) {
      for (const { seq, uid } of expunged) {
        const at = context.result.indexOf(uid);
        if (at < 0) continue;
        context.result.splice(at, 1);
        this.#write(context, 'REMOVEFROM', at, context.uid ? uid : seq);
      }
    }
  }

  /** Tells what changed since the last time. */
  async tell(): Promise<void> {
    if (!this.#isStale) return;
    this.#isStale = false;
    for (const context of this.#kept.values()) {
      const found = await context.find();
      if (this.#kept.get(context.tag) === context) this.#compare(context, found);
    }
  }

  #compare(context: Kept, found: Uint32Array): void {
    const { view } = this.#session.selected;
    const next = new Set(found);
    const number = (uid: number) => (context.uid ? uid : view.seqOf(uid));
    for (let at = context.result.length - 1; at >= 0; at -= 1) {
      const uid = context.result[at]!;
      if (next.has(uid)) continue;
      context.result.splice(at, 1);
      if (view.seqOf(uid) > 0) this.#write(context, 'REMOVEFROM', at, number(uid));
    }
    const before = new Set(context.result);
    for (let at = 0; at < found.length; at += 1) {
      const uid = found[at]!;
      if (before.has(uid) || view.seqOf(uid) === 0) continue;
      context.result.splice(at, 0, uid);
      this.#write(context, 'ADDTO', at, number(uid));
    }
  }

  #write({ tag, uid, isSorted }: Kept, what: 'ADDTO' | 'REMOVEFROM', at: number, number: number): void {
    const position = isSorted ? at + 1 : 0;
    const form = uid ? ' UID' : '';
    this.#session.untagged(`ESEARCH (TAG "${tag}")${form} ${what} (${position} ${setText([number])})`);
  }
}
