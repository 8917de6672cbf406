/** What plugins on trial (`"shadow": true`) would have done to the mail of some days, from its traces. */
import type { TraceEntry } from '../../core/pipeline/request.ts';
import type { VerdictAction } from '../../core/session/verdict.ts';
import type { WalkTrace } from '../flow/house.ts';
import { formatTable } from './table.ts';

type Judged = Exclude<VerdictAction, 'continue'>;

export interface Trial {
  readonly plugin: string;
  /** Messages (transactions) that it saw. */
  messages: number;
  /** How many it would have treated otherwise than they were. */
  readonly verdicts: Record<Judged, number>;
  /** The latest of each, to ask `explain` about. */
  readonly examples: Record<Judged, string[]>;
  /** Messages that it would have edited, or stored elsewhere. */
  edited: number;
  /** Messages that it gave points, and their sum. */
  scored: number;
  scoreSum: number;
  failed: number;
  /** Of all its calls. */
  milliseconds: number;
}

const examplesMax = 5;

/** In the order in which the plugins are met. */
export function sumUpShadows(traces: Iterable<WalkTrace>): Trial[] {
  const trials = new Map<string, Trial>();
  for (const { id, entries } of traces) {
    // Of a record too large to be kept whole a text is in its place.
    const kept: readonly TraceEntry[] = Array.isArray(entries) ? entries : [];
    const seen = new Set<Trial>();
    for (const { shadow, plugin, verdict, edits, actions, score, failure, ms } of kept) {
      if (shadow !== true) continue;
      const trial = trials.get(plugin) ?? begin(plugin);
      trials.set(plugin, trial);
      if (!seen.has(trial)) trial.messages += 1;
      seen.add(trial);
      trial.milliseconds += ms;
      if (failure !== undefined) trial.failed += 1;
      else if (verdict !== undefined && verdict.action !== 'continue') {
        trial.verdicts[verdict.action] += 1;
        const examples = trial.examples[verdict.action];
        examples.push(id);
        if (examples.length > examplesMax) examples.shift();
      }
      if ((edits?.length ?? 0) + (actions?.length ?? 0) > 0) trial.edited += 1;
      if (score !== undefined && score !== 0) {
        trial.scored += 1;
        trial.scoreSum += score;
      }
    }
  }
  return [...trials.values()];
}

function begin(plugin: string): Trial {
  return {
    plugin,
    messages: 0,
    verdicts: { accept: 0, reject: 0, tempfail: 0, discard: 0, quarantine: 0 },
    examples: { accept: [], reject: [], tempfail: [], discard: [], quarantine: [] },
    edited: 0,
    scored: 0,
    scoreSum: 0,
    failed: 0,
    milliseconds: 0,
  };
}

/** Without a last line end. */
export function tellShadows(trials: readonly Trial[]): string {
  if (trials.length === 0)
    return 'No plugin was on trial in that time ("shadow": true in its entry of the pipeline).';
  const table = formatTable(trials, [
    { title: 'plugin', value: ({ plugin }) => plugin },
    { title: 'messages', value: ({ messages }) => messages, align: 'right' },
    { title: 'would reject', value: ({ verdicts }) => verdicts.reject, align: 'right' },
    { title: 'tempfail', value: ({ verdicts }) => verdicts.tempfail, align: 'right' },
    { title: 'hold', value: ({ verdicts }) => verdicts.quarantine, align: 'right' },
    { title: 'drop', value: ({ verdicts }) => verdicts.discard, align: 'right' },
    { title: 'edit', value: ({ edited }) => edited, align: 'right' },
    { title: 'score', value: ({ scored }) => scored, align: 'right' },
    {
      title: 'mean',
      value: ({ scored, scoreSum }) => (scored === 0 ? '' : (scoreSum / scored).toFixed(1)),
      align: 'right',
    },
    { title: 'failed', value: ({ failed }) => failed, align: 'right' },
    {
      title: 'ms',
      value: ({ messages, milliseconds }) => (milliseconds / messages).toFixed(1),
      align: 'right',
    },
  ]);
  return [table.trimEnd(), ...trials.flatMap(examplesOf)].join('\n');
}

function examplesOf({ plugin, examples }: Trial): string[] {
  return Object.entries(examples).flatMap(([action, ids]) =>
    ids.length === 0 ? [] : [`${plugin}, ${action}: ${ids.join(' ')}`],
  );
}
