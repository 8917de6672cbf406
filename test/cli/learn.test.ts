/** `mailfilter learn` on the state of a server that runs, and on that of one that does not; what it taught scores mail. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { startServer, until } from '../kit/server.ts';
import { sendOne } from '../server/mail-client.ts';

const spam = (n: number) => `From: a@example.org\nSubject: offer ${n}00\n\ncasino jackpot winner lottery\n`;
const ham = (n: number) => `From: b@example.org\nSubject: plan ${n}00\n\nmeeting agenda review compiler\n`;

test('learn: with and without a server, why and undo', async (t) => {
  const server = await startServer({ inbound: [{ plugin: 'bayes', options: { minimum: 2 } }] });
  t.after(() => server.kill());
  const run = (input: string, ...args: string[]) =>
    runCommand(['learn', ...args, '-c', server.configFile], { input });
  const first = await run(spam(1), 'spam');
  assert.match(first.stdout, /^[0-9a-f]{16} learnt as spam: \d+ tokens\n$/, first.stderr);
  assert.match((await run(spam(1), 'spam')).stdout, /was learnt as spam before/);
  assert.equal((await run(ham(1), 'ham')).code, 0);
  const early = await run(spam(3), 'why');
  assert.equal(early.code, 1);
  assert.match(early.stderr, /only 1 spam and 1 ham were taught/);
  await server.stop();

  assert.equal((await run(spam(2), 'spam')).code, 0);
  assert.equal((await run(ham(2), 'ham')).code, 0);
  const why = await run(spam(3), 'why');
  assert.match(
    why.stdout,
    /^spam with probability (?:1\.0|0\.9)\d+: .*; taught 2 spam, 2 ham\ntoken /,
    why.stderr,
  );
  assert.match(why.stdout, /^casino +0\.9\d+ +2 +0$/m);
  const json = JSON.parse((await run(ham(3), 'why', '--json', '--clues', '1')).stdout);
  assert.ok(json.probability < 0.1);
  assert.equal(json.clues.length, 1);

  const id = first.stdout.slice(0, 16);
  const undone = await run('', 'undo', id);
  assert.equal(undone.stdout, `${id} is no longer learnt as spam\n`);
  assert.equal((await run('', 'undo', id)).code, 1);
  assert.equal((await run('', 'undo', id, '--user', 'alice@example.test')).code, 1);
  assert.equal((await run(spam(3), 'why')).code, 1);
  assert.equal((await run('', 'spam')).code, 66);
  assert.equal((await run(spam(3), 'why', '--clues', 'many')).code, 64);
});

test('learn: what a running server is taught scores the next message', async (t) => {
  const server = await startServer({
    inbound: [{ plugin: 'bayes', options: { minimum: 1 } }, { plugin: 'policy' }],
  });
  t.after(() => server.kill());
  const teach = (kind: string, input: string) =>
    runCommand(['learn', kind, '-c', server.configFile], { input });
  assert.equal((await teach('spam', spam(1))).code, 0);
  assert.equal((await teach('ham', ham(1))).code, 0);
  const from = 'a@example.org';
  const to = ['alice@example.test'];
  const message = ham(2).replaceAll('\n', '\r\n');
  const [reply = ''] = await sendOne(server.ports.smtp!, { from, to, message });
  assert.match(reply, /^250/);
  await until('the message', () => server.messages('alice').length === 1);
  const stored = readFileSync(server.messages('alice')[0]!, 'utf8');
  assert.match(stored, /^X-Spam-Status: No, (?:.|\n\s)*tests=BAYES_\d+/m);
});

test('learn: the commands of the README are those there are', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../plugins/bayes/README.md'), 'utf8');
  const { stdout } = await runCommand(['learn', '--help']);
  const commands = [...readme.matchAll(/mailfilter learn (\w+)/g)].map(([, command]) => command!);
  assert.deepEqual([...new Set(commands)].sort(), ['ham', 'spam', 'undo', 'why']);
  for (const command of commands) assert.match(stdout, new RegExp(`^ +${command} `, 'm'));
});
