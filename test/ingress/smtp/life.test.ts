/** How sessions begin, wait and end: limits, deadlines, shutdown, clients that vanish, flows that fail. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DoorInit } from '../../kit/door.ts';
import { openDoor } from '../../kit/door.ts';
import { LineClient } from '../../kit/line-client.ts';

const envelope = 'MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n';

async function open(t: TestContext, init?: DoorInit) {
  const door = await openDoor(t, init);
  const client = LineClient.toPort(door.port);
  t.after(() => client.destroy());
  return { door, flow: door.flow, client };
}

/** Greeted, EHLO said, envelope accepted. */
async function openWithEnvelope(t: TestContext, init?: DoorInit) {
  const opened = await open(t, init);
  opened.client.send(`EHLO c\r\n${envelope}`);
  assert.deepEqual(await opened.client.codes(4), ['220', '250', '250 2.1.0', '250 2.1.5']);
  return opened;
}

async function until(condition: () => boolean, timeoutMs = 3000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `never: ${condition}`);
    await delay(5);
  }
}

test('a refusal of the connect hooks is the greeting', async (t) => {
  const refusal = { code: 554, enhanced: '5.7.1', text: 'listed' };
  const { client, flow } = await open(t, { answers: { connect: () => refusal } });
  assert.equal(await client.line(), '554 5.7.1 listed');
  assert.equal(await client.line(), undefined);
  await until(() => flow.events.includes('close limit'));
});

test('what a client sends before the greeting waits for it', async (t) => {
  const { client } = await open(t, { answers: { connect: () => delay(50, undefined) } });
  client.send('EHLO c\r\nNOOP\r\n');
  assert.deepEqual(await client.codes(3), ['220', '250', '250 2.0.0']);
});

test('with a delay for early talkers, who talks first is refused and who waits is not', async (t) => {
  const { client, door } = await open(t, { listener: { earlyTalkerDelayMs: 60 } });
  client.send('EHLO c\r\n');
  assert.deepEqual(await client.codes(1), ['554 5.5.1']);
  assert.equal(await client.line(), undefined);
  assert.deepEqual(door.flow.events, ['close limit'], 'no hook ran');
  const patient = LineClient.toPort(door.port);
  t.after(() => patient.destroy());
  const began = performance.now();
  assert.deepEqual(await patient.codes(1), ['220']);
  assert.ok(performance.now() - began >= 50);
});

const turns: readonly [name: string, lines: string, early: string | undefined][] = [
  ['EHLO and a command behind it', 'EHLO c\r\nNOOP\r\n', 'talkedEarly command'],
  ['HELO and a command behind it', 'HELO c\r\nMAIL FROM:<a@b.test>\r\n', 'talkedEarly command'],
  ['a command before EHLO and one behind it', 'NOOP\r\nNOOP\r\n', 'talkedEarly command'],
  ['EHLO alone', 'EHLO c\r\n', undefined],
];
for (const [name, lines, early] of turns) {
  test(`who does not await a reply is told to the flow: ${name}`, async (t) => {
    const { client, flow } = await open(t);
    await client.codes(1);
    client.send(lines);
    await client.codes(lines.split('\n').length - 1);
    assert.equal(
      flow.events.find((event) => event.startsWith('talkedEarly')),
      early,
    );
  });
}

test('who groups commands after EHLO has the right to; who does after HELO has not', async (t) => {
  const grouped = 'MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nRSET\r\n';
  for (const [hello, early] of [
    ['EHLO c\r\n', false],
    ['HELO c\r\n', true],
  ] as const) {
    const { client, flow } = await open(t);
    await client.codes(1);
    client.send(hello);
    await client.codes(1);
    client.send(grouped);
    await client.codes(3);
    assert.equal(flow.events.includes('talkedEarly command'), early, hello);
  }
});

test('who talks before the greeting is told to the flow, once', async (t) => {
  // Ten turns of the loop, each of which reads what has come.
  const slowly = async () => {
    for (let turn = 0; turn < 10; turn += 1) await delay(5);
    return undefined;
  };
  const { client, flow } = await open(t, { answers: { connect: slowly } });
  client.send('EHLO c\r\nNOOP\r\n');
  await client.codes(3);
  assert.deepEqual(
    flow.events.filter((event) => event.startsWith('talkedEarly')),
    ['talkedEarly greeting'],
  );
});

