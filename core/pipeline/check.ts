/** Checks a pipeline before any mail runs through it: options, order of effects, and what the doors cannot do. */
import { isAbsolute } from 'node:path';
import { describeError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { checkOptions, describeOptionError } from '../plugin/check-options.ts';
import { kindOf } from '../plugin/effects.ts';
import type { PipelineEntry } from '../plugin/entry.ts';
import type { EffectName, PluginManifest } from '../plugin/hooks.ts';
import { type DoorName, doors, type HookName, hookNames } from '../session/powers.ts';

export interface PipelineProblem {
  /** A note is worth knowing; an error keeps the pipeline from being used. */
  readonly severity: 'error' | 'note';
  /** JSON pointer in the config: `/pipelines/inbound/2/options/zone`. */
  readonly pointer: string;
  readonly message: string;
}

export interface CheckedPipeline {
  /** Options of each entry, defaults filled in. */
  readonly options: readonly Readonly<Record<string, Json>>[];
  readonly problems: readonly PipelineProblem[];
}

/** Entries that one number of a call can tell apart. */
const entriesMax = 255;

/**
 * @param pipeline name in the config
 * @param manifests one for each entry, in order
 * @param doorNames the doors whose mail runs through it; none: only what holds for every door is checked
 */
export function checkPipeline(
  pipeline: string,
  entries: readonly PipelineEntry[],
  manifests: readonly PluginManifest[],
  doorNames: readonly DoorName[] = [],
): CheckedPipeline {
  const base = `/pipelines/${pipeline}`;
  const problems: PipelineProblem[] = [];
  if (entries.length > entriesMax)
    problems.push({ severity: 'error', pointer: base, message: `more than ${entriesMax} plugins` });
  const options = entries.map((entry, index) =>
    checkEntry(`${base}/${index}`, entry, manifests[index]!, problems),
  );
  problems.push(...checkOrder(base, manifests), ...checkDoors(base, manifests, doorNames));
  return { options, problems };
}

function checkEntry(
  pointer: string,
  entry: PipelineEntry,
  manifest: PluginManifest,
  problems: PipelineProblem[],
): Readonly<Record<string, Json>> {
  try {
    const { options, errors } = checkOptions(manifest, entry.options, { trusted: !isAbsolute(entry.plugin) });
    for (const error of errors) {
      const told = describeOptionError(error);
      problems.push({
        severity: 'error',
        pointer: `${pointer}/options${told.pointer}`,
        message: `plugin ${manifest.name}: ${told.message}`,
      });
    }
    return options;
  } catch (error) {
    problems.push({ severity: 'error', pointer, message: describeError(error) });
    return entry.options;
  }
}

/** Hooks that see or change the message that goes on; deliver changes a copy, after all of them. */
const messageHooks: readonly HookName[] = ['headers', 'message', 'send'];

/** verify -> score -> mutate -> sign: an edit before a verifier, or after a signer, makes its answer wrong. */
function checkOrder(base: string, manifests: readonly PluginManifest[]): PipelineProblem[] {
  const problems: PipelineProblem[] = [];
  for (const [index, editor] of manifests.entries()) {
    if (!changesMessage(editor)) continue;
    for (const [otherIndex, other] of manifests.entries()) {
      if (otherIndex === index) continue;
      const kind = kindOf(other);
      if (kind === 'verify' && changesWhat(editor, other) && runsBefore(editor, index, other, otherIndex)) {
        problems.push(
          orderProblem(base, index, editor, other, 'edits the message before', 'has verified it'),
        );
      }
      if (kind === 'sign' && kindOf(editor) !== 'sign' && runsBefore(other, otherIndex, editor, index)) {
        problems.push(orderProblem(base, index, editor, other, 'edits the message after', 'has signed it'));
      }
    }
  }
  return problems;
}

function orderProblem(
  base: string,
  index: number,
  editor: PluginManifest,
  other: PluginManifest,
  does: string,
  has: string,
): PipelineProblem {
  return {
    severity: 'error',
    pointer: `${base}/${index}`,
    message: `plugin ${editor.name} ${does} ${other.name} ${has}; the order is verify, score, mutate, sign`,
  };
}

function changesMessage(manifest: PluginManifest): boolean {
  const kind = kindOf(manifest);
  if (!manifest.hooks.some((hook) => messageHooks.includes(hook))) return false;
  const { writes } = manifest.effects;
  if (writes === undefined) return kind === 'mutate' || kind === 'sign';
  return writes.some((effect) => effect === 'body' || effect.startsWith('header:'));
}

/** Does what one writes overlap with what the other reads? Nothing declared means everything. */
function changesWhat(
  { effects: { writes } }: PluginManifest,
  { effects: { reads } }: PluginManifest,
): boolean {
  if (writes === undefined || reads === undefined) return true;
  return writes.some((write) => reads.some((read) => overlaps(write, read)));
}

function overlaps(left: EffectName, right: EffectName): boolean {
  if (left.startsWith('header:') && right.startsWith('header:')) {
    return left === 'header:*' || right === 'header:*' || left.toLowerCase() === right.toLowerCase();
  }
  return left === right;
}

/** Does any message hook of the first run ahead of any of the second? Stages come before places in the list. */
function runsBefore(
  first: PluginManifest,
  firstIndex: number,
  second: PluginManifest,
  secondIndex: number,
): boolean {
  return first.hooks.some((hook) =>
    second.hooks.some((other) => {
      if (!messageHooks.includes(hook) || !messageHooks.includes(other)) return false;
      const stages = hookNames.indexOf(hook) - hookNames.indexOf(other);
      return stages < 0 || (stages === 0 && firstIndex < secondIndex);
    }),
  );
}

function checkDoors(
  base: string,
  manifests: readonly PluginManifest[],
  doorNames: readonly DoorName[],
): PipelineProblem[] {
  return doorNames.flatMap((door) =>
    manifests.flatMap((manifest, index): PipelineProblem[] => {
      const { powers, hooks } = doors[door];
      const missing = manifest.needs.filter((power) => !powers.includes(power));
      const silent = manifest.hooks.filter((hook) => !hooks.includes(hook) && !raisedByHouse.includes(hook));
      const pointer = `${base}/${index}`;
      const note = (message: string): PipelineProblem => ({ severity: 'note', pointer, message });
      return [
        ...(changesReceived(manifest) && !powers.includes('ownReceived')
          ? [note(`plugin ${manifest.name} ${unseenReceived(door)}`)]
          : []),
        ...missing.map((power): PipelineProblem => {
          return {
            severity: 'error',
            pointer,
            message: `plugin ${manifest.name} needs ${power}, which the door ${door} lacks`,
          };
        }),
        ...(silent.length === 0
          ? []
          : [note(`the door ${door} never raises ${silent.join(', ')} of plugin ${manifest.name}`)]),
      ];
    }),
  );
}

/** Named by itself: who writes `header:*` has not set out to change who handed the message on. */
function changesReceived({ effects }: PluginManifest): boolean {
  return (effects.writes ?? []).some((effect) => effect.toLowerCase() === 'header:received');
}

function unseenReceived(door: DoorName): string {
  const where = door === 'milter' ? '; `mailfilter init milter` prints the line for it' : '';
  return `does not see the Received field that the server behind the door ${door} adds itself: that server has to change it${where}`;
}

/** Hooks that no door raises: the queue and the mailboxes do. */
const raisedByHouse: readonly HookName[] = ['send', 'moved'];
