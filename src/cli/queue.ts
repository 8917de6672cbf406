/** `mailfilter queue`: what waits, where to, since when and why; and what an operator does about it. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { errnoOf } from '../../core/base/errors.ts';
import { loadConfig } from '../../core/config/load.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Change } from '../queue/change.ts';
import type { QueueEntry, QueueStatus, QueueSummaryRow } from '../queue/queue.ts';
import { configOption, findConfig } from './config-file.ts';
import { duration } from './duration.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { printable, printableText } from './printable.ts';
import { change } from './queue/change.ts';
import { type EntryFilter, idsOf, lookInto, matching, recipientsOf } from './queue/find.ts';
import { formatTable } from './table.ts';

interface Options extends EntryFilter {
  config?: string;
  status?: QueueStatus;
  json?: boolean;
  all?: boolean;
}

const statusOption = () =>
  new Option('--status <status>', 'only these').choices(['waiting', 'active', 'held', 'failed']);
const destinationOption = ['--destination <name>', 'only what goes to that domain or relay'] as const;
const senderOption = ['--sender <text>', 'only mail whose sender holds that text'] as const;
const jsonOption = ['--json', 'print JSON'] as const;

export function define(command: Command): void {
  command
    .command('list')
    .description('show what waits, the oldest first')
    .option(...configOption)
    .addOption(statusOption())
    .option(...destinationOption)
    .option(...senderOption)
    .option(...jsonOption)
    .action(list);
  command
    .command('summary')
    .description('how much waits for each destination, since when, and why')
    .option(...configOption)
    .option(...jsonOption)
    .action(summarise);
  command
    .command('show')
    .argument('<id>', 'of an entry, or of a message')
    .description('all that is known of an entry, and its message')
    .option(...configOption)
    .option(...jsonOption)
    .action(show);
  for (const [action, description] of Object.entries(changes)) {
    command
      .command(action)
      .argument('[id...]', 'of entries, or of messages')
      .description(description)
      .option(...configOption)
      .option('--all', 'all entries')
      .option(...destinationOption)
      .option(...senderOption)
      .option(...jsonOption)
      .action((ids: string[], options: Options) => changeEntries(action as Change['action'], ids, options));
  }
}

const changes: Readonly<Record<Change['action'], string>> = {
  retry: 'try now what waits, or what was given up and is not yet reported',
  hold: 'keep entries back until they are released',
  release: 'let entries that are held go on, with their whole time before them',
  remove: 'drop entries without a word to anybody',
};

function list({ config: named, json, ...filter }: Options): void {
  const config = loadConfig(findConfig(named));
  const entries = lookInto(config, [], (queue) => matching(queue, filter));
  if (json === true) print(entries);
  else process.stdout.write(entries.length === 0 ? 'The queue is empty.\n' : tableOf(entries));
}

function summarise({ config: named, json }: Options): void {
  const config = loadConfig(findConfig(named));
  const rows = lookInto<QueueSummaryRow[]>(config, [], (queue) => queue.summary());
  if (json === true) {
    print(rows);
    return;
  }
  const now = Date.now();
  const table = () =>
    formatTable(rows, [
      { title: 'destination', value: ({ destination }) => destination || '(this host)', shrink: true },
      { title: 'messages', value: ({ messages }) => messages, align: 'right' },
      { title: 'waiting', value: ({ waiting }) => waiting, align: 'right' },
      { title: 'active', value: ({ active }) => active, align: 'right' },
      { title: 'held', value: ({ held }) => held, align: 'right' },
      { title: 'failed', value: ({ failed }) => failed, align: 'right' },
      { title: 'oldest', value: ({ oldest }) => duration(now - oldest), align: 'right' },
      { title: 'reason', value: ({ reason }) => reason, shrink: true },
    ]);
  process.stdout.write(rows.length === 0 ? 'The queue is empty.\n' : table());
}

function show(written: string, { config: named, json }: Options): void {
  const config = loadConfig(findConfig(named));
  const nothing = () => {
    throw new CommandError(exitCodes.negative, `nothing in the queue is called ${written}`);
  };
  const found = lookInto<{ entry: QueueEntry; message: string }[]>(config, [], (queue) =>
    idsOf(queue, [written]).map((id) => {
      const { entry, source } = queue.get(id) ?? nothing();
      return { entry, message: readMessage(source) };
    }),
  );
  if (found.length === 0) nothing();
  if (json === true) {
    print(found);
    return;
  }
  for (const { entry } of found) process.stdout.write(`${factsOf(entry)}\n`);
  process.stdout.write(`\n${printableText(found[0]!.message)}`);
}

/** Mail of the last second may have no file yet: the journal has it, and most of it is sent by then. */
function readMessage(source: MessageSource): string {
  try {
    return source.kind === 'file' ? readFileSync(source.path, 'utf8') : '';
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return '(not written here yet: ask again in a second)\n';
  }
}

function factsOf(entry: QueueEntry): string {
  const facts: [string, string][] = [
    ['entry', entry.id],
    ['status', `${entry.status}, ${entry.attempts} attempts`],
    ['from', `<${entry.envelope.sender}>`],
    ['to', recipientsOf(entry).join(', ')],
    ['by', entry.work.kind === 'relay' ? entry.work.via : entry.work.kind],
    ['arrived', new Date(entry.createdAt).toISOString()],
    ['next', new Date(entry.nextAttemptAt).toISOString()],
    ['until', new Date(entry.expiresAt).toISOString()],
    ['reason', entry.lastError || 'none yet'],
  ];
  return facts.map(([name, value]) => `${name.padEnd(8)} ${printable(value)}`).join('\n');
}

async function changeEntries(
  action: Change['action'],
  written: string[],
  { config: named, json, all, ...filter }: Options,
): Promise<void> {
  const config = loadConfig(findConfig(named));
  const filtered = all === true || filter.destination !== undefined || filter.sender !== undefined;
  if (written.length === 0 && !filtered) {
    throw new CommandError(
      exitCodes.usage,
      `queue ${action}: name entries, or give --all, --destination or --sender`,
    );
  }
  const ids = lookInto<string[]>(config, [], (queue) => [
    ...idsOf(queue, written),
    ...(filtered ? matching(queue, filter).map(({ id }) => id) : []),
  ]);
  const changed = await change(config, { action, ids });
  if (json === true) print({ action, changed });
  else process.stdout.write(`${action}: ${changed.length} of ${ids.length} entries\n`);
  if (changed.length < ids.length) process.exitCode = exitCodes.negative;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function tableOf(entries: readonly QueueEntry[]): string {
  const now = Date.now();
  return formatTable(entries, [
    { title: 'id', value: ({ id }) => id },
    { title: 'status', value: ({ status }) => status },
    { title: 'kind', value: ({ work }) => work.kind },
    { title: 'from', value: ({ envelope }) => envelope.sender || '<>', shrink: true },
    { title: 'to', value: (entry) => recipientsOf(entry).join(' '), shrink: true },
    { title: 'age', value: ({ createdAt }) => duration(now - createdAt), align: 'right' },
    { title: 'tries', value: ({ attempts }) => attempts, align: 'right' },
    {
      title: 'next in',
      value: ({ status, nextAttemptAt }) => (status === 'waiting' ? duration(nextAttemptAt - now) : ''),
      align: 'right',
    },
    { title: 'octets', value: ({ length }) => length, align: 'right' },
    { title: 'last error', value: ({ lastError }) => lastError, shrink: true },
  ]);
}