test('the greeting comes at once when no delay is asked for', async (t) => {
  let leastMs = Number.POSITIVE_INFINITY;
  // The least of several: a busy machine takes long over any of them, smtp-server alone waits 100 ms each time.
  for (let attempt = 0; attempt < 10 && leastMs >= 90; attempt += 1) {
    const { client } = await open(t);
    const began = performance.now();
    await client.codes(1);
    leastMs = Math.min(leastMs, performance.now() - began);
  }
  assert.ok(leastMs < 90, `${leastMs} ms`);
});

test('an idle client hears 421 4.4.2', async (t) => {
  const { client, flow } = await open(t, { limits: { idleTimeoutMs: 80 } });
  assert.deepEqual(await client.codes(2), ['220', '421 4.4.2']);
  assert.equal(await client.line(), undefined);
  await until(() => flow.events.includes('close timeout'));
});

test('a command that trickles in does not stretch the idle time', async (t) => {
  const { client } = await open(t, { limits: { idleTimeoutMs: 150 } });
  await client.codes(1);
  const trickle = setInterval(() => client.send('N'), 20);
  t.after(() => clearInterval(trickle));
  const began = performance.now();
  assert.deepEqual(await client.codes(1), ['421 4.4.2']);
  assert.ok(performance.now() - began < 20_000);
});

test('data that trickles in ends with dataTimeoutMs, and is dropped', async (t) => {
  const { client, flow } = await openWithEnvelope(t, { limits: { dataTimeoutMs: 200, idleTimeoutMs: 5000 } });
  client.send('DATA\r\n');
  await client.codes(1);
  const trickle = setInterval(() => client.send('a\r\n'), 20);
  t.after(() => clearInterval(trickle));
  assert.deepEqual(await client.codes(1), ['421 4.4.2']);
  assert.equal(flow.openSinks, 0);
  assert.deepEqual(flow.messages, []);
});

test('silence in the data ends with idleTimeoutMs', async (t) => {
  const { client, flow } = await openWithEnvelope(t, { limits: { idleTimeoutMs: 100 } });
  client.send('BDAT 10\r\nabc');
  assert.deepEqual(await client.codes(1), ['421 4.4.2']);
  assert.equal(flow.openSinks, 0);
});

test('while the flow decides the client is not timed out, and replies before a slow one do not wait', async (t) => {
  const { client } = await open(t, {
    limits: { idleTimeoutMs: 80 },
    answers: { rcptTo: () => delay(400, undefined) },
  });
  client.send(`EHLO c\r\n${envelope}`);
  assert.deepEqual(await client.codes(3, 300), ['220', '250', '250 2.1.0']);
  assert.deepEqual(await client.codes(1), ['250 2.1.5']);
});

test('replies to grouped commands come in one packet', async (t) => {
  const { client } = await open(t);
  await client.codes(1);
  client.send('EHLO c\r\n');
  await client.codes(1);
  client.chunks = 0;
  client.send(`${envelope}RCPT TO:<e@d.test>\r\nDATA\r\n`);
  await client.codes(4);
  assert.equal(client.chunks, 1);
});

test('a client that never reads does not make us keep its replies', async (t) => {
  const { client, door } = await open(t, { limits: { idleTimeoutMs: 300 } });
  await client.codes(1);
  client.pause();
  const before = process.memoryUsage().external + process.memoryUsage().arrayBuffers;
  const commands = 'HELP\r\n'.repeat(10_000);
  for (let n = 0; n < 50; n += 1) client.send(commands);
  await until(() => door.flow.events.includes('close timeout'), 10_000);
  // 500,000 replies of 35 octets were asked for.
  const grown = process.memoryUsage().external + process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 16 * 1024 * 1024, `grew by ${grown}`);
});

test('too many connections of one client, and in all', async (t) => {
  const limits = { connectionsMax: 2, connectionsPerAddressMax: 1 };
  const { client, door } = await open(t, { limits, config: { proxyFrom: ['127.0.0.1'] } });
  const connect = (ip: string) => {
    const another = LineClient.toPort(door.port);
    t.after(() => another.destroy());
    another.send(`PROXY TCP6 ${ip} 2001:db8:ffff::1 1 25\r\n`);
    return another;
  };
  client.send('PROXY TCP6 2001:db8::1 2001:db8:ffff::1 1 25\r\n');
  assert.deepEqual(await client.codes(1), ['220']);
  const sameNetwork = connect('2001:db8::2');
  assert.deepEqual(await sameNetwork.codes(1), ['421 4.7.0']);
  assert.equal(await sameNetwork.line(), undefined);
  const second = connect('2001:db8:0:1::1');
  assert.deepEqual(await second.codes(1), ['220']);
  assert.deepEqual(await connect('2001:db8:0:2::1').codes(1), ['421 4.7.0']);
  assert.equal(door.connections.total, 2);
  client.destroy();
  second.send('QUIT\r\n');
  second.end();
  await until(() => door.connections.total === 0);
  assert.deepEqual(await connect('2001:db8::2').codes(1), ['220']);
});

