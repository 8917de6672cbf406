/** Messages on their way into a sink that is slow, full or broken, and messages that are far too large. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { excessDataBytesMax } from '../../../core/base/limits/doors.ts';
import { BinaryScanner } from '../../../src/ingress/smtp/binary-scanner.ts';
import { type DoorInit, openDoor } from '../../kit/door.ts';
import { diskFull } from '../../kit/fake-flow.ts';
import { LineClient } from '../../kit/line-client.ts';

async function openWithEnvelope(t: TestContext, init?: DoorInit) {
  const { flow, port } = await openDoor(t, init);
  const client = LineClient.toPort(port);
  t.after(() => client.destroy());
  client.send('EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n');
  await client.codes(4);
  return { flow, client };
}

const MiB = 1024 * 1024;

test('a slow sink holds the client back, and gets every octet in order', async (t) => {
  let inFlight = 0;
  const write = (chunk: Uint8Array) => {
    inFlight += chunk.length;
    return delay(2).then(() => {
      inFlight = 0;
    });
  };
  const { flow, client } = await openWithEnvelope(t, { answers: { write } });
  const line = `${'0123456789'.repeat(7)}\r\n`;
  const message = line.repeat(20_000);
  client.send('DATA\r\n');
  await client.codes(1);
  client.send(`${message}.\r\nNOOP\r\n`);
  assert.deepEqual(await client.codes(2), ['250 2.0.0', '250 2.0.0']);
  assert.equal(inFlight, 0);
  assert.equal(flow.messages[0]!.bytes.toString('latin1'), message);
});

for (const [where, answers, code] of [
  ['write', { write: () => Promise.reject(diskFull()) }, '452 4.3.1'],
  [
    'a synchronous write',
    {
      write: () => {
        throw diskFull();
      },
    },
    '452 4.3.1',
  ],
  ['finish', { finish: () => Promise.reject(diskFull()) }, '452 4.3.1'],
  ['a broken finish', { finish: () => Promise.reject(new Error('boom')) }, '451 4.3.0'],
] as const) {
  test(`a spool that fails at ${where}: ${code} after the data, and the session goes on`, async (t) => {
    const { flow, client } = await openWithEnvelope(t, { answers });
    client.send('DATA\r\n');
    await client.codes(1);
    client.send(`${'a\r\n'.repeat(100_000)}.\r\nNOOP\r\n`);
    assert.deepEqual(await client.codes(2), [code, '250 2.0.0']);
    assert.equal(flow.openSinks, 0);
    assert.deepEqual(flow.messages, []);
    assert.ok(flow.events.includes('reset'));
  });
}

test('no room for a message is said in place of 354', async (t) => {
  const openMessage = () => {
    throw diskFull();
  };
  const { client } = await openWithEnvelope(t, { answers: { openMessage } });
  client.send('DATA\r\n');
  assert.deepEqual(await client.codes(1), ['452 4.3.1']);
});

test('a message over the limit is read to its end without being kept, then refused', async (t) => {
  const { flow, client } = await openWithEnvelope(t, { limits: { messageBytesMax: MiB } });
  client.send('DATA\r\n');
  await client.codes(1);
  const chunk = Buffer.from('a\r\n'.repeat(MiB / 3));
  for (let n = 0; n < 8; n += 1) client.send(chunk);
  client.send('.\r\nNOOP\r\n');
  assert.deepEqual(await client.codes(2, 20_000), ['552 5.3.4', '250 2.0.0']);
  assert.equal(flow.events.filter((event) => event === 'abort').length, 1);
});

test('a client that goes on for ever is cut off', async (t) => {
  const { flow, client } = await openWithEnvelope(t, { limits: { messageBytesMax: MiB } });
  client.send('DATA\r\n');
  await client.codes(1);
  const chunk = Buffer.alloc(MiB, 'a');
  for (let sent = 0; sent < excessDataBytesMax + 4 * MiB; sent += chunk.length) client.send(chunk);
  assert.deepEqual(await client.codes(1, 20_000), ['421 4.3.4']);
  assert.equal(flow.openSinks, 0);
});

test('binary: lines are lines, all else is not, at every split', () => {
  const cases: [text: string, binary: boolean][] = [
    ['', false],
    ['a\r\nb', false],
    ['\r\n\r\n', false],
    ['a\nb', true],
    ['a\rb', true],
    ['a\r', true],
    ['\r\r\n', true],
    ['\n', true],
    ['a\0', true],
  ];
  for (const [text, binary] of cases) {
    for (let split = 0; split <= text.length; split += 1) {
      const scanner = new BinaryScanner();
      scanner.feed(Buffer.from(text.slice(0, split)));
      scanner.feed(Buffer.from(text.slice(split)));
      assert.equal(scanner.binary, binary, JSON.stringify([text, split]));
    }
  }
});

test('bdat: the flow is told of binary content, in BINARYMIME only', async (t) => {
  const { flow, client } = await openWithEnvelope(t);
  const send = (body: string, octets: string) =>
    client.send(
      `RSET\r\nMAIL FROM:<a@b.test> BODY=${body}\r\nRCPT TO:<c@d.test>\r\nBDAT ${octets.length} LAST\r\n${octets}`,
    );
  send('BINARYMIME', 'a\nb');
  send('BINARYMIME', 'a\r\n');
  send('8BITMIME', 'a\nb');
  await client.codes(12);
  assert.deepEqual(
    flow.messages.map(({ binary, bytes }) => [binary, bytes.toString()]),
    [
      [true, 'a\nb'],
      [false, 'a\r\n'],
      [false, 'a\r\nb'],
    ],
  );
});

test('every split of a transaction into two packets gives the same', async (t) => {
  const { flow, client } = await openWithEnvelope(t);
  const mail = 'RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n';
  const data = '..a\r\n.\rb\n.\n\r\n.\r\nNOOP\r\n';
  for (let split = 1; split < data.length; split += 1) {
    client.send(`${mail}DATA\r\n`);
    assert.deepEqual(await client.codes(4), ['250 2.0.0', '250 2.1.0', '250 2.1.5', '354']);
    client.send(data.slice(0, split));
    await delay(1);
    client.send(data.slice(split));
    assert.deepEqual(await client.codes(2), ['250 2.0.0', '250 2.0.0']);
    assert.equal(
      flow.messages.at(-1)!.bytes.toString('latin1'),
      '.a\r\n b\r\n.\r\n\r\n',
      `split at ${split}`,
    );
  }
});
