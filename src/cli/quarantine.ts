/** `mailfilter quarantine`: mail that plugins held: what and why, and what an operator does about it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { connectCalls } from '../calls/connect.ts';
import { runDirectory } from '../data-directory.ts';
import type { QueueEntry, QueueWork } from '../queue/queue.ts';
import { configOption, findConfig } from './config-file.ts';
import { duration, readDuration, timeOption } from './duration.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { printable, printableText } from './printable.ts';
import { change } from './queue/change.ts';
import { idsOf, lookInto, matching } from './queue/find.ts';
import { runningServer } from './running-server.ts';
import { formatTable } from './table.ts';

interface Filter {
  readonly all?: boolean;
  readonly sender?: string;
  readonly reason?: string;
  /** Milliseconds. */
  readonly olderThan?: number;
}

interface Options extends Filter {
  readonly config?: string;
  readonly json?: boolean;
  readonly wait?: number;
}

type HeldEntry = QueueEntry & { readonly work: QueueWork & { kind: 'held' } };

interface HeldMail {
  readonly entry: HeldEntry;
  readonly source: MessageSource;
}

const jsonOption = ['--json', 'print JSON'] as const;

export function define(command: Command): void {
  withFilters(command.command('list').description('show what is held, the oldest first')).action(list);
  command
    .command('show')
    .argument('<id>', 'of an entry, or of a message')
    .description('all that is known of held mail, and its text')
    .option(...configOption)
    .option(...jsonOption)
    .action(show);
  withFilters(
    command
      .command('release')
      .argument('[id...]', 'of entries, or of messages')
      .description('deliver it after all; it leaves the disk when the next hop or the mailbox has it')
      .addOption(timeOption('--wait <time>', 'how long to wait for the outcome', '5s')),
  ).action(release);
  withFilters(
    command
      .command('delete')
      .argument('[id...]', 'of entries, or of messages')
      .description('drop it without a word to anybody'),
  ).action(remove);
  command
    .command('learn')
    .argument('<kind>', 'ham or spam')
    .argument('<id...>', 'of entries, or of messages')
    .description('teach the plugins that learn, as moving it out of Junk or into it would')
    .option(...configOption)
    .action(learn);
}

function withFilters(command: Command): Command {
  return command
    .option(...configOption)
    .option('--all', 'all that is held')
    .option('--sender <text>', 'only mail whose sender holds that text')
    .option('--reason <text>', 'only what is held for a reason with that text')
    .option('--older-than <time>', 'only what has been held longer: 12h, 30d', readDuration)
    .option(...jsonOption);
}

function list({ config: named, json, ...filter }: Options): void {
  const config = loadConfig(findConfig(named));
  const rows = held(config, [], { ...filter, all: true }).map(factsOf);
  if (json === true) print(rows);
  else process.stdout.write(rows.length === 0 ? 'Nothing is held.\n' : tableOf(rows));
}

