/**
 * What filtering costs; all of it, or what is named. `clamav`, `rspamd`, `spamassassin`: their daemons asked through a
 * pipeline (main thread, plugin thread, daemon and back) and by a bare client of the same protocol in this process, in turn,
 * so that only the pipeline differs; clamdscan and spamc beside them. `embedded`: dnsbl, greylist, bayes, content-rules and
 * policy together on real mail, beside spamd and rspamd on the same. Needs root; minutes, for spamd scans few a second.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../core/base/clock.ts';
import type { Json } from '../../core/base/json.ts';
import { silentLog } from '../../core/base/log.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { createDns } from '../../core/net/dns.ts';
import { createPipelines, type PipelineMap } from '../../core/pipeline/pipeline.ts';
import { emptyPipelineState, type PipelineRequest, type Pipelines } from '../../core/pipeline/request.ts';
import { openSqliteState } from '../../core/state/sqlite.ts';
import { learn, site } from '../../rules/bayes/memory.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import { launchClamd } from '../kit/clamd.ts';
import { serveZone } from '../kit/dns-server.ts';
import { rule } from '../kit/json-rule.ts';
import { memorySource } from '../kit/message-source.ts';
import { projectRoot } from '../kit/require.ts';
import { launchRspamd } from '../kit/rspamd.ts';
import { launchSpamd } from '../kit/spamd.ts';
import { askClamd, askHttp, askSpamd, type BareClient } from './bare-clients.ts';
import { dealtAnew, readCorpus, type Sample } from './spam-folds.ts';

const concurrencies = [1, 10, 50];
let serial = 0;

const contentRules: Json = structuredClone([
  rule({ text: 'any', matches: '\\b(?:viagra|cialis|casino)\\b' }, { score: 3, symbol: 'PILLS' }),
  rule({ text: 'any', contains: 'unsubscribe' }, { score: 0.5, symbol: 'UNSUBSCRIBE' }),
  rule({ attachment: 'name', matches: '\\.(?:exe|scr|pif)$' }, { score: 5, symbol: 'PROGRAM' }),
]) as unknown as Json;

const parts: Readonly<Record<string, () => Promise<void>>> = {
  async clamav() {
    await using clamd = await launchClamd('/usr/sbin/clamd');
    await compare('clamav', clamd.address, askClamd, { messages: 300, rounds: 3 });
    const { configFile } = clamd;
    await alone(['clamdscan', `--config-file=${configFile}`, '--stream', '--no-summary', '-'], 20);
  },
  async rspamd() {
    await using rspamd = await launchRspamd('/usr/bin/rspamd');
    await compare('rspamd', rspamd.address, askHttp, { messages: 200, rounds: 3 });
  },
  async spamassassin() {
    await using spamd = await launchSpamd('/usr/sbin/spamd');
    await compare('spamassassin', spamd.address, askSpamd, { messages: 12, rounds: 1 });
    await alone(['spamc', '-d', '127.0.0.1', '-p', String(spamd.port), '-c'], 12);
  },
  embedded,
};
const named = process.argv.slice(2);
for (const [name, run] of Object.entries(parts)) {
  if (named.length === 0 || named.includes(name)) await run();
}

/** In turn, so that what else the machine does meets both alike; the median of the rounds counts. */
async function compare(
  plugin: string,
  address: string,
  bare: BareClient,
  { messages, rounds }: { messages: number; rounds: number },
): Promise<void> {
  const octets = sampleMessage();
  const map: PipelineMap = { inbound: [entry(plugin, { servers: [address] })] };
  await using house = await openHouse(map);
  const { pipelines } = house;
  const { port } = new URL(`http://${address}`);
  const ways = {
    bare: () => bare(Number(port), octets),
    ours: async () => {
      const request = requestFor(octets, '192.0.2.1', ['message']);
      const { trace } = await pipelines.run(request);
      pipelines.forget(request.id);
      const failure = trace.find((one) => one.failure)?.failure;
      if (failure) throw new Error(failure.message);
    },
  };
  for (const way of Object.values(ways)) await drive(way, Math.min(messages, 200), 4);
  for (const sessions of concurrencies) {
    const count = sessions === 1 ? Math.ceil(messages / 2) : Math.max(messages, sessions);
    const measured: { bare: Measured; ours: Measured }[] = [];
    for (let round = 0; round < rounds; round++) {
      measured.push({
        bare: await drive(ways.bare, count, sessions),
        ours: await drive(ways.ours, count, sessions),
      });
    }
    const median = (of: (one: { bare: Measured; ours: Measured }) => number) => medianOf(measured.map(of));
    const [bareRate, ourRate] = [median(({ bare }) => bare.rate), median(({ ours }) => ours.rate)];
    row([
      plugin,
      String(sessions),
      bareRate.toFixed(1),
      ourRate.toFixed(1),
      `${((bareRate / ourRate - 1) * 100).toFixed(0)} %`,
      median(({ bare, ours }) => ours.medianMs - bare.medianMs).toFixed(2),
      median(({ bare, ours }) => ours.cpuMs - bare.cpuMs).toFixed(2),
    ]);
  }
}

