/** The whole way out: submitted with a password, queued, signed by hooks, over MX, TLS and answers of every kind, and the bounce home. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import { runCommand } from '../kit/command.ts';
import { type DnsServer, serveZone } from '../kit/dns-server.ts';
import { freePort } from '../kit/free-port.ts';
import { type Script, type ScriptedServer, scriptedPair, serveScript } from '../kit/scripted-smtp.ts';
import { password, type ServerOptions, startServer, type TestServer, until } from '../kit/server.ts';

interface World {
  readonly server: TestServer;
  readonly dns: DnsServer;
  readonly mx: ScriptedServer;
}

/** A server of ours, a zone, and one host that takes the mail of remote.test, all on loopback. */
async function world(
  t: TestContext,
  script: Script,
  {
    zone = {},
    config = {},
    ...more
  }: { zone?: ZoneData; config?: object } & Omit<ServerOptions, 'config'> = {},
): Promise<World> {
  const mx = await serveScript(t, script, { host: '127.0.0.2' });
  const dns = await serveZone({
    'remote.test': { MX: [{ exchange: 'mx.remote.test', preference: 10 }] },
    'mx.remote.test': { A: ['127.0.0.2'] },
    ...zone,
  });
  t.after(() => dns.close());
  const server = await startServer({
    ...more,
    config: {
      dns: { servers: [dns.address] },
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: 'mx' },
        { to: '*', reject: '550 5.7.1 relaying denied' },
      ],
      outbound: { port: mx.port, connectTimeoutSeconds: 2 },
      queue: { retrySeconds: [1] },
      ...config,
    },
  });
  t.after(() => server.stop());
  return { server, dns, mx };
}

async function submit(server: TestServer, to: readonly string[], subject = 'hello'): Promise<void> {
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: server.ports.submission! },
    name: 'client.test',
    auth: { user: 'alice@example.test', password },
    plaintextAuth: true,
  });
  const content = Buffer.from(`From: alice@example.test\r\nSubject: ${subject}\r\n\r\n.dot\r\n`);
  const outcome = await client.send(
    { sender: 'alice@example.test', recipients: to },
    { length: content.length, chunks: [content] },
  );
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  await client.quit();
}

const messageTo = (mx: ScriptedServer) => mx.heard.find((line) => line.includes('Subject: hello'));
const queueOf = async (server: TestServer) =>
  JSON.parse((await runCommand(['queue', 'list', '--json', '-c', server.configFile])).stdout) as {
    status: string;
    lastError: string;
    attempts: number;
  }[];

test('a submitted message arrives, the envelope as it should be, and the queue is empty again', async (t) => {
  const { server, mx } = await world(t, {});
  await submit(server, ['x@remote.test', 'y@remote.test']);
  await until('the message', () => messageTo(mx) !== undefined);
  assert.deepEqual(
    mx.heard.filter((line) => /^(EHLO|MAIL|RCPT)/.test(line)).map((line) => line.replace(/ SIZE=\d+/, '')),
    [
      'EHLO mx.example.test',
      'MAIL FROM:<alice@example.test>',
      'RCPT TO:<x@remote.test>',
      'RCPT TO:<y@remote.test>',
    ],
  );
  assert.match(messageTo(mx)!, /^Received: [\s\S]*with ESMTPA[\s\S]*\r\n\.\.dot$/);
  await until('an empty queue', async () => (await queueOf(server)).length === 0);
});

test('nobody relays without a password, whatever sender is written', async (t) => {
  const { server, mx } = await world(t, {});
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: server.ports.smtp! },
    name: 'c.test',
  });
  const outcome = await client.send(
    { sender: 'alice@example.test', recipients: ['x@remote.test'] },
    { chunks: [Buffer.from('x')] },
  );
  assert.equal(outcome.recipients[0]?.code, 550);
  client.destroy();
  assert.equal(mx.connections, 0);
});

test('refused for good: the sender reads why, in the words of the server', async (t) => {
  const { server } = await world(t, { RCPT: ['250 ok', '550 5.1.1 who is that?'] });
  await submit(server, ['x@remote.test', 'nobody@remote.test']);
  await until('the bounce', () => server.messages('alice').length === 1);
  const bounce = readFileSync(server.messages('alice')[0]!, 'utf8');
  assert.match(bounce, /^Return-Path: <>$/m);
  assert.match(bounce, /^Final-Recipient: rfc822; nobody@remote\.test$/m);
  assert.match(bounce, /^Remote-MTA: dns; mx\.remote\.test \[127\.0\.0\.2\]$/m);
  assert.match(bounce, /550 5\.1\.1 who is that\?/);
  assert.match(bounce, /^Subject: hello$/m);
  assert.doesNotMatch(bounce, /Final-Recipient: rfc822; x@/);
});

