/** TLS at the doors: implicit, STARTTLS without injection, certificates that are exchanged while the server runs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { makeCertificate, openDoor } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';

async function handshake(t: TestContext, port: number, options = {}): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

test('implicit TLS: greeting, EHLO and a message', async (t) => {
  const { port, flow } = await openDoor(t, { listener: { tls: 'implicit' } });
  const client = new LineClient(await handshake(t, port, { servername: 'mx.example.test' }));
  client.send('EHLO c\r\n');
  assert.deepEqual(await client.codes(1), ['220']);
  const offered = await client.reply();
  assert.ok(!offered.some((line) => line.includes('STARTTLS')));
  client.send('MAIL FROM:<a@b.test> REQUIRETLS\r\nRCPT TO:<c@d.test>\r\nBDAT 3 LAST\r\none');
  await client.codes(3);
  assert.equal(flow.messages[0]!.mailFrom.requireTls, true);
  assert.equal(flow.messages[0]!.tls?.protocol, 'TLSv1.3');
  assert.equal(flow.messages[0]!.tls?.serverName, 'mx.example.test');
});

test('TLS 1.1 is refused', async (t) => {
  const { port } = await openDoor(t, { listener: { tls: 'implicit' } });
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
  await assert.rejects(handshake(t, port, old));
});

test('implicit TLS: who never shakes hands is let go, and no longer counted', async (t) => {
  const door = await openDoor(t, { listener: { tls: 'implicit' }, limits: { idleTimeoutMs: 100 } });
  const socket = connect(door.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.resume();
  await once(socket, 'close');
  assert.equal(door.connections.total, 0);
});

test('STARTTLS: who never shakes hands is let go, and no longer counted', async (t) => {
  const door = await openDoor(t, { listener: { tls: 'starttls' }, limits: { idleTimeoutMs: 100 } });
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  client.send('STARTTLS\r\n');
  assert.deepEqual(await client.codes(2), ['220', '220 2.0.0']);
  assert.equal(await client.line(), undefined, 'nothing is written into the handshake');
  client.end();
  while (door.connections.total > 0) await new Promise(setImmediate);
  assert.ok(door.flow.events.includes('close lost'));
});

test('STARTTLS: what was sent behind it in clear is never run, in the same packet or the next', async (t) => {
  for (const gapMs of [0, 20]) {
    const { port, flow } = await openDoor(t, { listener: { tls: 'starttls' } });
    const client = LineClient.toPort(port);
    t.after(() => client.destroy());
    const injected = 'EHLO evil\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n';
    client.send(gapMs === 0 ? `STARTTLS\r\n${injected}` : 'STARTTLS\r\n');
    assert.deepEqual(await client.codes(2), ['220', '220 2.0.0']);
    if (gapMs > 0) client.send(injected);
    // In the next packet the clear octets are no TLS record, and the handshake fails; either way nothing runs.
    await client.startTls().then(
      async () => {
        client.send('NOOP\r\nMAIL FROM:<a@b.test>\r\n');
        assert.deepEqual(await client.codes(2), ['250 2.0.0', '503 5.5.1']);
      },
      () => {},
    );
    assert.deepEqual(
      flow.events.filter((event) => /evil/.test(event)),
      [],
    );
  }
});

test('a reloaded certificate serves the next handshake, on both kinds of listener', async (t) => {
  const first = makeCertificate('mx.example.test');
  const second = makeCertificate('new.example.test');
  const door = await openDoor(t, { listener: { tls: 'implicit' }, certificate: first });
  const subject = async () => (await handshake(t, door.port)).getPeerCertificate().subject.CN;
  const early = await handshake(t, door.port);
  assert.equal(await subject(), 'mx.example.test');
  copyFileSync(second.certFile, first.certFile);
  assert.throws(() => door.tls!.reload(), /cannot use certificate .*cert\.pem/);
  assert.equal(await subject(), 'mx.example.test', 'a pair that does not fit changes nothing');
  copyFileSync(second.keyFile, first.keyFile);
  door.tls!.reload();
  assert.equal(await subject(), 'new.example.test');
  const client = new LineClient(early);
  client.send('NOOP\r\n');
  assert.deepEqual(await client.codes(2), ['220', '250 2.0.0']);
});

test('a listener that offers TLS without a certificate is refused, and says which option', async (t) => {
  await assert.rejects(
    openDoor(t, { listener: { tls: 'starttls' }, certificate: 'none' }),
    /listener "test" offers TLS: set tls\.certFile/,
  );
});
