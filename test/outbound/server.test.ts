/** The whole way out: submitted with a password, queued, signed by hooks, over MX, TLS and answers of every kind, and the bounce home. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import type { OutgoingRecipient } from '../../core/net/smtp-commands.ts';
import { readQueue } from '../../src/queue/open.ts';
import type { QueueEntry } from '../../src/queue/queue.ts';
import { runCommand } from '../kit/command.ts';
import { type DnsServer, serveZone } from '../kit/dns-server.ts';
import { freePort } from '../kit/free-port.ts';
import { type Script, type ScriptedServer, scriptedPair, serveScript } from '../kit/scripted-smtp.ts';
import { password, startServer, type TestServer, until } from '../kit/server.ts';

/** One server for all: each test has a domain and a host of its own, so that nothing learnt of one is known of the next. */
let server: TestServer;
let dns: DnsServer;
const zone: Record<string, ZoneData[string]> = {};
const programs = mkdtempSync(join(tmpdir(), 'mailfilter-pipe-'));
/** Of every host that takes mail, and of those that a route names. */
let ports: { mx: number; smarthost: number; refusing: number; lmtp: number };

before(async () => {
  dns = await serveZone(zone);
  ports = {
    mx: await freePort(),
    smarthost: await freePort(),
    refusing: await freePort(),
    lmtp: await freePort(),
  };
  const program = [
    '/bin/sh',
    '-c',
    'cat > "$0.$1"; test "$1" != bad || exit 67',
    `${programs}/got`,
    '{user}',
  ];
  const relay = (port: number, host: string, query = '') => `smtp://ann@${host}:${port}${query}`;
  server = await startServer({
    files: { 'relay.password': 'secret\n', 'ca.pem': scriptedPair.certificate },
    config: {
      dns: { servers: [dns.address] },
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '@programs.test', pipe: program },
        { to: '@inner.test', deliver: `lmtp:127.0.0.1:${ports.lmtp}` },
        {
          to: '@smart.test',
          relay: relay(ports.smarthost, 'localhost'),
          password: { file: 'relay.password' },
        },
        { to: '@refused.test', relay: relay(ports.refusing, '127.0.0.1', '?tls=none'), password: 'wrong' },
        { to: '*', from: 'authenticated', relay: 'mx' },
        { to: '*', reject: '550 5.7.1 relaying denied' },
      ],
      outbound: { port: ports.mx, connectTimeoutSeconds: 2, caFile: 'ca.pem' },
      queue: { retrySeconds: [1] },
    },
  });
});
after(async () => {
  await server?.stop();
  await dns?.close();
  rmSync(programs, { recursive: true, force: true });
});

let hosts = 0;
/** A domain, and a host on a loopback address of its own that takes its mail; `records` of the domain in the place of its MX. */
async function remote(
  t: TestContext,
  script: Script,
  records?: (domain: string) => ZoneData,
): Promise<{ domain: string; mx: ScriptedServer; ip: string }> {
  hosts += 1;
  const domain = `remote${hosts}.test`;
  const ip = `127.0.1.${hosts}`;
  const mx = await serveScript(t, script, { host: ip, port: ports.mx });
  Object.assign(
    zone,
    { [domain]: { MX: [{ exchange: `mx.${domain}`, preference: 10 }] }, [`mx.${domain}`]: { A: [ip] } },
    records?.(domain),
  );
  dns.setZone(zone);
  return { domain, mx, ip };
}

/** What alice got that tells of that domain. */
function told(domain: string, at = server): string[] {
  return at
    .messages('alice')
    .map((path) => readFileSync(path, 'utf8'))
    .filter((text) => text.includes(domain));
}

type Wishes = Partial<Parameters<SmtpClient['send']>[0]>;

async function submit(
  to: readonly (string | OutgoingRecipient)[],
  at = server,
  wishes: Wishes = {},
): Promise<void> {
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: at.ports.submission! },
    name: 'client.test',
    auth: { user: 'alice@example.test', password },
    plaintextAuth: true,
  });
  const content = Buffer.from(`From: alice@example.test\r\nSubject: hello\r\n\r\n.dot\r\n`);
  const outcome = await client.send(
    { sender: 'alice@example.test', recipients: to, ...wishes },
    { length: content.length, chunks: [content] },
  );
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  await client.quit();
}

