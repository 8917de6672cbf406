/** What a content filter holds is on disk here, and goes on to the next server when an operator releases it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { openDoor } from '../kit/door.ts';
import { rule } from '../kit/json-rule.ts';
import { startServer, until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';

test('held by the content filter, released to the next server', async (t) => {
  const next = await openDoor(t);
  const server = await startServer({
    config: {
      listeners: {
        filter: {
          protocol: 'content-filter',
          address: '127.0.0.1:0',
          next: `127.0.0.1:${next.port}`,
          pipeline: 'inbound',
        },
      },
    },
    inbound: [{ plugin: 'header-rules', options: { rules: [rule(undefined, { quarantine: 'odd' })] } }],
  });
  t.after(() => server.stop());
  const letter = { from: 'ann@one.test', to: ['ben@two.test'], message: 'Subject: odd\n\nhello\n' };
  assert.match((await sendOne(server.ports.filter!, letter))[0]!, /^250 /);
  assert.equal(next.flow.messages.length, 0);
  const list = await runCommand(['queue', 'list', '--json', '-c', server.configFile]);
  const [entry] = JSON.parse(list.stdout);
  const released = await runCommand(['queue', 'release', entry.id, '-c', server.configFile]);
  assert.equal(released.code, 0, released.stderr);
  await until(`the message\n${server.output()}`, () => next.flow.messages.length === 1);
  assert.deepEqual(
    next.flow.messages[0]!.rcptTo.map(({ address }) => address),
    ['ben@two.test'],
  );
});
