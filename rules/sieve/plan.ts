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
  | 'discard';

export interface Entry {
  readonly kind: EntryKind;
  readonly at: RunPlace;
  /** The action, or none where it turns out at the end that there is nothing to do. Asked once the scripts are through. */
  finish(): SieveAction | undefined;
  /** Two entries of one kind with the same key are one action. */
  readonly key?: string;
}

const delivers: ReadonlySet<EntryKind> = new Set(['keep', 'store', 'redirect']);

export class Plan {
  readonly entries: Entry[] = [];
  /** True until an action cancels it. */
  implicitKeep = true;
  readonly #limits: Pick<SieveLimits, 'actionsMax' | 'redirectsMax' | 'notifiesMax'>;

  constructor(limits: Pick<SieveLimits, 'actionsMax' | 'redirectsMax' | 'notifiesMax'>) {
    this.#limits = limits;
  }

  /** @throws Fault where the action is one too many or goes with none that is there. */
  add(entry: Entry): void {
    this.#checkConflicts(entry);
    const same = entry.key === undefined ? -1 : this.entries.findIndex((each) => each.key === entry.key);
    if (same >= 0) {
      // The first keeps its place, the last says how: RFC 5232 section 6 for flags.
      this.entries[same] = { ...entry, at: this.entries[same]!.at, kind: this.entries[same]!.kind };
      return;
    }
    this.#checkLimits(entry);
    this.entries.push(entry);
  }

  #checkConflicts(entry: Entry): void {
    for (const other of this.entries) {
      const refuses = (kind: EntryKind) => kind === 'reject' || kind === 'ereject';
      if (refuses(entry.kind) && refuses(other.kind))
        throw new Fault(
          `duplicate reject/ereject action not allowed (previously triggered one was here: ${where(other)})`,
        );
      if (entry.kind === 'vacation' && other.kind === 'vacation')
        throw new Fault(
          `duplicate vacation action not allowed (previously triggered one was here: ${where(other)})`,
        );
      if (refuses(entry.kind) !== refuses(other.kind)) {
        const mate = refuses(entry.kind) ? other : entry;
        const reason = delivers.has(mate.kind)
          ? 'tries to deliver the message'
          : mate.kind === 'vacation'
            ? 'also sends a response to the sender'
            : undefined;
        // RFC 5429 section 2.1, 2.2.
        if (reason)
          throw new Fault(
            `reject/ereject action conflicts with other action: the ${mate.kind} action (${where(mate)}) ${reason}`,
          );
      }
    }
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

function where(entry: Entry): string {
  return `${entry.at.script}: line ${entry.at.line}`;
}