const messageTo = (mx: ScriptedServer) => mx.heard.find((line) => line.includes('Subject: hello'));
/** What waits for that domain. */
function waiting(domain: string): QueueEntry[] {
  const queue = readQueue(join(server.directory, 'data', 'queue'));
  try {
    return queue
      .list()
      .filter(({ envelope }) => envelope.recipients.some(({ address }) => address.endsWith(`@${domain}`)));
  } finally {
    queue.close();
  }
}

test('a submitted message arrives, the envelope as it should be, and the queue is empty again', async (t) => {
  const { domain, mx } = await remote(t, {});
  await submit([`x@${domain}`, `y@${domain}`]);
  await until('the message', () => messageTo(mx) !== undefined);
  assert.deepEqual(
    mx.heard.filter((line) => /^(EHLO|MAIL|RCPT)/.test(line)).map((line) => line.replace(/ SIZE=\d+/, '')),
    [
      'EHLO mx.example.test',
      'MAIL FROM:<alice@example.test>',
      `RCPT TO:<x@${domain}>`,
      `RCPT TO:<y@${domain}>`,
    ],
  );
  assert.match(messageTo(mx)!, /^Received: [\s\S]*with ESMTPA[\s\S]*\r\n\.\.dot$/);
  await until('an empty queue', () => waiting(domain).length === 0);
});

test('nobody relays without a password, whatever sender is written', async (t) => {
  const { domain, mx } = await remote(t, {});
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: server.ports.smtp! },
    name: 'c.test',
  });
  const outcome = await client.send(
    { sender: 'alice@example.test', recipients: [`x@${domain}`] },
    { chunks: [Buffer.from('x')] },
  );
  assert.equal(outcome.recipients[0]?.code, 550);
  client.destroy();
  assert.equal(mx.connections, 0);
});

test('refused for good: the sender reads why, in the words of the server', async (t) => {
  const { domain, ip } = await remote(t, { RCPT: ['250 ok', '550 5.1.1 who is that?'] });
  await submit([`x@${domain}`, `nobody@${domain}`]);
  await until('the bounce', () => told(domain).length === 1);
  const [bounce = ''] = told(domain);
  assert.match(bounce, /^Return-Path: <>$/m);
  assert.ok(bounce.includes(`\nFinal-Recipient: rfc822; nobody@${domain}\n`));
  assert.ok(bounce.includes(`\nRemote-MTA: dns; mx.${domain} [${ip}]\n`));
  assert.match(bounce, /550 5\.1\.1 who is that\?/);
  assert.match(bounce, /^Subject: hello$/m);
  assert.doesNotMatch(bounce, /Final-Recipient: rfc822; x@/);
});

const asked = (domain: string): OutgoingRecipient => ({
  address: `x@${domain}`,
  notify: ['success', 'failure'],
  orcpt: 'rfc822;First+Address@old.test',
});

test('what the sender asks of DSN goes on to a server that has it, which then reports', async (t) => {
  const { domain, mx } = await remote(t, { EHLO: '250-me\r\n250 DSN' });
  await submit([asked(domain)], server, { ret: 'hdrs', envid: 'order 66' });
  await until('an empty queue', () => messageTo(mx) !== undefined && waiting(domain).length === 0);
  assert.ok(
    mx.heard.includes('MAIL FROM:<alice@example.test> RET=HDRS ENVID=order+2066'),
    mx.heard.join('\n'),
  );
  assert.ok(
    mx.heard.includes(`RCPT TO:<x@${domain}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;First+2BAddress@old.test`),
  );
  assert.deepEqual(told(domain), []);
});

