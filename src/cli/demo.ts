/** `mailfilter demo`: sends sample messages by SMTP and shows verdict, edits and resting place of each. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { SmtpClient, type SmtpClientOptions } from '../../core/net/smtp-client.ts';
import { formatReply } from '../../core/net/smtp-reply.ts';
import type { StoredTrace } from '../../core/state/trace-store.ts';
import type { WalkTrace } from '../flow/house.ts';
import { serve } from '../supervisor.ts';
import { type Demo, demoDirectory, ensureDemo } from './demo-installation.ts';
import { type DemoMessage, demoMessages } from './demo-messages.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { openTraces } from './explain.ts';
import { runningListeners, runningServer } from './running-server.ts';
import { describeEdit } from './story.ts';
import { formatTable } from './table.ts';

interface Options {
  directory?: string;
  json?: boolean;
}

/** What became of one message. */
interface Row {
  readonly sent: string;
  readonly octets: number;
  /** The server's last word. */
  readonly verdict: string;
  readonly edits: readonly string[];
  readonly path: string;
  /** From MAIL to the last word. */
  readonly ms: number;
  readonly id: string;
}

const editWidth = 60;
/** Deliveries are traced a moment after the answer. */
const traceWaitMs = 5000;

export function define(command: Command): void {
  command
    .option('--directory <folder>', 'where the demo installation lies (default: .mailfilter in the clone)')
    .option('--json', 'print the rows as JSON')
    .action(demo);
}

async function demo(options: Options): Promise<void> {
  const installation = await ensureDemo(options.directory ?? demoDirectory());
  const config = loadConfig(installation.configFile);
  if (runningServer(config) !== undefined) {
    print(await sendAll(installation, config), options);
    return;
  }
  process.stderr.write('No server is running: starting one for the demo.\n');
  await withOwnServer(installation, async () => print(await sendAll(installation, config), options));
}

/** Runs `work` while a server of our own is up, then drains it. */
async function withOwnServer(installation: Demo, work: () => Promise<void>): Promise<void> {
  const ready = Promise.withResolvers<void>();
  const ended = serve(installation.configFile, { quiet: true, onReady: () => ready.resolve() });
  const first = await Promise.race([ready.promise, ended]);
  if (first !== undefined) {
    throw new CommandError(exitCodes.unavailable, `the server did not start (exit code ${first})`);
  }
  try {
    await work();
  } finally {
    // The supervisor drains its roles on SIGTERM, ours as well as a stranger's.
    process.kill(process.pid, 'SIGTERM');
    await ended;
  }
}

async function sendAll(installation: Demo, config: Config): Promise<Row[]> {
  const [alice = '', bob = ''] = installation.credentials.keys();
  const traces = openTraces(config);
  const rows: Row[] = [];
  try {
    for (const message of demoMessages(alice, bob)) {
      if (process.stderr.isTTY) process.stderr.write(`sending: ${message.title}\x1b[K\r`);
      const { verdict, ms } = await send(message, installation, config);
      const trace = await until(traceWaitMs, () => settledTrace(traces.find(message.messageId)));
      rows.push({
        sent: message.title,
        octets: message.content.length,
        verdict,
        edits: trace?.entries.flatMap(({ edits = [] }) => edits.map(describeEdit)) ?? [],
        path: pathOf(trace),
        ms,
        id: trace?.id ?? '',
      });
    }
  } finally {
    traces.close();
  }
  return rows;
}

async function send(
  message: DemoMessage,
  installation: Demo,
  config: Config,
): Promise<{ verdict: string; ms: number }> {
  const client = await SmtpClient.connect(clientOptions(message, installation, config));
  try {
    const started = performance.now();
    const outcome = await client.send(
      { sender: message.sender, recipients: [message.recipient], parameters: message.parameters },
      { length: message.content.length, chunks: [message.content] },
    );
    const last = outcome.recipients[0] ?? outcome.mailFrom;
    return { verdict: formatReply(last), ms: performance.now() - started };
  } finally {
    await client.quit();
  }
}

function clientOptions(message: DemoMessage, installation: Demo, config: Config): SmtpClientOptions {
  const listener = listenerFor(message.through, config);
  const port = runningListeners(config).find(({ name }) => name === listener.name)?.port;
  const { address } = listener;
  const to =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: port ?? address.port };
  const base = { to, name: 'demo.example.org', serverName: 'localhost' };
  if (message.through === 'smtp') return base;
  return {
    ...base,
    tls: listener.tls,
    ca: readFileSync(installation.certificateFile, 'utf8'),
    auth: { user: message.sender, password: installation.credentials.get(message.sender) ?? '' },
  };
}

function listenerFor(protocol: DemoMessage['through'], config: Config): ListenerConfig {
  const listener = config.listeners.find((each) => each.protocol === protocol);
  if (listener !== undefined) return listener;
  throw new CommandError(exitCodes.config, `${config.file} has no listener of the protocol ${protocol}`);
}

/** A message that was taken is settled when its delivery is traced. */
function settledTrace(trace: StoredTrace<WalkTrace> | undefined): StoredTrace<WalkTrace> | undefined {
  if (trace === undefined) return undefined;
  return trace.outcome !== 'accepted' || trace.parts.length > 0 ? trace : undefined;
}

async function until<Value>(timeoutMs: number, ask: () => Value | undefined): Promise<Value | undefined> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(50)) {
    const answer = ask();
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function pathOf(trace: StoredTrace<WalkTrace> | undefined): string {
  const path = trace?.parts.map(({ path }) => path).find((each) => typeof each === 'string');
  return typeof path === 'string' ? path : '';
}

/** Enough to see what was done; `explain` has all of it. */
function brief(edit: string): string {
  return edit.length > editWidth ? `${edit.slice(0, editWidth - 1)}…` : edit;
}

function print(rows: readonly Row[], options: Options): void {
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const table = formatTable(rows, [
    { title: 'sent', value: ({ sent }) => sent },
    { title: 'octets', value: ({ octets }) => octets, align: 'right' },
    { title: 'verdict', value: ({ verdict }) => verdict, shrink: true },
    { title: 'edits', value: ({ edits }) => edits.map(brief).join('; '), shrink: true },
    { title: 'ms', value: ({ ms }) => ms.toFixed(0), align: 'right' },
    { title: 'id', value: ({ id }) => id },
  ]);
  const places = rows.filter(({ path }) => path !== '').map(({ sent, path }) => `  ${sent}: ${path}`);
  const [first] = rows;
  process.stdout.write(
    [
      table,
      'Where they lie:',
      ...places,
      '',
      `The whole story of one:  npx mailfilter explain ${first?.id ?? 'ID'}`,
      '',
    ].join('\n'),
  );
}