test('a client that vanishes while the flow decides: the decision stands, and close comes after it', async (t) => {
  let decide = () => {};
  const decided = new Promise<undefined>((resolve) => {
    decide = () => resolve(undefined);
  });
  const { client, flow } = await openWithEnvelope(t, { answers: { message: () => decided } });
  client.send('DATA\r\n');
  await client.codes(1);
  client.send('one\r\n.\r\n');
  await until(() => flow.messages.length === 1);
  client.reset();
  await delay(50);
  assert.ok(!flow.events.some((event) => event.startsWith('close')), 'not closed while it decides');
  decide();
  await until(() => flow.events.includes('close lost'));
  assert.equal(flow.messages[0]!.bytes.toString(), 'one\r\n');
});

test('a client that vanishes in the data leaves nothing', async (t) => {
  const { client, flow } = await openWithEnvelope(t);
  client.send('DATA\r\n');
  await client.codes(1);
  client.send('one\r\n');
  await until(() => flow.openSinks === 1);
  client.reset();
  await until(() => flow.events.includes('close lost'));
  assert.equal(flow.openSinks, 0);
  assert.deepEqual(flow.messages, []);
});

for (const question of ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'message', 'openMessage'] as const) {
  test(`a flow that throws at ${question} is answered with 451`, async (t) => {
    const boom = () => {
      throw new Error('boom');
    };
    const { client, door } = await open(t, { answers: { [question]: boom } });
    client.send(`EHLO c\r\n${envelope}DATA\r\n`);
    const codes: string[] = [];
    const order = ['connect', 'helo', 'mailFrom', 'rcptTo', 'data', 'message'];
    const failing = question === 'openMessage' ? 4 : order.indexOf(question);
    while (codes.length <= failing) {
      codes.push(...(await client.codes(1)));
      if (codes.at(-1) === '354') client.send('one\r\n.\r\n');
      if (codes.length === 5 && question === 'message') codes.push(...(await client.codes(1)));
    }
    assert.equal(codes.at(-1), '451 4.3.0', codes.join());
    if (question !== 'openMessage') assert.ok(door.logged.some(({ event }) => event === 'smtp-bug'));
    assert.equal(door.flow.openSinks, 0);
  });
}

test('shutdown: idle sessions hear 421 4.3.2, a running transaction ends first', async (t) => {
  const { client: busy, door } = await openWithEnvelope(t);
  const idle = LineClient.toPort(door.port);
  t.after(() => idle.destroy());
  await idle.codes(1);
  const closed = door.door.close(5000);
  assert.deepEqual(await idle.codes(1), ['421 4.3.2']);
  assert.equal(await idle.line(), undefined);
  idle.destroy();
  busy.send('DATA\r\n');
  assert.deepEqual(await busy.codes(1), ['354']);
  busy.send('one\r\n.\r\n');
  assert.deepEqual(await busy.codes(2), ['250 2.0.0', '421 4.3.2']);
  assert.equal(await busy.line(), undefined);
  busy.destroy();
  await closed;
  assert.equal(door.flow.messages.length, 1);
  assert.equal(door.flow.events.filter((event) => event === 'close shutdown').length, 2);
});

test('shutdown cuts what outlives the time to drain', async (t) => {
  const { client, door } = await openWithEnvelope(t);
  const began = performance.now();
  await door.door.close(100);
  assert.ok(performance.now() - began < 20_000);
  assert.deepEqual(await client.codes(1), ['421 4.3.2']);
  assert.ok(door.flow.events.includes('close shutdown'));
});

test('shutdown: a message that is being decided is answered, with no 421 before its answer', async (t) => {
  const decided = Promise.withResolvers<undefined>();
  const { client, door } = await openWithEnvelope(t, { answers: { message: () => decided.promise } });
  client.send('DATA\r\n');
  assert.deepEqual(await client.codes(1), ['354']);
  client.send('one\r\n.\r\n');
  await until(() => door.flow.messages.length === 1);
  const closed = door.door.close(20, 3000);
  await delay(100);
  decided.resolve(undefined);
  assert.deepEqual(await client.codes(2), ['250 2.0.0', '421 4.3.2']);
  await closed;
});