test('greylisting: later, and then it is there, once', async (t) => {
  const { server, mx } = await world(t, { RCPT: ['451 4.7.1 come back', '250 ok'] });
  await submit(server, ['x@remote.test']);
  await until('the message', () => messageTo(mx) !== undefined);
  await until('an empty queue', async () => (await queueOf(server)).length === 0);
  assert.equal(mx.heard.filter((line) => line.includes('Subject: hello')).length, 1);
  assert.deepEqual(server.messages('alice'), []);
});

for (const at of ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA'] as const) {
  test(`a connection that is lost at ${at} is tried again`, async (t) => {
    const lists = { EHLO: '250 me', MAIL: '250 ok', RCPT: '250 ok', DATA: '354 go' };
    const good = at === 'greeting' ? '220 hi' : lists[at];
    const { server, mx } = await world(
      t,
      at === 'greeting' ? { greeting: 'close' } : { [at]: ['close', good, good] },
    );
    await submit(server, ['x@remote.test']);
    await until('a first attempt', () => mx.connections > 0);
    mx.answers.greeting = '220 hi';
    await until('the message', () => messageTo(mx) !== undefined);
  });
}

test('the next host takes over from one that is dead, and one that is busy', async (t) => {
  const zone = {
    'remote.test': {
      MX: [
        { exchange: 'mx.remote.test', preference: 30 },
        { exchange: 'dead.remote.test', preference: 10 },
        { exchange: 'busy.remote.test', preference: 20 },
      ],
    },
    'dead.remote.test': { A: ['127.0.0.9'] },
    'busy.remote.test': { A: ['127.0.0.3'] },
  };
  const { server, mx } = await world(t, {}, { zone });
  await serveScript(t, { greeting: '421 4.3.2 too busy' }, { host: '127.0.0.3', port: mx.port });
  await submit(server, ['x@remote.test']);
  await until('the message', () => messageTo(mx) !== undefined);
});

const dead: readonly { name: string; zone: ZoneData; want: RegExp }[] = [
  { name: 'a null MX', zone: { 'remote.test': { MX: [{ exchange: '', preference: 0 }] } }, want: /5\.1\.10/ },
  { name: 'no such domain', zone: { 'remote.test': 'NXDOMAIN' }, want: /5\.4\.4/ },
  {
    name: 'an MX without an address',
    zone: { 'remote.test': { MX: [{ exchange: 'gone.remote.test', preference: 1 }] } },
    want: /5\.4\.4/,
  },
  {
    name: 'an MX that leads back here',
    zone: { 'remote.test': { MX: [{ exchange: 'mx.example.test', preference: 1 }] } },
    want: /5\.4\.6/,
  },
];
for (const { name, zone, want } of dead) {
  test(`bounced at once: ${name}`, async (t) => {
    const { server, mx } = await world(t, {}, { zone });
    await submit(server, ['x@remote.test']);
    await until('the bounce', () => server.messages('alice').length === 1);
    assert.match(readFileSync(server.messages('alice')[0]!, 'utf8'), want);
    assert.equal(mx.connections, 0);
  });
}

test('a lookup that fails is no reason to give up', async (t) => {
  const { server, mx, dns } = await world(t, {}, { zone: { 'remote.test': 'SERVFAIL' } });
  await submit(server, ['x@remote.test']);
  await until(
    'a first attempt',
    async () => (await queueOf(server))[0]?.lastError.includes('4.4.3') === true,
  );
  dns.setZone({ 'remote.test': { A: ['127.0.0.2'] } });
  await until('the message', () => messageTo(mx) !== undefined);
});

test('mail past its time comes back with the last reason, after a notice of delay', async (t) => {
  const { server } = await world(
    t,
    { RCPT: '451 4.2.1 not today' },
    { config: { queue: { retrySeconds: [1], expireSeconds: 60, delayNoticeSeconds: 2 } } },
  );
  await submit(server, ['x@remote.test']);
  await until('the notice', () => server.messages('alice').length === 1, 15_000);
  const notice = readFileSync(server.messages('alice')[0]!, 'utf8');
  assert.match(notice, /^Action: delayed$/m);
  assert.match(notice, /451 4\.2\.1 not today/);
});

