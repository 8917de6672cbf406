/** `mailfilter queue` with a server that runs and without one; and the examples of docs/outbound.md. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseConfig } from '../../core/config/load.ts';
import { runCommand } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { startOutgoing } from '../kit/outgoing.ts';
import { projectRoot } from '../kit/require.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { until } from '../kit/server.ts';

interface Row {
  readonly id: string;
  readonly status: string;
  readonly destination: string;
  readonly attempts: number;
}

/** Two messages wait for hosts where nobody listens yet. */
async function waiting(t: TestContext) {
  const port = await freePort();
  const zone = { 'a.test': { A: ['127.0.0.1'] }, 'b.test': { A: ['127.0.0.1'] } };
  const outgoing = await startOutgoing(t, { zone, port, config: { queue: { retrySeconds: [3600] } } });
  const { configFile } = outgoing.server;
  const run = (...args: string[]) => runCommand(['queue', ...args, '-c', configFile]);
  const list = async (...args: string[]) =>
    JSON.parse((await run('list', '--json', ...args)).stdout) as Row[];
  await outgoing.submit(['x@a.test', 'y@b.test']);
  await until('two attempts', async () => {
    const rows = await list();
    return rows.length === 2 && rows.every(({ status, attempts }) => status === 'waiting' && attempts === 1);
  });
  return { ...outgoing, port, run, list };
}

test('the queue is shown, held, released, tried again and emptied', async (t) => {
  const { port, run, list } = await waiting(t);
  const [first] = await list('--destination', 'a.test');
  assert.equal(first?.destination, 'a.test');
  const summary = JSON.parse((await run('summary', '--json')).stdout) as {
    destination: string;
    waiting: number;
  }[];
  assert.deepEqual(summary.map((row) => [row.destination, row.waiting]).sort(), [
    ['a.test', 1],
    ['b.test', 1],
  ]);
  assert.match((await run('summary')).stdout, /a\.test .*ECONNREFUSED/);
  const show = async () => (await run('show', first!.id)).stdout;
  assert.match(await show(), /^to +x@a\.test$/m);
  await until('the message', async () => /^Subject: hello$/m.test(await show()));
  assert.equal((await run('hold', first!.id)).stdout, 'hold: 1 of 1 entries\n');
  assert.equal((await list('--status', 'held'))[0]?.id, first!.id);
  const mx = await serveScript(t, {}, { port });
  assert.equal((await run('retry', '--destination', 'b.test')).code, 0);
  await until('one message', async () => (await list()).length === 1);
  assert.ok(mx.heard.includes('RCPT TO:<y@b.test>'));
  assert.ok(!mx.heard.includes('RCPT TO:<x@a.test>'), 'what is held waits');
  assert.equal((await run('release', first!.id)).code, 0);
  await until('an empty queue', async () => (await list()).length === 0);
  assert.ok(mx.heard.includes('RCPT TO:<x@a.test>'));
  assert.equal((await run('list')).stdout, 'The queue is empty.\n');
});

test('without a server the queue itself is opened', async (t) => {
  const { server, run, list } = await waiting(t);
  await server.stop();
  const message = (await list())[0]!.id.split('/')[0]!;
  assert.equal((await run('hold', message)).stdout, 'hold: 2 of 2 entries\n');
  assert.deepEqual(JSON.parse((await run('remove', '--sender', 'ann@', '--json')).stdout).changed.length, 2);
  assert.deepEqual(await list(), []);
  assert.equal((await run('remove', message)).code, 1);
  assert.equal((await run('retry')).code, 64);
});

test('the examples of docs/outbound.md load', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-docs-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const name of ['shop.password', 'work.password', 'users.json'])
    writeFileSync(join(directory, name), 'secret');
  const text = readFileSync(join(projectRoot, 'docs/outbound.md'), 'utf8');
  const examples = [...text.matchAll(/^```json\n(.*?)^```$/gms)].map(([, example]) => example!);
  assert.equal(examples.length, 3);
  const relayPassword = join(directory, 'relay.password');
  writeFileSync(relayPassword, 'secret');
  for (const example of examples) {
    const rest = '"hostname": "mx.example.org", "dataDirectory": "d", "users": { "file": "users.json" }';
    const whole = example.startsWith('{') ? example : `{ ${rest}, ${example} }`;
    const config = whole.replace('/etc/mailfilter/relay.password', relayPassword);
    parseConfig(config, join(directory, 'mailfilter.json'), { environment: { OLD_PASSWORD: 'x' } });
  }
});
