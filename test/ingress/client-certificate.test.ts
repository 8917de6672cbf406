/** When a client's certificate offers AUTH EXTERNAL: while the config names an authority, and only where it is the client's own. RFC 4422 appendix A. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Config } from '../../core/config/config.ts';
import { certifyUser } from '../kit/client-certificate.ts';
import { certificate, openDoor, type TestDoor } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';

const alice = certifyUser('alice@example.test');
const files = { ...certificate(), clientCaFile: alice.certFile };
const tls = { ...files, minVersion: 'TLSv1.2' } as const;

const open = (t: TestContext, kind: 'implicit' | 'starttls', config: Partial<Config> = {}) =>
  openDoor(t, {
    listener: { protocol: 'submission', tls: kind, auth: true },
    config: { tls, ...config },
    certificate: files,
  });

/** Over TLS with the certificate, after what is said in clear. */
async function secured(t: TestContext, { port }: TestDoor, before = ''): Promise<LineClient> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(before);
  const over = connectTls({ socket, rejectUnauthorized: false, cert: alice.cert, key: alice.key });
  t.after(() => over.destroy());
  await once(over, 'secureConnect');
  const client = new LineClient(over);
  assert.deepEqual(await client.codes(1), ['220']);
  return client;
}

async function offered(client: LineClient): Promise<boolean> {
  client.send('EHLO c\r\n');
  return (await client.reply()).some((line) => /^250.AUTH EXTERNAL /.test(line));
}

async function isRefused(client: LineClient): Promise<void> {
  assert.equal(await offered(client), false);
  client.send('AUTH EXTERNAL =\r\n');
  assert.deepEqual(await client.codes(1), ['504 5.5.4']);
}

test('the certificate of the client itself counts', async (t) => {
  const door = await open(t, 'implicit');
  const client = await secured(t, door);
  assert.equal(await offered(client), true);
  client.send('AUTH EXTERNAL =\r\n');
  assert.deepEqual(await client.codes(1), ['235 2.7.0']);
  assert.ok(door.flow.events.includes('certified EXTERNAL alice@example.test'));
});

test('without tls.clientCaFile a public authority is none for logins, in sessions that stand and in new ones', async (t) => {
  const before = getCACertificates();
  t.after(() => setDefaultCACertificates(before));
  setDefaultCACertificates([...before, alice.cert]);
  const door = await open(t, 'implicit');
  const client = await secured(t, door);
  assert.equal(await offered(client), true);
  const { clientCaFile: _, ...without } = tls;
  door.tls!.reload(without);
  door.door.reconfigure({ ...door.config, tls: without });
  await isRefused(client);
  await isRefused(await secured(t, door));
  // A handshake is judged by its own list, whatever the door believes.
  door.door.reconfigure(door.config);
  await isRefused(await secured(t, door));
});

test('after XCLIENT the certificate is that of the proxy', async (t) => {
  for (const attribute of ['ADDR=192.0.2.7', 'NAME=client.test']) {
    const client = await secured(t, await open(t, 'implicit', { xclientFrom: ['127.0.0.1'] }));
    assert.equal(await offered(client), true);
    client.send(`XCLIENT ${attribute}\r\n`);
    assert.deepEqual(await client.codes(1), ['220']);
    await isRefused(client);
  }
});

test('after XCLIENT a later handshake is that of the proxy, too', async (t) => {
  const { port, flow } = await open(t, 'starttls', { xclientFrom: ['127.0.0.1'] });
  const client = LineClient.toPort(port);
  t.after(() => client.destroy());
  client.send('XCLIENT ADDR=192.0.2.7\r\n');
  assert.deepEqual(await client.codes(2), ['220', '220']);
  client.send('STARTTLS\r\n');
  assert.deepEqual(await client.codes(1), ['220 2.0.0']);
  await client.startTls({ cert: alice.cert, key: alice.key });
  await isRefused(client);
  client.send('AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n');
  client.send('MAIL FROM:<alice@example.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 3 LAST\r\none');
  assert.deepEqual(await client.codes(4), ['235 2.7.0', '250 2.1.0', '250 2.1.5', '250 2.0.0']);
  assert.equal(flow.messages[0]!.tls?.clientSubject, undefined);
});

test('behind a PROXY header the certificate may be that of the proxy', async (t) => {
  const door = await open(t, 'implicit', { proxyFrom: ['127.0.0.1'] });
  await isRefused(await secured(t, door, 'PROXY TCP4 192.0.2.7 198.51.100.9 4711 465\r\n'));
});