test('a server without DSN is asked for nothing, and the sender hears that the mail was passed on', async (t) => {
  const { domain, mx } = await remote(t, {});
  await submit([asked(domain)], server, { ret: 'hdrs', envid: 'order 66' });
  await until('the report', () => told(domain).length === 1);
  const [report = ''] = told(domain);
  assert.match(report, /^Action: relayed$/m);
  assert.match(report, /^Original-Envelope-Id: order 66$/m);
  assert.match(report, /^Original-Recipient: rfc822; First\+Address@old\.test$/m);
  assert.doesNotMatch(report, /^\.dot$/m, 'the header alone');
  assert.ok(!mx.heard.some((line) => /NOTIFY|ORCPT|RET=|ENVID/.test(line)));
});

test('what failed and was not to be told is not told', async (t) => {
  const { domain, mx } = await remote(t, { RCPT: '550 5.1.1 nobody' });
  await submit([{ address: `x@${domain}`, notify: ['never'] }]);
  await until(
    'the end',
    () => mx.heard.some((line) => line.startsWith('RCPT')) && waiting(domain).length === 0,
  );
  assert.deepEqual(told(domain), []);
});

test('greylisting: later, and then it is there, once', async (t) => {
  const { domain, mx } = await remote(t, { RCPT: ['451 4.7.1 come back', '250 ok'] });
  await submit([`x@${domain}`]);
  await until('the message', () => messageTo(mx) !== undefined);
  await until('an empty queue', () => waiting(domain).length === 0);
  assert.equal(mx.heard.filter((line) => line.includes('Subject: hello')).length, 1);
  assert.deepEqual(told(domain), []);
});

for (const at of ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA'] as const) {
  test(`a connection that is lost at ${at} is tried again`, async (t) => {
    const lists = { EHLO: '250 me', MAIL: '250 ok', RCPT: '250 ok', DATA: '354 go' };
    const good = at === 'greeting' ? '220 hi' : lists[at];
    const { domain, mx } = await remote(
      t,
      at === 'greeting' ? { greeting: 'close' } : { [at]: ['close', good, good] },
    );
    await submit([`x@${domain}`]);
    await until('a first attempt', () => mx.connections > 0);
    mx.answers.greeting = '220 hi';
    await until('the message', () => messageTo(mx) !== undefined);
  });
}

test('the next host takes over from one that is dead, and one that is busy', async (t) => {
  const { domain, mx } = await remote(t, {}, (domain) => ({
    [domain]: {
      MX: [
        { exchange: `mx.${domain}`, preference: 30 },
        { exchange: `dead.${domain}`, preference: 10 },
        { exchange: `busy.${domain}`, preference: 20 },
      ],
    },
    [`dead.${domain}`]: { A: ['127.0.1.200'] },
    [`busy.${domain}`]: { A: ['127.0.1.201'] },
  }));
  await serveScript(t, { greeting: '421 4.3.2 too busy' }, { host: '127.0.1.201', port: ports.mx });
  await submit([`x@${domain}`]);
  await until('the message', () => messageTo(mx) !== undefined);
});

const dead: readonly { name: string; records: ZoneData[string]; want: RegExp }[] = [
  { name: 'a null MX', records: { MX: [{ exchange: '', preference: 0 }] }, want: /5\.1\.10/ },
  { name: 'no such domain', records: 'NXDOMAIN', want: /5\.4\.4/ },
  {
    name: 'an MX without an address',
    records: { MX: [{ exchange: 'gone.test', preference: 1 }] },
    want: /5\.4\.4/,
  },
  {
    name: 'an MX that leads back here',
    records: { MX: [{ exchange: 'mx.example.test', preference: 1 }] },
    want: /5\.4\.6/,
  },
];
for (const { name, records, want } of dead) {
  test(`bounced at once: ${name}`, async (t) => {
    const { domain, mx } = await remote(t, {}, (domain) => ({ [domain]: records }));
    await submit([`x@${domain}`]);
    await until('the bounce', () => told(domain).length === 1);
    assert.match(told(domain)[0]!, want);
    assert.equal(mx.connections, 0);
  });
}

