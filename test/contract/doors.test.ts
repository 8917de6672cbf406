/**
 * One plugin behind every door: each bundled plugin is given the same message by each door, and what comes out is
 * compared with what came out of SMTP. Where a door differs, the table says so, and why.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bundledPlugins } from '../../core/plugin/bundled.ts';
import { runCommand } from '../kit/command.ts';
import { type DnsServer, serveZone } from '../kit/dns-server.ts';
import { openDoor, type TestDoor } from '../kit/door.ts';

import { rule } from '../kit/json-rule.ts';
import { messagesIn, startServer, type TestServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';

/** Options of each; a plugin that needs none needs no row. */
const options: Readonly<Record<string, object>> = {
  aliases: { table: { info: 'alice' } },
  archive: { to: 'bob@example.test' },
  'arc-seal': { domain: 'example.test', selector: 's1', keyFile: 'key.pem' },
  'content-rules': {
    rules: [rule({ text: 'any', contains: 'hello' }, { add: 'X-Cheap', value: 'yes' })],
  },
  'dkim-sign': { domain: 'example.test', selector: 's1', keyFile: 'key.pem', signAll: true },
  dnsbl: { zones: ['bl.example.test'], skipPrivate: false, testPoints: false, action: 'score' },
  'header-rules': {
    rules: [
      rule({ header: 'Subject', contains: 'contract' }, { add: 'X-Rule', value: 'yes' }, { delete: 'X-Old' }),
    ],
  },
  milter: { address: 'unix:milter.sock' },
  'rate-limit': { limits: [{ per: 'senderDomain', max: 1000, seconds: 3600 }] },
  spamtrap: { traps: ['trap@example.test'] },
  srs: { secretFile: 'secret' },
  uribl: { zones: ['bl.example.test'] },
};

const doors = [
  'smtp',
  'submission',
  'lmtp',
  'milter',
  'content-filter',
  'proxy-filter',
  'deliver',
  'opensmtpd-filter',
  'filter',
] as const;
type Door = (typeof doors)[number];

/** Where what comes out is another than at SMTP; anything else must be the same. */
const signs = 'another MTA sends it, so that it is signed here and now';
const noClient = 'no client is known, so that nobody is trusted';
const differences: Readonly<Record<string, Partial<Record<Door, string>>>> = {
  archive: { 'opensmtpd-filter': 'no recipient can be added there, and the plugin is refused' },
  'dkim-sign': { milter: signs, 'content-filter': signs, 'proxy-filter': signs, 'opensmtpd-filter': signs },
  dmarc: { deliver: noClient },
  'strip-origin': { submission: 'what users submit is stripped, what strangers send is not' },
};

const message = `From: Ann <ann@example.test>
To: alice@example.test
Subject: contract
Date: Sat, 21 Nov 2026 09:00:00 +0000
Message-ID: <1@example.test>
X-Old: 1
User-Agent: Reader 1.0
Received: from [192.0.2.1] by reader.example.test; Sat, 21 Nov 2026 08:59:59 +0000

hello
.dot
`;
const from = 'ann@example.test';
const to = 'alice@example.test';

/** Behind the filter doors: keeps what it is given. */
let sink: TestDoor;
const closing: (() => unknown)[] = [];
let server: TestServer;
let dns: DnsServer;
let home: string;
const plugins = bundledPlugins();