/** A program that asks, started for each message. */
async function alone([program, ...args]: readonly [string, ...string[]], messages: number): Promise<void> {
  const run = promisify(execFile);
  const once = async () => {
    const asked = run(program, args);
    asked.child.stdin!.end(sampleMessage());
    await asked;
  };
  for (const sessions of concurrencies.slice(0, 2)) {
    const { rate } = await drive(once, messages, sessions);
    row([`${program}, a process each`, String(sessions), rate.toFixed(1)]);
  }
}

/** As many of each kind are taught as are judged. */
async function embedded(): Promise<void> {
  const all = dealtAnew(readCorpus(), 1);
  const of = (kind: Sample['kind'], from: number, to: number) =>
    all.filter((sample) => sample.kind === kind).slice(from, to);
  const mail = dealtAnew([...of('ham', 0, 250), ...of('spam', 0, 50)], 2).map(({ octets }) => octets);
  const dns = await serveZone({ '2.0.0.127.bl.test': { A: ['127.0.0.2'] } });
  const map: PipelineMap = {
    inbound: [
      entry('dnsbl', { zones: ['bl.test'], skipPrivate: false }),
      entry('greylist'),
      entry('bayes', { minimum: 1 }),
      entry('content-rules', { rules: contentRules }),
      entry('policy'),
    ],
  };
  {
    await using house = await openHouse(map, dns.address);
    for (const { kind, octets } of [...of('ham', 250, 500), ...of('spam', 50, 250)]) {
      const tokens = await tokensOf(openMessage(memorySource(octets), []));
      await learn(house.state.forPlugin('bayes'), site, kind, tokens ?? [], 365);
    }
    const filter = () => throughAll(house.pipelines, mail[serial % mail.length]!);
    await drive(filter, 100, 4);
    for (const sessions of concurrencies) {
      const { rate, cpuMs } = await drive(filter, mail.length, sessions);
      row(['embedded filters', String(sessions), rate.toFixed(1), `${cpuMs.toFixed(2)} ms CPU`]);
    }
  }
  await dns.close();
  {
    await using rspamd = await launchRspamd('/usr/bin/rspamd');
    await peer('rspamd', (octets) => askHttp(rspamd.port, octets), mail);
  }
  await using spamd = await launchSpamd('/usr/sbin/spamd');
  await peer('spamd', (octets) => askSpamd(spamd.port, octets), mail.slice(0, 30));
}

async function peer(
  name: string,
  ask: (octets: Buffer) => Promise<void>,
  mail: readonly Buffer[],
): Promise<void> {
  let asked = 0;
  const next = () => ask(mail[asked++ % mail.length]!);
  await drive(next, Math.min(20, mail.length), 4);
  for (const sessions of concurrencies) {
    row([name, String(sessions), (await drive(next, mail.length, sessions)).rate.toFixed(1)]);
  }
}