test('shutdown: a message that is never decided is given up without an answer, and the door closes', async (t) => {
  const { client, door } = await openWithEnvelope(t, { answers: { message: () => new Promise(() => {}) } });
  client.send('DATA\r\n');
  assert.deepEqual(await client.codes(1), ['354']);
  client.send('one\r\n.\r\n');
  await until(() => door.flow.messages.length === 1);
  const began = performance.now();
  await door.door.close(20, 50);
  assert.ok(performance.now() - began < 20_000);
  assert.equal(await client.line(), undefined);
});

test('a thousand idle connections, then a message on each', async (t) => {
  const door = await openDoor(t);
  const clients = Array.from({ length: 1000 }, () => LineClient.toPort(door.port));
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  await Promise.all(clients.map((client) => client.codes(1)));
  assert.equal(door.connections.total, 1000);
  await Promise.all(
    clients.map(async (client) => {
      client.send(`EHLO c\r\n${envelope}DATA\r\n`);
      await client.codes(4);
      client.send('one\r\n.\r\nQUIT\r\n');
      assert.deepEqual(await client.codes(2), ['250 2.0.0', '221 2.0.0']);
    }),
  );
  assert.equal(door.flow.messages.length, 1000);
});

test('a new config reaches sessions that are open', async (t) => {
  const { client, door } = await open(t);
  await client.codes(1);
  door.door.reconfigure({ ...door.config, limits: { ...door.config.limits, messageBytesMax: 10 } });
  client.send('EHLO c\r\nMAIL FROM:<a@b.test> SIZE=11\r\n');
  assert.deepEqual(await client.codes(2), ['250', '552 5.3.4']);
});

test('a flow that cannot open a session costs that connection only', async (t) => {
  let broken = true;
  const { client, door } = await open(t, {
    answers: {
      open: () => {
        if (broken) throw new Error('boom');
      },
    },
  });
  assert.deepEqual(await client.codes(1), ['421 4.3.0']);
  assert.equal(await client.line(), undefined);
  assert.equal(door.connections.total, 0);
  broken = false;
  const next = LineClient.toPort(door.port);
  t.after(() => next.destroy());
  assert.deepEqual(await next.codes(1), ['220']);
});

test('a sink that cannot even drop its message costs that session only', async (t) => {
  const abort = () => {
    throw new Error('boom');
  };
  const { client, door } = await openWithEnvelope(t, { answers: { abort }, limits: { messageBytesMax: 10 } });
  client.send('DATA\r\n');
  await client.codes(1);
  client.send(`${'a'.repeat(100)}\r\n.\r\n`);
  assert.equal(await client.line(), undefined);
  assert.ok(door.logged.some(({ event }) => event === 'smtp-bug'));
  const next = LineClient.toPort(door.port);
  t.after(() => next.destroy());
  assert.deepEqual(await next.codes(1), ['220']);
});

test('a flow that cannot take note of TLS ends the session', async (t) => {
  const secured = () => {
    throw new Error('boom');
  };
  const { client } = await open(t, { listener: { tls: 'starttls' }, answers: { secured } });
  client.send('STARTTLS\r\n');
  await client.codes(2);
  await client.startTls();
  client.send('EHLO c\r\n');
  assert.equal(await client.line(), undefined);
});

test('LMTP: every recipient is answered before too many errors, or a 421, end the session', async (t) => {
  const refused = { code: 550, enhanced: '5.7.1', text: 'no' };
  const closing = { code: 421, enhanced: '4.3.0', text: 'not now' };
  const stored = { code: 250, enhanced: '2.1.5', text: 'stored' };
  const { client } = await open(t, {
    listener: { protocol: 'lmtp' },
    limits: { errorsPerSessionMax: 1 },
    answers: { message: () => [refused, closing, stored] },
  });
  client.send('LHLO c\r\nMAIL FROM:<a@b.test>\r\n');
  for (const name of ['c', 'd', 'e']) client.send(`RCPT TO:<${name}@d.test>\r\n`);
  client.send('DATA\r\n');
  await client.codes(7);
  client.send('a\r\n.\r\n');
  assert.deepEqual(await client.codes(3), ['550 5.7.1', '421 4.3.0', '250 2.1.5']);
  assert.equal(await client.line(), undefined);
});