test('a lookup that fails is no reason to give up', async (t) => {
  const { domain, mx, ip } = await remote(t, {}, (domain) => ({ [domain]: 'SERVFAIL' }));
  await submit([`x@${domain}`]);
  await until('a first attempt', () => waiting(domain)[0]?.lastError.includes('4.4.3') === true);
  zone[domain] = { A: [ip] };
  dns.setZone(zone);
  await until('the message', () => messageTo(mx) !== undefined);
});

test('mail past its time comes back with the last reason, after a notice of delay', async (t) => {
  const { domain } = await remote(t, { RCPT: '451 4.2.1 not today' });
  const patient = await startServer({
    config: {
      dns: { servers: [dns.address] },
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: 'mx' },
      ],
      outbound: { port: ports.mx },
      queue: { retrySeconds: [1], expireSeconds: 60, delayNoticeSeconds: 2 },
    },
  });
  t.after(() => patient.stop());
  await submit([`x@${domain}`], patient);
  await until('the notice', () => told(domain, patient).length === 1);
  const [notice = ''] = told(domain, patient);
  assert.match(notice, /^Action: delayed$/m);
  assert.match(notice, /451 4\.2\.1 not today/);
});

test('a smarthost: TLS with its name checked, a password, one connection for several messages', async (t) => {
  const host = await serveScript(
    t,
    { EHLO: '250-me\r\n250-STARTTLS\r\n250 AUTH PLAIN', STARTTLS: '220 go', AUTH: '235 in' },
    { port: ports.smarthost },
  );
  for (const recipient of ['x@smart.test', 'y@smart.test']) await submit([recipient]);
  const messages = () => host.heard.filter((line) => line.includes('Subject: hello')).length;
  await until('both messages', () => messages() === 2);
  assert.equal(host.heard.filter((line) => line.startsWith('AUTH PLAIN')).length, host.connections);
});

test('a password of ours that is refused bounces no mail', async (t) => {
  const script = { EHLO: '250-me\r\n250 AUTH PLAIN', AUTH: '535 5.7.8 wrong' };
  const host = await serveScript(t, script, { port: ports.refusing });
  await submit(['x@refused.test']);
  const reason = '451 4.7.8 login refused: wrong';
  await until('a deferral', () => waiting('refused.test')[0]?.lastError.includes(reason) === true);
  assert.deepEqual(told('refused.test'), []);
  assert.ok(!host.heard.some((line) => line.startsWith('MAIL')));
});

test('a program gets the mail of its route, and its exit code decides', async () => {
  await submit(['good@programs.test', 'bad@programs.test']);
  await until('the bounce', () => told('programs.test').length === 1);
  assert.match(told('programs.test')[0]!, /Final-Recipient: rfc822; bad@programs\.test/);
  assert.match(readFileSync(`${programs}/got.good`, 'utf8'), /^Subject: hello\n[\s\S]*\n\n\.dot\n$/m);
});

test('LMTP: each recipient has its own answer', async (t) => {
  const script = { LHLO: '250 me', data: ['250 2.0.0 in', '552 5.2.2 full'] };
  const lmtp = await serveScript(t, script, { port: ports.lmtp });
  await submit(['a@inner.test', 'b@inner.test']);
  await until('the bounce', () => told('inner.test').length === 1);
  const [bounce = ''] = told('inner.test');
  assert.match(bounce, /Final-Recipient: rfc822; b@inner\.test/);
  assert.match(bounce, /552 5\.2\.2 full/);
  assert.ok(lmtp.heard.includes('LHLO mx.example.test'));
});

test('explain tells of each attempt', async (t) => {
  const { domain, mx, ip } = await remote(t, { RCPT: ['451 4.7.1 come back', '250 ok'] });
  await submit([`x@${domain}`]);
  await until('the message', () => messageTo(mx) !== undefined);
  const id = /id ([A-Z0-9]+)/.exec(messageTo(mx)!)![1]!;
  await until('the story', async () => {
    const { stdout } = await runCommand(['explain', id, '-c', server.configFile]);
    return (
      /send-deferred .*451 4\.7\.1 come back/.test(stdout) &&
      /sent /.test(stdout) &&
      stdout.includes(`mx.${domain} [${ip}]`)
    );
  });
});
