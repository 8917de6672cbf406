/** Every hook of a server, raised by one session, with what it is given; state that outlives the server, DNS from the servers of the config. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serveZone } from '../kit/dns-server.ts';
import { password, startServer, until } from '../kit/server.ts';
import { MailClient } from './mail-client.ts';
import { idIn, openServer, traceOf, type WholeServer } from './observe.ts';

const recorder = fileURLToPath(new URL('plugins/recorder.ts', import.meta.url));
type Kept = { readonly runs: number; readonly kept: Readonly<Record<string, unknown>> };

test('all hooks in order, results handed on, state kept over a restart, dns answered', async (t) => {
  const dns = await serveZone({
    'mail.sender.example': { A: ['192.0.2.1'] },
    'sender.example': { TXT: ['v=test one'], MX: [{ exchange: 'mail.sender.example', preference: 10 }] },
    '192.0.2.1': { PTR: ['mail.sender.example'] },
    'broken.example': 'SERVFAIL',
  });
  t.after(() => dns.close());
  await using server = await openServer({
    config: {
      pipelines: { inbound: [recorder], outbound: [recorder] },
      dns: { servers: [dns.address], timeoutMs: 2000 },
    },
  });
  const first = await submitOne(server, 'first');
  const stages = first.entries.map(({ stage }) => stage);
  const expected = ['connect', 'helo', 'auth', 'mailFrom', 'rcptTo', 'data', 'headers', 'message', 'deliver'];
  assert.deepEqual(stages, expected);
  assert.deepEqual(
    first.entries.map(({ failure }) => failure),
    expected.map(() => undefined),
  );
  const answered = first.entries.find(({ stage }) => stage === 'message')!.result;
  assert.deepEqual(answered, {
    message: true,
    a: ['192.0.2.1'],
    txt: ['v=test one'],
    mx: [{ exchange: 'mail.sender.example', preference: 10 }],
    ptr: ['mail.sender.example'],
    none: [],
    failed: 'dns-servfail true',
  });
  assert.ok(dns.asked.includes('A mail.sender.example'), dns.asked.join());

  // The close hook ran when the session ended, and at the latest before the server did.
  assert.equal(await server.stop(), 0);
  const again = await startServer({ directory: server.directory });
  t.after(() => again.stop());
  const second = await submitOne(again, 'second');
  const { runs, kept } = second.entries.find(({ stage }) => stage === 'headers')!.result as unknown as Kept;
  assert.equal(runs, 2, 'the counter goes on');
  assert.deepEqual(kept, {
    'given/connect': { remoteIp: '127.0.0.1', listener: 'submission', door: 'submission' },
    'given/helo': { helo: 'client.example', esmtp: true },
    'given/auth': { user: 'alice@example.test', authMethod: 'PLAIN' },
    'given/mailFrom': { sender: 'alice@example.test', before: ['connect', 'helo', 'auth'] },
    'given/rcptTo': { address: 'bob+lists@example.test', notify: ['never'], route: 'mailbox' },
    'given/data': { recipients: ['bob+lists@example.test'] },
    'given/headers': { subject: 'second' },
    'given/message': {
      text: 'parsed',
      before: ['connect', 'helo', 'auth', 'mailFrom', 'rcptTo', 'data', 'headers', 'runs', 'kept'],
    },
    'given/deliver': { user: 'bob@example.test', detail: 'lists', address: 'bob+lists@example.test' },
    'given/close': { reason: 'quit' },
  });
});

/** One message of alice's to bob; the trace of it. */
async function submitOne(
  server: Pick<WholeServer, keyof Awaited<ReturnType<typeof startServer>>>,
  subject: string,
) {
  const client = await MailClient.open(server.ports.submission!);
  assert.match(await client.login('alice@example.test', password), /^235 /);
  assert.match(await client.say('MAIL FROM:<alice@example.test>'), /^250 /);
  assert.match(await client.say('RCPT TO:<bob+lists@example.test> NOTIFY=NEVER'), /^250 /);
  const message = `From: alice@example.test\nSubject: ${subject}\n\nbody\n`;
  const [reply] = await client.data(message);
  assert.match(reply!, /^250 /);
  await client.quit();
  await until(`${subject} in the mailbox`, () => server.messages('bob').length > 0);
  return traceOf(server, idIn(reply));
}
