/** The access role's doors: lines and literals within bounds, STARTTLS without injection, limits, login, drain, bugs. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Protocol } from '../../src/access/protocol.ts';
import { openAccessDoor } from '../kit/access-door.ts';
import { LineClient } from '../kit/line-client.ts';

/** Each command is one line: what the tests need of a protocol. */
const echo: Protocol = {
  farewell: (reason) => `bye ${reason}\r\n`,
  async serve(wire, house, listener) {
    const login = house.logins.begin(wire, listener);
    wire.write('hello\r\n');
    for (;;) {
      const line = (await wire.command(100)).toString();
      const [word = '', argument = ''] = line.split(' ');
      if (word === 'quit') return;
      if (word === 'bug') throw new Error('a bug');
      if (word === 'idle') wire.idleTimeoutMs = Number(argument);
      else if (word === 'octets') wire.write(`${(await wire.octets(Number(argument))).toString('hex')}\r\n`);
      else if (word === 'stream') {
        let count = 0;
        for await (const chunk of wire.stream(Number(argument))) count += chunk.length;
        wire.write(`${count}\r\n`);
      } else if (word === 'flood') {
        for (let n = 0; n < Number(argument); n += 1) {
          wire.write(Buffer.alloc(65_536));
          await wire.drained();
        }
      } else if (word === 'starttls') {
        wire.write('go ahead\r\n');
        await wire.startTls(house.tls!);
      } else if (word === 'tls') wire.write(`${wire.tls?.protocol ?? 'none'}\r\n`);
      else if (word === 'login') {
        const [address = '', password = ''] = argument.split('/');
        const outcome = await login.password('TEST', address, password);
        wire.write(outcome.kind === 'user' ? `user ${outcome.user.address}\r\n` : `no ${outcome.reason}\r\n`);
        if (outcome.kind === 'refused' && outcome.last) return;
      } else if (word === 'auth') {
        const outcome = await login.authenticate(argument, undefined, async (challenge) => {
          wire.write(`+ ${challenge.toString()}\r\n`);
          return wire.line(100);
        });
        wire.write(outcome.kind === 'user' ? `user ${outcome.user.address}\r\n` : `no ${outcome.reason}\r\n`);
      } else wire.write(`${line}\r\n`);
    }
  },
};

async function open(t: TestContext, init: Partial<Parameters<typeof openAccessDoor>[1]> = {}) {
  const door = await openAccessDoor(t, { protocol: echo, ...init });
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  if (init.listener?.tls !== 'implicit') assert.equal(await client.line(), 'hello');
  return { ...door, client };
}

test('lines and literals in whatever packets they come', async (t) => {
  const { client } = await open(t);
  client.send('one\r\ntwo\nthr');
  assert.equal(await client.line(), 'one');
  assert.equal(await client.line(), 'two');
  client.send('ee\r\noctets 4\r\n\x00\r');
  assert.equal(await client.line(), 'three');
  client.send('\nx');
  assert.equal(await client.line(), '000d0a78');
  client.send(`stream 200000\r\n${'y'.repeat(200_000)}after\r\n`);
  assert.equal(await client.line(), '200000');
  assert.equal(await client.line(), 'after');
  client.send('quit\r\n');
  assert.equal(await client.line(), undefined);
});

test('a client that closes its side still gets the answers to what it sent', async (t) => {
  const { client } = await open(t);
  client.send('one\r\ntwo\r\n');
  client.end();
  assert.deepEqual(
    [await client.line(), await client.line(), await client.line()],
    ['one', 'two', undefined],
  );
});

test('a line without an end is not read for ever', async (t) => {
  const { client, logged } = await open(t);
  client.send('x'.repeat(1000));
  assert.equal(await client.line(), undefined);
  assert.equal(logged.at(-1)?.facts.code, 'line-too-long');
});

test('silence ends with a word', async (t) => {
  const { client } = await open(t);
  client.send('idle 50\r\n');
  assert.equal(await client.line(), 'bye timeout');
  assert.equal(await client.line(), undefined);
});

test('a client that does not read is waited for, with little in memory', async (t) => {
  const { client } = await open(t);
  client.pause();
  const before = process.memoryUsage().external;
  client.send('flood 4000\r\n');
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(process.memoryUsage().external - before < 64 * 1024 * 1024);
});

test('STARTTLS, and what was sent in clear behind it is never believed', async (t) => {
  const { client, port } = await open(t, { listener: { tls: 'starttls' } });
  client.send('starttls\r\n');
  assert.equal(await client.line(), 'go ahead');
  await client.startTls();
  client.send('tls\r\n');
  assert.match((await client.line()) ?? '', /^TLSv1\.[23]$/);
  const injector = LineClient.toPort(port);
  t.after(() => injector.destroy());
  await injector.line();
  injector.send('starttls\r\ninjected\r\n');
  assert.equal(await injector.line(), 'go ahead');
  assert.equal(await injector.line(), undefined);
});

