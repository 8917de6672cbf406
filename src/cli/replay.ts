/** `mailfilter replay`: past mail through a new config; only what would have fared otherwise. Nothing is stored, sent or learnt. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import type { PipelineEntry } from '../../core/plugin/entry.ts';
import type { StoredTrace, TraceStore } from '../../core/state/trace-store.ts';
import type { WalkTrace } from '../flow/house.ts';
import { become, systemUser } from '../privileges.ts';
import { configOption, findConfig } from './config-file.ts';
import { timeOption } from './duration.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { openTraces } from './explain.ts';
import { openPluginStates } from './plugin-state.ts';
import { compare, type Difference } from './replay/compare.ts';
import { originalOf } from './replay/original.ts';
import { openPlayer, type Player } from './replay/play.ts';
import { copyFinder, type FindCopy } from './replay/stored-copy.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly config?: string;
  readonly with?: string;
  /** Milliseconds. */
  readonly since: number;
  readonly last: number;
  readonly json?: boolean;
}

interface Report {
  replayed: number;
  /** Messages whose octets are not here: refused, passed on, held or deleted since. */
  notHere: number;
  readonly differences: Difference[];
}

export function define(command: Command): void {
  command
    .argument('[id...]', 'transaction ids, queue ids or Message-IDs (default: the mail of some days)')
    .option(...configOption)
    .option('--with <file>', 'config to try (default: the one that is in force, as its file is now)')
    .addOption(timeOption('--since <time>', 'how far back: 12h, 7d', '7d'))
    .option('--last <number>', 'at most so many, the newest', readCount, 1000)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Each message that still lies in a mailbox takes its way once more, with the client, envelope and login it had. What
plugins asked DNS or their state then is answered as it was; what they ask anew is asked now. Scripts run no programs. Clocks are those of today.`,
    )
    .action(replay);
}

function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('not a number above 0.');
  return count;
}

async function replay(ids: readonly string[], options: Options): Promise<void> {
  const file = findConfig(options.config);
  const config = loadConfig(file);
  const trial = options.with === undefined ? config : loadConfig(options.with);
  // Mailboxes and state are those of the installation whose mail it is.
  const { dataDirectory, mailbox, users } = config;
  const next = {
    ...trial,
    dataDirectory,
    mailbox,
    ...(users && { users }),
    pipelines: withoutPrograms(trial),
  };
  if (process.getuid?.() === 0 && config.user !== undefined) become(systemUser(config.user));
  const store = openTraces(config);
  const states = openPluginStates(config);
  try {
    const player = await openPlayer(next, (plugin) => states.forPlugin(plugin));
    try {
      const report = await playAll(chosen(store, ids, options), config, player);
      process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
    } finally {
      await player.close();
    }
  } finally {
    await states.close();
    store.close();
  }
}

/** Programs of the site act in the world: rules are played without them. */
function withoutPrograms({ pipelines }: Config): Config['pipelines'] {
  const without = (entry: PipelineEntry): PipelineEntry => {
    const { programs: _, ...options } = entry.options;
    return { ...entry, options };
  };
  return Object.fromEntries(
    Object.entries(pipelines).map(([name, entries]) => [
      name,
      entries.map((entry) => (['sieve', 'procmail'].includes(entry.plugin) ? without(entry) : entry)),
    ]),
  );
}

/** The oldest first: what plugins count, they count in that order. */
function chosen(
  store: TraceStore<WalkTrace>,
  ids: readonly string[],
  { since, last }: Options,
): StoredTrace<WalkTrace>[] {
  const wanted = ids.length > 0 ? ids : newest(store, Date.now() - since, last);
  return wanted.map((id) => {
    const found = store.find(id);
    if (found === undefined) throw new CommandError(exitCodes.noInput, `no trace of "${id}"`);
    return found;
  });
}

function newest(store: TraceStore<WalkTrace>, since: number, last: number): string[] {
  const ids: string[] = [];
  for (const { id } of store.since(since)) {
    ids.push(id);
    if (ids.length > 2 * last) ids.splice(0, last);
  }
  return ids.slice(-last);
}

async function playAll(
  traces: readonly StoredTrace<WalkTrace>[],
  config: Config,
  player: Player,
): Promise<Report> {
  const report: Report = { replayed: 0, notHere: 0, differences: [] };
  const findCopy = copyFinder(config);
  for (const [index, trace] of traces.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`\r${index + 1} of ${traces.length}`);
    const difference = await playOne(trace, config, player, findCopy);
    if (difference === 'not-here') report.notHere += 1;
    else {
      report.replayed += 1;
      if (difference) report.differences.push(difference);
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return report;
}

async function playOne(
  trace: StoredTrace<WalkTrace>,
  { hostname, limits }: Config,
  player: Player,
  findCopy: FindCopy,
): Promise<Difference | 'not-here' | undefined> {
  // Of a record too large to be kept whole a text is in its place.
  const copy = Array.isArray(trace.entries) ? await findCopy(trace) : undefined;
  if (copy === undefined) return 'not-here';
  const { octets, kept } = originalOf(copy.octets, trace, hostname, copy.recipient, limits.headerBytesMax);
  return compare(trace, await player.play(trace, octets), kept);
}

function textOf({ replayed, notHere, differences }: Report): string {
  const gone = notHere === 0 ? '' : ` ${notHere} more are not in a mailbox here.`;
  const summary = `${replayed} messages replayed, ${differences.length} would have fared otherwise.${gone}\n`;
  if (differences.length === 0) return summary;
  const table = formatTable(differences, [
    { title: 'id', value: ({ id }) => id },
    { title: 'when', value: ({ at }) => new Date(at).toISOString().slice(0, 16) },
    { title: 'from', value: ({ from }) => `<${from}>`, shrink: true },
    { title: 'then', value: ({ then }) => then },
    { title: 'now', value: ({ now }) => now },
    { title: 'because', value: ({ because }) => because.join('; '), shrink: true },
  ]);
  return `${table}\n${summary}`;
}