before(async () => {
  dns = await serveZone({ '1.0.0.127.bl.example.test': { A: ['127.0.0.2'] } });
  sink = await openDoor({ after: (close) => void closing.push(close as () => unknown) });
  const next = `127.0.0.1:${sink.port}`;
  const plain = { address: '127.0.0.1:0', tls: 'none' };
  const pipelines: Record<string, unknown[]> = {};
  const listeners: Record<string, unknown> = {
    'milter-for-the-plugin': {
      protocol: 'milter',
      address: 'unix:milter.sock',
      pipeline: 'header-rules',
    },
  };
  for (const name of plugins) {
    pipelines[name] = [{ plugin: name, options: options[name] ?? {} }];
    const socket = `unix:door-${name}.sock`;
    pipelines[`by-milter-${name}`] = [{ plugin: 'milter', options: { address: socket } }];
    Object.assign(listeners, {
      [`smtp-${name}`]: { ...plain, protocol: 'smtp', pipeline: name },
      [`submission-${name}`]: { ...plain, protocol: 'submission', auth: false, pipeline: name },
      [`lmtp-${name}`]: { ...plain, protocol: 'lmtp', pipeline: name },
      [`milter-door-${name}`]: { protocol: 'milter', address: socket, pipeline: name },
      // The plugin `milter` is the client of that door, by the same wire as any MTA.
      [`milter-${name}`]: { ...plain, protocol: 'smtp', pipeline: `by-milter-${name}` },
      [`content-filter-${name}`]: { ...plain, protocol: 'content-filter', next, pipeline: name },
      [`proxy-filter-${name}`]: { ...plain, protocol: 'proxy-filter', next, pipeline: name },
    });
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const files = {
    'key.pem': String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    secret: 'a secret of the test\n',
  };
  const shared = {
    dns: { servers: [dns.address] },
    domains: ['example.test'],
    hostname: 'mx.example.test',
    trustedNetworks: ['127.0.0.0/8'],
  };
  server = await startServer({ config: { ...shared, listeners, pipelines }, files });
  home = join(server.directory, 'home');
  mkdirSync(home);
  const mda = {
    ...shared,
    dataDirectory: 'data',
    mailbox: { format: 'maildir', path: '{home}/Maildir' },
    pipelines,
  };
  writeFileSync(join(server.directory, 'mda.json'), JSON.stringify(mda));
});

after(async () => {
  await server?.stop();
  await dns?.close();
  for (const close of closing) await close();
});

/** What each door makes of the message: its text, or the answer that refused it. */
async function through(door: Door, plugin: string): Promise<string> {
  switch (door) {
    case 'filter':
      return commandResult(
        await command('filter', plugin, [
          '--ip',
          '127.0.0.1',
          '--helo',
          'client.example',
          '--from',
          from,
          '--rcpt',
          to,
        ]),
        77,
      );
    case 'deliver':
      return throughDeliver(plugin);
    case 'opensmtpd-filter':
      return throughOpenSmtpd(plugin);
    default:
      return throughSocket(door, plugin);
  }
}

async function throughSocket(door: Door, plugin: string): Promise<string> {
  for (const path of server.messages('alice')) rmSync(path);
  const port = server.ports[`${door}-${plugin}`]!;
  const [reply = ''] = await sendOne(port, { from, to: [to], message }, door === 'lmtp' ? 'lmtp' : 'smtp');
  if (!reply.startsWith('250')) return reply;
  if (door === 'content-filter' || door === 'proxy-filter') {
    return sink.flow.messages.splice(0)[0]!.bytes.toString('latin1').replaceAll('\r\n', '\n');
  }
  await until('the message', () => server.messages('alice').length > 0);
  return readFileSync(server.messages('alice')[0]!, 'latin1');
}

function command(name: string, plugin: string, args: string[], input = message) {
  const config = join(server.directory, 'mda.json');
  return runCommand([name, '-c', config, '--pipeline', plugin, ...args], {
    input,
    env: { HOME: home, MAIL: '', RECIPIENT: to },
  });
}

function commandResult(
  { code, stdout, stderr }: Awaited<ReturnType<typeof command>>,
  refused: number,
): string {
  if (code === 0) return stdout;
  return `${code === refused ? 550 : 451} ${stderr.trim()}`;
}

async function throughDeliver(plugin: string): Promise<string> {
  const result = await command('deliver', plugin, ['-f', from]);
  const [path] = messagesIn(join(home, 'Maildir'));
  if (path === undefined) return commandResult(result, 77);
  const text = readFileSync(path, 'latin1');
  rmSync(path);
  return text;
}

async function throughOpenSmtpd(plugin: string): Promise<string> {
  const ask = (phase: string, text?: string) =>
    `filter|0.6|1|smtp-in|${phase}|a1|b2${text === undefined ? '' : `|${text}`}\n`;
  const lines = message.split('\n').slice(0, -1);
  const input = [
    'config|ready\n',
    ask('connect', 'localhost|pass|127.0.0.1:4711|127.0.0.1:25'),
    ask('ehlo', 'client.example'),
    ask('mail-from', `<${from}>`),
    ask('rcpt-to', `<${to}>`),
    ask('data'),
    ...lines.map((line) => ask('data-line', line.startsWith('.') ? `.${line}` : line)),
    ask('data-line', '.'),
    ask('commit'),
  ];
  const { stdout, stderr } = await command('opensmtpd-filter', plugin, [], input.join(''));
  const refused = /^filter-result\|a1\|b2\|reject\|(.*)$/m.exec(stdout)?.[1];
  if (refused !== undefined) return refused;
  const back = [...stdout.matchAll(/^filter-dataline\|a1\|b2\|(.*)$/gm)].map(([, line]) =>
    line!.replace(/^\./, ''),
  );
  assert.ok(back.length > 0, stderr);
  return back.slice(0, -1).join('\n').concat('\n');
}

/** Without what every hop adds, and without what no two signatures share. */
function essence(text: string): string {
  if (/^[245]\d\d[ -]/.test(text)) return text.slice(0, 1);
  return text
    .replace(/^(?:Received|Return-Path|Delivered-To):.*\n(?:[ \t].*\n)*/gim, '')
    .replace(/\b(b|t|x)=(?:[A-Za-z0-9+/=]|\n[ \t]+)+/g, '$1=…');
}

for (const plugin of plugins) {
  test(`${plugin}: the same behind every door`, async () => {
    const wanted = essence(await through('smtp', plugin));
    assert.notEqual(wanted, '');
    const odd: Record<string, string> = {};
    for (const door of doors.slice(1)) {
      const got = essence(await through(door, plugin));
      const expected = differences[plugin]?.[door];
      if ((got === wanted) === (expected !== undefined)) odd[door] = got;
    }
    assert.deepEqual(odd, {}, `SMTP makes of it:\n${wanted}`);
  });
}

test('a difference that is no more, and a plugin that is gone, do not stay in the table', () => {
  for (const name of [...Object.keys(options), ...Object.keys(differences)])
    assert.ok(plugins.includes(name), name);
});