/** As the server asks: a hop for the connection, one for the recipient, one for the message. */
async function throughAll(pipelines: Pipelines, octets: Buffer): Promise<void> {
  const ip = `203.0.113.${serial % 250}`;
  const whole = requestFor(octets, ip, ['message']);
  const [recipient] = whole.envelope!.recipients;
  const before = { ...whole, message: undefined };
  for (const request of [
    { ...before, stages: ['connect'] as const },
    { ...before, stages: ['rcptTo'] as const, recipient, route: 'mailbox' as const },
    { ...whole, stages: ['headers', 'message'] as const },
  ]) {
    const { trace } = await pipelines.run(request as PipelineRequest);
    const failure = trace.find((one) => one.failure)?.failure;
    if (failure) throw new Error(failure.message);
  }
  pipelines.forget(whole.id);
}

async function openHouse(pipelines: PipelineMap, dnsServer = '127.0.0.1:1') {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-filters-'));
  const state = openSqliteState({ directory, clock: systemClock, log: silentLog });
  const none = (): never => {
    throw new TypeError('no user');
  };
  const opened = await createPipelines({
    threads: 1,
    threadMemoryMiB: 256,
    installDirectory: projectRoot,
    baseDirectory: directory,
    hostname: 'mx.example.test',
    domains: ['example.test'],
    log: silentLog,
    services: {
      dns: createDns({ servers: [dnsServer], timeoutMs: 2000, clock: systemClock, log: silentLog }),
      state: (plugin) => state.forPlugin(plugin),
      scripts: none,
      mailboxes: none,
    },
    pipelines,
  });
  return {
    pipelines: opened,
    state,
    async [Symbol.asyncDispose]() {
      await opened.close();
      await state.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function entry(
  plugin: string,
  options: PipelineMap[string][number]['options'] = {},
): PipelineMap[string][number] {
  return { plugin, options, onFailure: 'tempfail', timeoutSeconds: 300, shadow: false };
}

function requestFor(octets: Buffer, remoteIp: string, stages: PipelineRequest['stages']): PipelineRequest {
  serial += 1;
  const address = 'alice@example.test';
  return {
    pipeline: 'inbound',
    stages,
    id: `t${serial}`,
    connection: {
      id: `c${serial}`,
      door: 'smtp',
      listener: 'mx',
      localIp: '127.0.0.1',
      localPort: 25,
      remoteIp,
      remotePort: 4000,
      remoteName: 'client.example.org',
      trusted: false,
      openedAt: Date.now(),
    },
    session: { helo: 'client.example.org', esmtp: true },
    envelope: {
      sender: 'sender@example.org',
      recipients: [{ id: 'r1', address, original: address, notify: [] }],
      body: '8bitmime',
      smtputf8: false,
      requireTls: false,
    },
    message: memorySource(octets),
    state: emptyPipelineState,
  };
}

/** 10 KB of plain text. */
function sampleMessage(): Buffer {
  const head =
    'From: Sender <s@example.org>\r\nTo: <alice@example.test>\r\nSubject: monthly report\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n';
  const line = 'The budget review and the shipment schedule are attached, please regard the deadline.\r\n';
  return Buffer.from(head + line.repeat(Math.ceil((10_240 - head.length) / line.length)));
}

interface Measured {
  readonly rate: number;
  readonly medianMs: number;
  /** Of this process, threads and all, for each message. */
  readonly cpuMs: number;
}

async function drive(once: () => Promise<unknown>, count: number, sessions: number): Promise<Measured> {
  const times: number[] = [];
  let left = count;
  const cpuBefore = process.cpuUsage();
  const begun = performance.now();
  const session = async () => {
    while (left-- > 0) {
      const start = performance.now();
      await once();
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: sessions }, session));
  const ms = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { rate: (1000 * count) / ms, medianMs: medianOf(times), cpuMs: (user + system) / 1000 / count };
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function row(cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
