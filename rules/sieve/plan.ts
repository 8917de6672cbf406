/** The actions that a run has come to so far: duplicates, conflicts and limits. RFC 5228 section 2.10. */
import type { SieveAction } from './actions.ts';
import type { RunPlace } from './compiler.ts';
import { Fault } from './fault.ts';
import type { SieveLimits } from './limits.ts';

export type EntryKind =
  | 'keep'
  | 'store'
  | 'redirect'
  | 'reject'
  | 'ereject'
  | 'vacation'
  | 'notify'
  | 'pipe'
  | 'report'
  | 'discard';

export interface Entry {
  readonly kind: EntryKind;
  readonly at: RunPlace;
  /** The action, or none where it turns out at the end that there is nothing to do. Asked once the scripts are through. */
  finish(): SieveAction | undefined;
  /** Two entries of one kind with the same key are one action. */
  readonly key?: string;
}

const delivers: ReadonlySet<EntryKind> = new Set(['keep', 'store', 'redirect', 'pipe']);

export class Plan {
  readonly entries: Entry[] = [];
  /** True until an action cancels it. */
  implicitKeep = true;
  /** Entries up to here are of scripts that ran before the present one. */
  #earlier = 0;
  readonly #limits: Pick<SieveLimits, 'actionsMax' | 'redirectsMax' | 'notifiesMax'>;

  constructor(limits: Pick<SieveLimits, 'actionsMax' | 'redirectsMax' | 'notifiesMax'>) {
    this.#limits = limits;
  }

  /** Another script runs, as the message is still to be kept: the keep of those before has said no more than that. */
  beginScript(): void {
    const keep = this.entries.findIndex((entry) => entry.kind === 'keep');
    if (keep >= 0) this.entries.splice(keep, 1);
    this.#earlier = this.entries.length;
    this.implicitKeep = true;
  }

  /** True while the message is to be kept, by a command or because nothing else was asked for. */
  get keeps(): boolean {
    return this.implicitKeep || this.entries.some((entry) => entry.kind === 'keep');
  }

  /**
   * @param cancelsKeep the action stands in place of the implicit keep
   * @throws Fault where the action is one too many or does not go with another of the same script
   */
  add(entry: Entry, cancelsKeep = false): void {
    const conflict = this.#findConflict(entry);
    if (conflict?.isEarlier) return;
    if (conflict) throw new Fault(conflict.message);
    if (cancelsKeep) this.implicitKeep = false;
    const same = entry.key === undefined ? -1 : this.entries.findIndex((each) => each.key === entry.key);
    if (same >= 0) {
      // The first keeps its place, the last says how: RFC 5232 section 6 for flags.
      this.entries[same] = { ...entry, at: this.entries[same]!.at, kind: this.entries[same]!.kind };
      return;
    }
    this.#checkLimits(entry);
    this.entries.push(entry);
  }

  /** Takes back what was added. */
  drop(entry: Entry): void {
    const at = this.entries.indexOf(entry);
    if (at < 0) return;
    this.entries.splice(at, 1);
    if (at < this.#earlier) this.#earlier--;
  }

  /** What an earlier script has decided stands, and what does not go with it is left out. */
  #findConflict(entry: Entry): { message: string; isEarlier: boolean } | undefined {
    for (const [index, other] of this.entries.entries()) {
      const message = conflictOf(entry, other);
      if (message !== undefined) return { message, isEarlier: index < this.#earlier };
    }
    return undefined;
  }

  #checkLimits(entry: Entry): void {
    const total = this.entries.length + 1;
    if (total > this.#limits.actionsMax)
      throw new Fault(`total number of actions exceeds policy limit (${total} > ${this.#limits.actionsMax})`);
    this.#checkLimit(entry, 'redirect', this.#limits.redirectsMax);
    this.#checkLimit(entry, 'notify', this.#limits.notifiesMax);
  }

  #checkLimit(entry: Entry, kind: EntryKind, max: number): void {
    if (entry.kind !== kind) return;
    const count = this.entries.filter((each) => each.kind === kind).length + 1;
    if (count > max) throw new Fault(`number of ${kind} actions exceeds policy limit (${count} > ${max})`);
  }
}

function refuses({ kind }: Entry): boolean {
  return kind === 'reject' || kind === 'ereject';
}

/** Why two actions cannot be in one result. RFC 5429 sections 2.1 and 2.2, RFC 5230 section 4.7. */
function conflictOf(entry: Entry, other: Entry): string | undefined {
  const before = `(previously triggered one was here: ${where(other)})`;
  if (refuses(entry) && refuses(other)) return `duplicate reject/ereject action not allowed ${before}`;
  if (entry.kind === 'vacation' && other.kind === 'vacation')
    return `duplicate vacation action not allowed ${before}`;
  if (entry.kind === 'pipe' && entry.key === other.key)
    return `duplicate pipe action for the same program not allowed ${before}`;
  if (refuses(entry) === refuses(other)) return undefined;
  const mate = refuses(entry) ? other : entry;
  const sends = mate.kind === 'vacation' ? 'also sends a response to the sender' : undefined;
  const reason = delivers.has(mate.kind) ? 'tries to deliver the message' : sends;
  if (reason === undefined) return undefined;
  return `reject/ereject action conflicts with other action: the ${mate.kind} action (${where(mate)}) ${reason}`;
}

function where(entry: Entry): string {
  return `${entry.at.script}: line ${entry.at.line}`;
}
