/** The access role as a whole: several processes on one port, killed and back, drained, reloaded, and calls that wait for the mta. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { LineClient } from '../kit/line-client.ts';
import { until } from '../kit/server.ts';
import { SieveClient } from '../kit/sieve-client.ts';
import { openServer } from './observe.ts';

const plain = { protocol: 'managesieve', tls: 'none', authWithoutTls: true };

test('two processes share a port; one that dies is back, and the other serves meanwhile', async () => {
  const port = await freePort();
  await using server = await openServer({
    config: { listeners: { sieve: { ...plain, address: `127.0.0.1:${port}` } }, processes: { access: 2 } },
  });
  assert.equal(server.ports.sieve, port);
  const pid = (name: string) => {
    const file = join(server.directory, 'data/run', `${name}.pid`);
    // Gone for the moment in which a process takes another's place.
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  };
  await until('both', () => pid('access') > 0 && pid('access-1') > 0);
  const first = pid('access');
  process.kill(first, 'SIGKILL');
  // Until the kernel has taken its socket away, clients may still be given to it.
  await until('its end', () => !existsSync(`/proc/${first}/fd/0`));
  for (let n = 0; n < 5; n += 1) {
    // Whom the kernel had given to the dead one comes again.
    await until('an answer', async () => {
      const client = await SieveClient.login(port, 'alice@example.test').catch(() => undefined);
      const answer = await client?.say('NOOP');
      client?.close();
      return answer?.[0] === 'OK';
    });
  }
  await until('another one', () => ![first, 0].includes(pid('access')));
});

test('a client that waits hears of the end; the server ends in order', async () => {
  await using server = await openServer({
    config: { listeners: { sieve: { ...plain, address: '127.0.0.1:0' } } },
  });
  const client = LineClient.toPort(server.ports.sieve!);
  while (!(await client.line())?.startsWith('OK'));
  const ended = server.stop();
  assert.equal(await client.line(), 'BYE (TRYLATER) "the server is shutting down"');
  assert.equal(await ended, 0);
  client.destroy();
});

test('a reload changes what clients may do', async () => {
  await using server = await openServer({
    config: { listeners: { sieve: { ...plain, address: '127.0.0.1:0' } } },
  });
  const config = JSON.parse(readFileSync(server.configFile, 'utf8'));
  writeFileSync(server.configFile, JSON.stringify({ ...config, limits: { authFailuresMax: 1 } }));
  const { code, stderr } = await runCommand(['reload', '-c', server.configFile]);
  assert.equal(code, 0, stderr);
  const guess = async () => {
    const client = LineClient.toPort(server.ports.sieve!);
    while (!(await client.line())?.startsWith('OK'));
    client.send(`AUTHENTICATE "PLAIN" "${Buffer.from('\0alice@example.test\0no').toString('base64')}"\r\n`);
    const answer = await client.line(20_000);
    client.destroy();
    return answer ?? '';
  };
  // The access role hears of it on its own.
  await until('the new limit', async () => (await guess()).startsWith('BYE'), 30_000);
});
