/** The PROXY header at the door: required from listed addresses, refused from all others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Connection } from '../../core/session/connection.ts';
import { type DoorInit, openDoor } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';

const binary = (rest: number[]) => Buffer.from([...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), ...rest]);
const v2 = binary([0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 9, 0x12, 0x67, 0, 25]);

async function open(t: TestContext, init: DoorInit = {}) {
  const seen: Connection[] = [];
  const remember = (connection: Connection): undefined => void seen.push(connection);
  const config = { proxyFrom: ['127.0.0.0/8'], trustedNetworks: ['192.0.2.0/24'] };
  const door = await openDoor(t, { config, answers: { connect: remember }, ...init });
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  return { door, client, seen };
}

for (const [name, header] of [
  ['version 1', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 4711 25\r\n')],
  ['version 2', v2],
] as const) {
  test(`${name}: the client behind the proxy is the client`, async (t) => {
    const { client, seen } = await open(t);
    client.send(Buffer.concat([header, Buffer.from('EHLO c\r\n')]));
    assert.deepEqual(await client.codes(2), ['220', '250']);
    const { remoteIp, remotePort, localIp, localPort, trusted } = seen[0]!;
    assert.deepEqual(
      { remoteIp, remotePort, localIp, localPort, trusted },
      { remoteIp: '192.0.2.7', remotePort: 4711, localIp: '198.51.100.9', localPort: 25, trusted: true },
    );
  });

  test(`${name}: octet by octet`, async (t) => {
    const { client, seen } = await open(t);
    for (const octet of header) {
      client.send(Buffer.from([octet]));
      await new Promise(setImmediate);
    }
    assert.deepEqual(await client.codes(1), ['220']);
    assert.equal(seen[0]!.remoteIp, '192.0.2.7');
  });

  test(`${name}: before implicit TLS`, async (t) => {
    const { client, seen } = await open(t, { listener: { tls: 'implicit' } });
    client.send(header);
    await client.startTls();
    assert.deepEqual(await client.codes(1), ['220']);
    assert.equal(seen[0]!.remoteIp, '192.0.2.7');
  });
}

test('a health check of the proxy is a client of its own', async (t) => {
  const { client, seen } = await open(t);
  client.send(binary([0x20, 0, 0, 0]));
  assert.deepEqual(await client.codes(1), ['220']);
  assert.equal(seen[0]!.remoteIp, '127.0.0.1');
});

for (const [name, octets] of [
  ['SMTP', 'EHLO c\r\n'],
  ['a bad address', 'PROXY TCP4 192.0.2.777 198.51.100.9 4711 25\r\n'],
  ['no line end', `PROXY TCP4 ${'1'.repeat(200)}`],
] as const) {
  test(`${name} in place of the header ends the connection without a word`, async (t) => {
    const { client, door, seen } = await open(t);
    client.send(octets);
    assert.equal(await client.line(), undefined);
    assert.deepEqual(seen, []);
    assert.equal(door.connections.total, 0);
    assert.ok(door.logged.some(({ event }) => event === 'proxy-header'));
  });
}

test('a proxy that sends no header is let go', async (t) => {
  const { client, seen } = await open(t, {
    config: { proxyFrom: ['127.0.0.1'] },
    limits: { idleTimeoutMs: 60 },
  });
  assert.equal(await client.line(), undefined);
  assert.deepEqual(seen, []);
});

test('a binary header from an address that is not listed opens no session', async (t) => {
  const { client, seen, door } = await open(t, { config: {} });
  client.send(Buffer.concat([v2, Buffer.from('EHLO c\r\nMAIL FROM:<a@b.test>\r\n')]));
  // The header's octets hold the line QUIT.
  assert.deepEqual(await client.codes(5), ['220', '500 5.5.2', '500 5.5.2', '500 5.5.2', '221 2.0.0']);
  assert.equal(await client.line(), undefined);
  assert.equal(seen[0]!.remoteIp, '127.0.0.1', 'the header is not believed');
  assert.ok(!door.flow.events.some((event) => event.startsWith('helo')));
});

test('header and ClientHello in one packet, as a proxy sends them', async (t) => {
  const { door, seen } = await open(t, { listener: { tls: 'implicit' } });
  const proxy = createServer((client) => {
    const server = connect(door.port, '127.0.0.1');
    client.once('data', (hello) => {
      server.write(Buffer.concat([v2, hello]));
      client.pipe(server).pipe(client);
    });
    for (const socket of [client, server]) socket.on('error', () => {});
    t.after(() => server.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const client = LineClient.toPort((proxy.address() as AddressInfo).port);
  t.after(() => client.destroy());
  await client.startTls();
  assert.deepEqual(await client.codes(1), ['220']);
  assert.equal(seen[0]!.remoteIp, '192.0.2.7');
});