async function show(written: string, { config: named, json }: Options): Promise<void> {
  const found = held(loadConfig(findConfig(named)), [written], {});
  const shown = await Promise.all(
    found.map(async (mail) => ({ ...factsOf(mail), message: await textOf(mail) })),
  );
  if (json === true) {
    print(shown);
    return;
  }
  for (const { message, ...facts } of shown) {
    const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(8)} ${oneLine(value)}`);
    process.stdout.write(`${lines.join('\n')}\n\n${printableText(message)}\n`);
  }
}

async function release(
  written: string[],
  { config: named, json, wait = 0, ...filter }: Options,
): Promise<void> {
  const config = loadConfig(findConfig(named));
  const ids = held(config, written, filter).map(({ entry }) => entry.id);
  const changed = await change(config, { action: 'release', ids });
  const outcomes = await outcomesOf(config, changed, runningServer(config) === undefined ? 0 : wait);
  if (json === true) print({ released: outcomes });
  else {
    for (const { id, became } of outcomes) process.stdout.write(`${id}: ${became}\n`);
    process.stdout.write(`released: ${changed.length} of ${ids.length}\n`);
  }
  if (changed.length < ids.length) process.exitCode = exitCodes.negative;
}

async function remove(written: string[], { config: named, json, ...filter }: Options): Promise<void> {
  const config = loadConfig(findConfig(named));
  const ids = held(config, written, filter).map(({ entry }) => entry.id);
  const changed = await change(config, { action: 'remove', ids });
  if (json === true) print({ deleted: changed });
  else process.stdout.write(`deleted: ${changed.length} of ${ids.length}\n`);
  if (changed.length < ids.length) process.exitCode = exitCodes.negative;
}

/** The `moved` hooks hear of it as of a user's own move: one call for each recipient. */
async function learn(kind: string, written: string[], { config: named }: Options): Promise<void> {
  if (kind !== 'ham' && kind !== 'spam') {
    throw new CommandError(exitCodes.usage, `quarantine learn: "${kind}" is neither ham nor spam`);
  }
  const config = loadConfig(findConfig(named));
  if (runningServer(config) === undefined) {
    throw new CommandError(
      exitCodes.negative,
      'no server is running',
      'What it learns it learns in the server.',
    );
  }
  const [from, to] = kind === 'spam' ? ['INBOX', 'Junk'] : ['Junk', 'INBOX'];
  const mails = held(config, written, {});
  const calls = connectCalls(runDirectory(config.dataDirectory));
  try {
    for (const { entry, source } of mails) {
      const message = Buffer.concat(await openMessage(source, []).raw().toArray());
      for (const { address } of entry.work.recipients) {
        await calls.moved({ user: address, message, from, to, flags: [] });
      }
    }
  } finally {
    calls.close();
  }
  process.stdout.write(`learnt as ${kind}: ${mails.length}\n`);
}

/** What the arguments and options name. @throws CommandError where they name nothing, or what is not held */
function held(config: Config, written: readonly string[], filter: Filter): HeldMail[] {
  const filtered =
    filter.all === true ||
    [filter.sender, filter.reason, filter.olderThan].some((each) => each !== undefined);
  if (written.length === 0 && !filtered) {
    throw new CommandError(
      exitCodes.usage,
      'name entries, or give --all, --sender, --reason or --older-than',
    );
  }
  const found = lookInto<HeldMail[] | undefined>(config, undefined, (queue) => {
    const ids = [
      ...idsOf(queue, written, 'quarantine'),
      ...(filtered ? matching(queue, {}).map(({ id }) => id) : []),
    ];
    return [...new Set(ids)].flatMap((id) => {
      const { entry, source } = queue.get(id) ?? {};
      return entry && source && isHeld(entry) && (written.length > 0 || fits(entry, filter))
        ? [{ entry, source }]
        : [];
    });
  });
  if (written.length > 0 && (found ?? []).length === 0) {
    throw new CommandError(
      exitCodes.negative,
      `nothing that is held is called ${written.join(', ')}`,
      'See "mailfilter quarantine list".',
    );
  }
  return found ?? [];
}

function isHeld(entry: QueueEntry): entry is HeldEntry {
  return entry.work.kind === 'held';
}

function fits({ envelope, work, createdAt }: HeldEntry, { sender, reason, olderThan }: Filter): boolean {
  return (
    (sender === undefined || envelope.sender.includes(sender)) &&
    (reason === undefined || work.reason.includes(reason)) &&
    (olderThan === undefined || createdAt < Date.now() - olderThan)
  );
}

type HeldFacts = ReturnType<typeof factsOf>;

function factsOf({ entry, source }: HeldMail) {
  const { id, status, envelope, work, createdAt, length, lastError } = entry;
  return {
    id,
    // Released, and not yet delivered.
    status: status === 'held' ? 'held' : 'released',
    from: envelope.sender,
    to: work.recipients.map(({ address }) => address),
    subject: openMessage(source, []).headers.decoded('Subject') ?? '',
    reason: status === 'held' || lastError === '' ? work.reason : lastError,
    since: new Date(createdAt).toISOString(),
    octets: length,
  };
}

function tableOf(rows: readonly HeldFacts[]): string {
  const now = Date.now();
  return formatTable(rows, [
    { title: 'id', value: ({ id }) => id },
    { title: 'status', value: ({ status }) => status },
    { title: 'from', value: ({ from }) => from || '<>', shrink: true },
    { title: 'to', value: ({ to }) => to.join(' '), shrink: true },
    { title: 'subject', value: ({ subject }) => subject, shrink: true },
    { title: 'reason', value: ({ reason }) => reason, shrink: true },
    { title: 'age', value: ({ since }) => duration(now - Date.parse(since)), align: 'right' },
    { title: 'octets', value: ({ octets }) => octets, align: 'right' },
  ]);
}

function oneLine(value: string | number | readonly string[]): string {
  return printable(typeof value === 'object' ? value.join(', ') : String(value));
}

async function textOf({ source }: HeldMail): Promise<string> {
  const octets = Buffer.concat(await openMessage(source, []).raw().toArray());
  return octets.toString('utf8');
}

/** What became of released mail, as far as it can be told in that time: what is not in the queue any more is delivered. */
async function outcomesOf(
  config: Config,
  ids: readonly string[],
  waitMs: number,
): Promise<{ id: string; became: string }[]> {
  const end = Date.now() + waitMs;
  for (;;) {
    const outcomes = ids.map((id) => ({ id, became: outcomeOf(config, id) }));
    if (outcomes.every(({ became }) => became === delivered) || Date.now() >= end) return outcomes;
    await sleep(100);
  }
}

const delivered = 'delivered';

function outcomeOf(config: Config, id: string): string {
  const [transactionId = id] = id.split('/');
  const left = lookInto<QueueEntry[]>(config, [], (queue) => queue.list({ transactionId }));
  const waiting = left.find(({ status }) => status !== 'held');
  if (waiting === undefined) return delivered;
  return `waits in the queue${waiting.lastError === '' ? '' : `: ${waiting.lastError}`}`;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
