/** What became of a message, then and with another config, and which plugins make the difference. */
import type { TraceEntry } from '../../../core/pipeline/request.ts';
import type { StoredTrace } from '../../../core/state/trace-store.ts';
import type { WalkTrace } from '../../flow/house.ts';
import { describeVerdict } from '../story.ts';
import type { Played } from './play.ts';

export interface Difference {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly from: string;
  readonly messageId: string;
  readonly then: string;
  readonly now: string;
  /** Plugins that judge otherwise, with what they say now. */
  readonly because: readonly string[];
  /** Edits of the first walk that the stored copy still carries. */
  readonly kept: readonly string[];
}

/** Undefined where the message would have fared the same. */
export function compare(
  old: StoredTrace<WalkTrace>,
  played: Played,
  kept: readonly string[],
): Difference | undefined {
  const then = fateOf(old, foldersThen(old));
  const now = fateOf(played.trace, foldersNow(played));
  if (then === now) return undefined;
  return {
    id: old.id,
    at: old.at,
    from: old.envelope.sender,
    messageId: old.messageId,
    then,
    now,
    because: changedPlugins(old.entries, played.trace.entries),
    kept,
  };
}

/** The outcome, the refusal's code, and where the copies lie. */
function fateOf({ outcome, replies }: WalkTrace, folders: readonly string[]): string {
  const refusals = replies.filter(({ code }) => code >= 400);
  const words = new Set(refusals.map(({ code, enhanced = '', text }) => `${code} ${enhanced} ${text}`));
  const places = [...new Set(folders)].sort();
  return [outcome, ...words, ...(places.length > 0 ? [`in ${places.join(', ')}`] : [])].join(' ');
}

function foldersThen({ parts }: StoredTrace<WalkTrace>): string[] {
  return parts.flatMap(({ event, mailbox }) => (event === 'stored' ? [String(mailbox)] : []));
}

function foldersNow({ accepted }: Played): string[] {
  return (accepted?.stores ?? []).map(({ folder }) => folder);
}

function changedPlugins(then: readonly TraceEntry[], now: readonly TraceEntry[]): string[] {
  const [before, after] = [judgements(then), judgements(now)];
  const names = new Set([...after.keys(), ...before.keys()]);
  return [...names].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    if (was === is) return [];
    return [`${name}: ${is ?? 'is not asked'}${was === undefined || was === '' ? '' : ` (was ${was})`}`];
  });
}

/** By plugin: verdicts, points and places, '' for a plugin that lets everything pass. */
function judgements(entries: readonly TraceEntry[]): Map<string, string> {
  const found = new Map<string, string[]>();
  for (const { plugin, verdict, score, actions = [], failure, shadow } of entries) {
    if (shadow === true) continue;
    const words = found.get(plugin) ?? [];
    found.set(plugin, words);
    if (failure) words.push(`failed: ${failure.message}`);
    else if (verdict && verdict.action !== 'continue') words.push(describeVerdict(verdict));
    if (score !== undefined && score !== 0) words.push(`${score > 0 ? '+' : ''}${score}`);
    for (const action of actions) if ('mailbox' in action) words.push(`${action.type} ${action.mailbox}`);
  }
  return new Map([...found].map(([plugin, words]) => [plugin, words.join(', ')]));
}