test('implicit TLS', async (t) => {
  const { client } = await open(t, { listener: { tls: 'implicit' } });
  await client.startTls();
  assert.equal(await client.line(), 'hello');
});

test('a PROXY header gives the client its address', async (t) => {
  const door = await openAccessDoor(t, { protocol: echo, config: { proxyFrom: ['127.0.0.1'] } });
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  client.send('PROXY TCP4 192.0.2.7 192.0.2.1 5555 4190\r\nlogin alice@example.test/wrong\r\n');
  assert.equal(await client.line(), 'hello');
  assert.equal(await client.line(), 'no encryption');
});

test('implicit TLS behind a proxy, its header and the handshake in one packet or two', async (t) => {
  const door = await openAccessDoor(t, {
    protocol: echo,
    config: { proxyFrom: ['127.0.0.1'] },
    listener: { tls: 'implicit' },
  });
  for (const pauseMs of [0, 50]) {
    const client = LineClient.toPort(door.port);
    t.after(() => client.destroy());
    client.send('PROXY TCP4 192.0.2.7 192.0.2.1 5555 993\r\n');
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    await client.startTls();
    assert.equal(await client.line(), 'hello');
  }
});

test('a drain does not wait for who has not said who it is', async (t) => {
  const door = await openAccessDoor(t, { protocol: echo, config: { proxyFrom: ['127.0.0.1'] } });
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  await new Promise((resolve) => setTimeout(resolve, 50));
  await door.door.close(60_000);
  assert.equal(await client.line(), undefined);
});

test('too many connections are told so', async (t) => {
  const { port, connections } = await open(t, { limits: { connectionsMax: 1 } });
  const second = LineClient.toPort(port);
  t.after(() => second.destroy());
  assert.equal(await second.line(), 'bye too-many');
  assert.equal(await second.line(), undefined);
  assert.equal(connections.total, 1);
});

test('logins: right, wrong, the last failure ends the connection', async (t) => {
  const { client, logged } = await open(t, { limits: { authFailuresMax: 2 } });
  client.send('login alice@example.test/secret\r\n');
  assert.equal(await client.line(), 'user alice@example.test');
  client.send('login alice@example.test/wrong\r\nlogin nobody@example.test/secret\r\n');
  assert.equal(await client.line(), 'no credentials');
  assert.equal(await client.line(), 'no credentials');
  assert.equal(await client.line(), undefined);
  assert.equal(logged.filter(({ event }) => event === 'login-failed').length, 2);
});

test('SASL LOGIN asks twice', async (t) => {
  const { client } = await open(t);
  client.send('auth login\r\n');
  assert.equal(await client.line(), '+ Username:');
  client.send('bob@example.test\r\n');
  assert.equal(await client.line(), '+ Password:');
  client.send('other\r\n');
  assert.equal(await client.line(), 'user bob@example.test');
});

test('no password without TLS', async (t) => {
  const { client } = await open(t, { listener: { authWithoutTls: false } });
  client.send('login alice@example.test/secret\r\n');
  assert.equal(await client.line(), 'no encryption');
});

test('failures of one network are answered later and later', async (t) => {
  const door = await openAccessDoor(t, {
    protocol: echo,
    authFailureDelayMs: 40,
    config: { proxyFrom: ['127.0.0.1'] },
    listener: { tls: 'starttls' },
  });
  const times: number[] = [];
  for (let n = 0; n < 3; n += 1) {
    const client = LineClient.toPort(door.port);
    t.after(() => client.destroy());
    client.send('PROXY TCP4 192.0.2.7 192.0.2.1 5555 4190\r\n');
    await client.line();
    client.send('starttls\r\n');
    await client.line();
    await client.startTls();
    const start = performance.now();
    client.send('login alice@example.test/wrong\r\n');
    assert.equal(await client.line(), 'no credentials');
    times.push(performance.now() - start);
  }
  assert.ok(times[0]! >= 39 && times[1]! >= 79 && times[2]! >= 159, times.join());
});

test('a drain ends who waits, and lets a command end first', async (t) => {
  const { client, port, door } = await open(t);
  const busy = LineClient.toPort(port);
  t.after(() => busy.destroy());
  await busy.line();
  busy.send('octets 2\r\nx');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = door.close(5000);
  assert.equal(await client.line(), 'bye shutdown');
  busy.send('y');
  assert.equal(await busy.line(), '7879');
  assert.equal(await busy.line(), 'bye shutdown');
  busy.destroy();
  client.destroy();
  await closed;
});

test('a bug ends its own connection alone', async (t) => {
  const { client, port, logged } = await open(t);
  const other = LineClient.toPort(port);
  t.after(() => other.destroy());
  await other.line();
  client.send('bug\r\n');
  assert.equal(await client.line(), 'bye bug');
  assert.equal(await client.line(), undefined);
  assert.ok(logged.some(({ event }) => event === 'access-bug'));
  other.send('still here\r\n');
  assert.equal(await other.line(), 'still here');
});
