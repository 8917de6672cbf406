/** Random commands, random octets, random splits: the door answers or closes, keeps no sink open and holds its memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { openDoor } from '../../kit/door.ts';
import { LineClient } from '../../kit/line-client.ts';
import { type RandomSource, randomSource } from '../../kit/random.ts';

const pieces = [
  ...[
    'EHLO c\r\n',
    'HELO c\r\n',
    'LHLO c\r\n',
    'MAIL FROM:<a@b.test>',
    ' BODY=BINARYMIME',
    ' SIZE=5',
    ' SMTPUTF8',
  ],
  ...['RCPT TO:<c@d.test>', ' NOTIFY=NEVER', 'DATA\r\n', '.\r\n', '\r\n.\r\n', '\n.\n', '..', 'BDAT 5\r\n'],
  ...[
    'BDAT 3 LAST\r\n',
    'BDAT 0 LAST\r\n',
    'BDAT ',
    '99999999',
    'RSET\r\n',
    'NOOP\r\n',
    'QUIT\r\n',
    'STARTTLS\r\n',
  ],
  ...['AUTH PLAIN\r\n', 'AUTH LOGIN AAAA\r\n', '*\r\n', 'XCLIENT ADDR=192.0.2.1\r\n', 'XFORWARD NAME=x\r\n'],
  ...['\r\n', '\n', '\r', '\0', '\xff', ' ', ':', '<', '>', '"', '@', 'a'.repeat(600), 'abc\r\n'],
];

function randomInput(random: RandomSource): Buffer {
  const parts = Array.from({ length: 1 + random.below(60) }, () =>
    random.below(8) === 0 ? random.bytes(random.below(30)) : Buffer.from(random.pick(pieces), 'latin1'),
  );
  return Buffer.concat(parts);
}

async function sendInPieces(port: number, input: Buffer, random: RandomSource): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  // The door may close at any time: writing to it is an error then, and no fault.
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.resume();
  await once(socket, 'connect');
  for (let at = 0; at < input.length; ) {
    const next = at + 1 + random.below(input.length);
    socket.write(input.subarray(at, next));
    at = next;
    if (random.below(3) === 0) await new Promise(setImmediate);
  }
  if (random.below(4) === 0) socket.resetAndDestroy();
  else socket.end();
  await closed;
}

for (const protocol of ['smtp', 'submission', 'lmtp'] as const) {
  test(`fuzz: ${protocol}`, async (t) => {
    const door = await openDoor(t, {
      listener: { protocol, tls: 'starttls', auth: true, authWithoutTls: true },
      config: { xclientFrom: ['127.0.0.1'] },
      limits: { idleTimeoutMs: 100, messageBytesMax: 2000, commandLineBytesMax: 512 },
    });
    const random = randomSource(`fuzz ${protocol}`);
    for (let round = 0; round < 20; round += 1) {
      const inputs = Array.from({ length: 20 }, () => randomInput(random));
      await Promise.all(inputs.map((input) => sendInPieces(door.port, input, random)));
    }
    const client = LineClient.toPort(door.port);
    t.after(() => client.destroy());
    client.send('NOOP\r\n');
    assert.deepEqual(await client.codes(2), ['220', '250 2.0.0'], 'still serves');
    client.destroy();
    while (door.connections.total > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(door.flow.openSinks, 0);
    const bugs = door.logged.filter(({ event }) => event === 'smtp-bug');
    assert.deepEqual(bugs, []);
    const count = (event: RegExp) => door.flow.events.filter((one) => event.test(one)).length;
    assert.equal(count(/^close /), count(/^connect$/), 'each session was closed');
  });
}

test('one endless line, and endless empty lines, take no memory', async (t) => {
  const { port } = await openDoor(t, { limits: { errorsPerSessionMax: 1e9 } });
  const client = LineClient.toPort(port);
  t.after(() => client.destroy());
  await client.codes(1);
  const before = process.memoryUsage().rss;
  const chunk = Buffer.alloc(1024 * 1024, 'a');
  for (let n = 0; n < 64; n += 1) client.send(chunk);
  client.send('\r\nNOOP\r\n');
  assert.deepEqual(await client.codes(2, 20_000), ['500 5.5.2', '250 2.0.0']);
  // What the client itself keeps until it is sent counts here too, hence the wide margin.
  assert.ok(process.memoryUsage().rss - before < 160 * 1024 * 1024);
});
