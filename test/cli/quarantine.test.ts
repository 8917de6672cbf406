/** `mailfilter quarantine`: what is held is listed, shown, released until the next hop has it, learnt from and deleted. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { rule } from '../kit/json-rule.ts';
import { requireProgram } from '../kit/require.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import { sendOne } from '../server/mail-client.ts';

/** Leaves what it is told of moves in a file. */
const learner = `
import { appendFileSync } from 'node:fs';
import { definePlugin } from 'mailfilter/plugin';
export default definePlugin({
  name: 'learner',
  hooks: {
    moved({ user, from, to, message }) {
      appendFileSync(new URL('learnt.txt', import.meta.url), [user, from, to, message.headers.get('Subject')].join(' ') + '\\n');
    },
  },
});
`;

test('held mail: list, show, learn, release, delete', async (t) => {
  const program = requireProgram(t, 'swaks');
  if (!program) return;
  const inbound = [
    {
      plugin: 'header-rules',
      options: { rules: [rule({ header: 'Subject', contains: 'odd' }, { quarantine: 'it is odd' })] },
    },
    './learner.ts',
  ];
  const server = await startServer({ inbound, files: { 'learner.ts': learner } });
  t.after(() => server.stop());
  const quarantine = (...args: string[]) => runCommand(['quarantine', ...args, '-c', server.configFile]);
  const json = async (...args: string[]) => JSON.parse((await quarantine(...args, '--json')).stdout);

  assert.match((await quarantine('list')).stdout, /^Nothing is held\.$/m);
  for (const subject of ['odd one', 'odd two', 'plain', 'odd three']) {
    const message = `From: <ann@example.org>\nTo: <alice@example.test>\nSubject: ${subject}\n\n${subject} text\n`;
    assert.match(
      (await swaks(program, { port: server.ports.smtp!, to: 'alice@example.test', message })).reply,
      /^250 /,
    );
  }
  await until('the plain mail', () => server.messages('alice').length === 1);
  await until('three held', async () => (await json('list')).length === 3);
  const [one, two, three] = await json('list');
  assert.deepEqual([one.subject, one.reason, one.status], ['odd one', 'it is odd', 'held']);
  assert.match((await quarantine('list')).stdout, /odd two .*it is odd/);
  assert.match((await quarantine('show', one.id)).stdout, /^reason {3}it is odd\n(?:.*\n)*odd one text$/m);

  assert.equal((await quarantine('learn', 'spam', two.id)).stdout, 'learnt as spam: 1\n');
  assert.equal((await quarantine('learn', 'ham', one.id)).stdout, 'learnt as ham: 1\n');
  assert.equal(
    readFileSync(`${server.directory}/learnt.txt`, 'utf8'),
    'alice@example.test INBOX Junk odd two\nalice@example.test Junk INBOX odd one\n',
  );

  const released = await quarantine('release', one.id);
  assert.equal(released.stdout, `${one.id}: delivered\nreleased: 1 of 1\n`);
  assert.equal(server.messages('alice').length, 2);
  const again = await quarantine('release', one.id);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /nothing in the quarantine is called/);
  assert.equal(server.messages('alice').length, 2);

  assert.match((await quarantine('delete')).stderr, /name entries, or give --all/);
  assert.equal(
    (await quarantine('delete', '--older-than', '1h', '--reason', 'odd')).stdout,
    'deleted: 0 of 0\n',
  );
  assert.equal((await quarantine('delete', two.id)).stdout, 'deleted: 1 of 1\n');
  assert.deepEqual(
    (await json('list')).map(({ id }: { id: string }) => id),
    [three.id],
  );
  assert.equal((await quarantine('release', '--all')).stdout, `${three.id}: delivered\nreleased: 1 of 1\n`);
  assert.equal(server.messages('alice').length, 3);
});

test('a release lasts until the next hop has said yes: retried while it does not, and never repeated', async (t) => {
  const next = await serveScript(t, {
    data: '451 4.3.0 not now',
    EHLO: '250 me',
  });
  const server = await startServer({
    config: {
      domains: ['example.test', 'behind.test'],
      routes: [{ to: '@behind.test', relay: `smtp://127.0.0.1:${next.port}` }],
      queue: { retrySeconds: [1] },
    },
    inbound: [
      { plugin: 'header-rules', options: { rules: [rule(undefined, { quarantine: 'look at it' })] } },
    ],
  });
  t.after(() => server.stop());
  const letter = { from: 'ann@example.org', to: ['x@behind.test'], message: 'Subject: odd\n\nhello\n' };
  assert.match((await sendOne(server.ports.smtp!, letter))[0]!, /^250 /);
  const quarantine = (...args: string[]) => runCommand(['quarantine', ...args, '-c', server.configFile]);
  assert.equal(next.connections, 0);
  const first = await quarantine('release', '--all', '--wait', '1s');
  assert.match(first.stdout, /: waits in the queue.*\nreleased: 1 of 1\n$/);
  const data = () => next.heard.filter((line) => line.includes('hello')).length;
  next.answers.data = 'close';
  const refused = data();
  await until('an attempt that breaks off', () => data() > refused, 20_000);
  next.answers.data = '250 2.0.0 queued';
  await until('an empty queue', async () => {
    return (await runCommand(['queue', 'list', '--json', '-c', server.configFile])).stdout === '[]\n';
  });
  const taken = data();
  assert.equal((await quarantine('release', '--all')).stdout, 'released: 0 of 0\n');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(data(), taken);
  assert.equal((await quarantine('list')).stdout, 'Nothing is held.\n');
});