test('a smarthost: TLS with its name checked, a password, one connection for several messages', async (t) => {
  const host = await serveScript(
    t,
    { EHLO: '250-me\r\n250-STARTTLS\r\n250 AUTH PLAIN', STARTTLS: '220 go', AUTH: '235 in' },
    { port: await freePort() },
  );
  const relay = `smtp://ann@localhost:${host.port}`;
  const { server, mx } = await world(
    t,
    {},
    {
      files: { 'relay.password': 'secret\n', 'ca.pem': scriptedPair.certificate },
      config: {
        routes: [
          { to: '@example.test', deliver: 'mailbox' },
          { to: '*', from: 'authenticated', relay, password: { file: 'relay.password' } },
        ],
        outbound: { caFile: 'ca.pem' },
      },
    },
  );
  for (const recipient of ['x@anywhere.test', 'y@elsewhere.test']) await submit(server, [recipient]);
  const messages = () => host.heard.filter((line) => line.includes('Subject: hello')).length;
  await until('both messages', () => messages() === 2);
  assert.equal(host.heard.filter((line) => line.startsWith('AUTH PLAIN')).length, host.connections);
  assert.equal(mx.connections, 0, 'the MX is not asked');
});

test('a password of ours that is refused bounces no mail', async (t) => {
  const host = await serveScript(t, { EHLO: '250-me\r\n250 AUTH PLAIN', AUTH: '535 5.7.8 wrong' });
  const relay = `smtp://ann@127.0.0.1:${host.port}?tls=none`;
  const routes = [
    { to: '@example.test', deliver: 'mailbox' },
    { to: '*', from: 'authenticated', relay, password: 'wrong' },
  ];
  const { server } = await world(t, {}, { config: { routes } });
  await submit(server, ['x@anywhere.test']);
  const waits = async () => (await queueOf(server))[0]?.lastError.includes('451 4.7.8 login refused: wrong');
  await until('a deferral', async () => (await waits()) === true);
  assert.deepEqual(server.messages('alice'), []);
});

test('a program gets the mail of its route, and its exit code decides', async (t) => {
  const script = ['/bin/sh', '-c', 'cat > "$0.$1"; test "$1" != bad || exit 67', '{user}'];
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-pipe-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const command = [...script.slice(0, 3), `${directory}/got`, script[3]!];
  const { server } = await world(
    t,
    {},
    {
      config: {
        routes: [
          { to: '@example.test', deliver: 'mailbox' },
          { to: '@programs.test', pipe: command },
        ],
      },
    },
  );
  await submit(server, ['good@programs.test', 'bad@programs.test']);
  await until('the bounce', () => server.messages('alice').length === 1);
  assert.match(
    readFileSync(server.messages('alice')[0]!, 'utf8'),
    /Final-Recipient: rfc822; bad@programs\.test/,
  );
  assert.match(readFileSync(`${directory}/got.good`, 'utf8'), /^Subject: hello\n[\s\S]*\n\n\.dot\n$/m);
});

test('LMTP: each recipient has its own answer', async (t) => {
  const lmtp = await serveScript(t, { LHLO: '250 me', data: ['250 2.0.0 in', '552 5.2.2 full'] });
  const { server } = await world(
    t,
    {},
    {
      config: {
        routes: [
          { to: '@example.test', deliver: 'mailbox' },
          { to: '@inner.test', deliver: `lmtp:127.0.0.1:${lmtp.port}` },
        ],
      },
    },
  );
  await submit(server, ['a@inner.test', 'b@inner.test']);
  await until('the bounce', () => server.messages('alice').length === 1);
  const bounce = readFileSync(server.messages('alice')[0]!, 'utf8');
  assert.match(bounce, /Final-Recipient: rfc822; b@inner\.test/);
  assert.match(bounce, /552 5\.2\.2 full/);
  assert.ok(lmtp.heard.includes('LHLO mx.example.test'));
});

test('explain tells of each attempt', async (t) => {
  const { server, mx } = await world(t, { RCPT: ['451 4.7.1 come back', '250 ok'] });
  await submit(server, ['x@remote.test']);
  await until('the message', () => messageTo(mx) !== undefined);
  const id = /id ([A-Z0-9]+)/.exec(messageTo(mx)!)![1]!;
  await until('the story', async () => {
    const { stdout } = await runCommand(['explain', id, '-c', server.configFile]);
    return (
      /send-deferred .*451 4\.7\.1 come back/.test(stdout) &&
      /sent .*mx\.remote\.test \[127\.0\.0\.2\]/.test(stdout)
    );
  });
});
