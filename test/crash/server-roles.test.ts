/** kill -9 of one role: the other does not notice, and the dead one is back within a second. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { projectRoot } from '../kit/require.ts';
import { type TestServer, until } from '../kit/server.ts';
import { MailClient } from '../server/mail-client.ts';
import { openServer } from '../server/observe.ts';
import { everyRole, judge, letterOf, loadConfig, send } from './server-load.ts';

const open = { address: '127.0.0.1:0', tls: 'none' };
const listeners = {
  smtp: { ...open, protocol: 'smtp', pipeline: 'inbound' },
  imap: { ...open, protocol: 'imap', authWithoutTls: true },
};
const withAccess = { ...loadConfig(), listeners };

test('kill -9 of access: a session that is open across it goes on', async (t) => {
  await using server = await openServer({ config: withAccess });
  await everyRole(server);
  const client = await MailClient.open(server.ports.smtp!);
  const letters = [0, 1].map((number) => letterOf(number, ['alice']));
  await send(client, 'smtp', letters[0]!);
  const mta = server.pidOf('mta');
  await client.envelope({ to: ['alice@example.test'] });
  await killRole(t, server, 'access');
  assert.equal(await client.say('RSET').then(statusOf), '250');
  await send(client, 'smtp', letters[1]!);
  assert.equal(server.pidOf('mta'), mta);
  assert.deepEqual(
    letters.flatMap(({ acknowledged }) => [...acknowledged]),
    ['alice', 'alice'],
  );
  assert.deepEqual(judge(server, letters), []);
  client.destroy();
});

test('kill -9 of mta: access goes on, SMTP is back', async (t) => {
  await using server = await openServer({ config: withAccess });
  await everyRole(server);
  const letters = [0, 1].map((number) => letterOf(number, ['alice', 'bob']));
  const client = await MailClient.open(server.ports.smtp!);
  await send(client, 'smtp', letters[0]!);
  const access = server.pidOf('access');
  const port = portNow(server);
  await killRole(t, server, 'mta');
  await until('another port', () => portNow(server) !== port);
  await assert.rejects(client.say('NOOP'), /closed in place of a reply/);
  const next = await MailClient.open(portNow(server));
  await send(next, 'smtp', letters[1]!);
  assert.equal(server.pidOf('access'), access);
  assert.ok(process.kill(access, 0));
  assert.deepEqual(judge(server, letters), []);
  next.destroy();
});

async function killRole(t: TestContext, server: TestServer, role: 'mta' | 'access'): Promise<void> {
  const pid = server.pidOf(role);
  const start = performance.now();
  process.kill(pid, 'SIGKILL');
  // The file is empty for the moment in which it is written.
  await until(`a new ${role}`, () => ![pid, 0].includes(server.pidOf(role)));
  const backMs = Math.round(performance.now() - start);
  const loadedMs = loadingMs();
  t.diagnostic(`${role} was back after ${backMs} ms; loading its code takes ${loadedMs} ms now`);
  // Half a second here; a machine that is busy with other tests takes longer over everything.
  assert.ok(backMs < Math.max(1000, 4 * loadedMs), `${role} was back after ${backMs} ms`);
}

function loadingMs(): number {
  const start = performance.now();
  const program = `import(${JSON.stringify(join(projectRoot, 'src/daemon.ts'))})`;
  assert.equal(spawnSync(process.execPath, ['-e', program]).status, 0);
  return Math.round(performance.now() - start);
}

/** A port that the kernel chose is another one after a restart. */
function portNow(server: TestServer): number {
  const text = readFileSync(join(server.directory, 'data', 'run', 'listeners.json'), 'utf8');
  return (JSON.parse(text) as { name: string; port: number }[]).find(({ name }) => name === 'smtp')!.port;
}

function statusOf(reply: string): string {
  return reply.slice(0, 3);
}
