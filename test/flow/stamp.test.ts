/** What the house itself does to a message: limits and loops, forged results, whose name stands in From, what submission completes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeHouse, plainMessage, type SendInit, send } from '../kit/fake-house.ts';

const alice: SendInit = {
  user: 'alice@example.test',
  from: 'alice@example.test',
  connection: { door: 'submission' },
  to: ['bob@example.test'],
};
const message = (...fields: string[]) => `${fields.map((field) => `${field}\r\n`).join('')}\r\nbody\r\n`;

const authors = [
  { name: 'her address', fields: ['From: Alice <alice@example.test>'], want: 250 },
  { name: 'an alias', fields: ['From: a.lias@example.test'], want: 250 },
  { name: 'a subaddress', fields: ['From: alice+shop@Example.Test'], want: 250 },
  { name: 'another user', fields: ['From: bob@example.test'], want: 550 },
  { name: 'herself and another', fields: ['From: alice@example.test, bob@example.test'], want: 550 },
  { name: 'two fields', fields: ['From: alice@example.test', 'From: bob@example.test'], want: 550 },
  { name: 'another in Sender', fields: ['From: alice@example.test', 'Sender: bob@example.test'], want: 550 },
  {
    name: 'herself in Sender',
    fields: ['From: alice@example.test', 'Sender: alice@example.test'],
    want: 250,
  },
  { name: 'no address', fields: ['From: nobody in particular'], want: 550 },
  { name: 'an empty field', fields: ['From:'], want: 550 },
  { name: 'an empty group', fields: ['From: undisclosed:;'], want: 550 },
  { name: 'another in a group', fields: ['From: us: alice@example.test, bob@example.test;'], want: 550 },
  { name: 'another in a display name', fields: ['From: "bob@example.test" <alice@example.test>'], want: 250 },
  { name: 'two angle addresses', fields: ['From: <alice@example.test> <bob@example.test>'], want: 550 },
  { name: 'an odd display name', fields: ['From: [Team] <alice@example.test>'], want: 250 },
  { name: 'another, folded', fields: ['From:\r\n bob@example.test'], want: 550 },
  { name: 'another, space before the colon', fields: ['From : bob@example.test'], want: 550 },
  {
    name: 'another, after a line that is no field',
    fields: ['nonsense', 'From: bob@example.test'],
    want: 550,
  },
];

for (const { name, fields, want } of authors) {
  test(`an authenticated From: ${name}`, async (t) => {
    const fake = new FakeHouse(t);
    const { replies } = await send(fake, { ...alice, message: message(...fields) });
    assert.equal(replies[0]?.code, want);
    if (want === 550) assert.equal(replies[0]?.enhanced, '5.7.1');
    assert.equal(fake.kept.length, want === 250 ? 1 : 0);
    assert.equal(fake.releases, 1);
  });
}

test('who is not logged in writes From as they like', async (t) => {
  const { replies } = await send(new FakeHouse(t), { message: message('From: bob@example.test') });
  assert.equal(replies[0]?.code, 250);
});

test('submission adds Date and Message-ID, and takes Bcc out', async (t) => {
  const fake = new FakeHouse(t);
  const fields = ['From: alice@example.test', 'Bcc: x@y.test', 'bcc: z@y.test', 'Resent-Bcc: q@y.test'];
  await send(fake, { ...alice, message: message(...fields) });
  const text = await fake.text();
  assert.match(text, /\r\nDate: Fri, 2 Jan 2026 03:04:05 \+0000\r\n/);
  assert.match(text, /\r\nMessage-ID: <[^>\s]+@mx\.example\.test>\r\n/);
  assert.doesNotMatch(text, /bcc/i);
  assert.equal(fake.traces[0]?.messageId, /Message-ID: (\S+)/.exec(text)?.[1]);
});

test('submission gives a field without a value one, and leaves what is there', async (t) => {
  const fake = new FakeHouse(t);
  const fields = ['From: alice@example.test', 'Message-ID:', 'Date: yesterday'];
  await send(fake, { ...alice, message: message(...fields) });
  const text = await fake.text();
  assert.equal(text.match(/^Message-ID:/gm)?.length, 1);
  assert.match(text, /^Message-ID: <\S+>\r$/m);
  assert.match(text, /^Date: yesterday\r$/m);
});

test('a user at the MX door submits; mail that only passes through is not completed', async (t) => {
  const submitted = new FakeHouse(t);
  await send(submitted, {
    ...alice,
    connection: {},
    message: message('From: alice@example.test', 'Bcc: x@y.test'),
  });
  assert.match(await submitted.text(), /^Message-ID:/m);
  const passing = new FakeHouse(t);
  await send(passing, { message: message('From: a@b.test', 'Bcc: x@y.test') });
  const text = await passing.text();
  assert.doesNotMatch(text, /^(Message-ID|Date):/m);
  assert.match(text, /^Bcc: x@y\.test\r$/m);
});

const received = [
  {
    name: 'ESMTP',
    init: {},
    want: /^Received: from client\.test \(\[198\.51\.100\.7\]\)\r\n\tby mx\.example\.test with ESMTP\r\n\tid \w+ for <alice@example\.test>;/,
  },
  {
    name: 'submission',
    init: { ...alice, message: message('From: alice@example.test') },
    want: /with ESMTPA\r\n/,
  },
  { name: 'LMTP', init: { connection: { door: 'lmtp' } }, want: /with LMTP\r\n/ },
  {
    name: 'several recipients are not told',
    init: { to: ['alice@example.test', 'bob@example.test'] },
    want: /id \w+;\r\n/,
  },
] as const;

for (const { name, init, want } of received) {
  test(`Received: ${name}`, async (t) => {
    const fake = new FakeHouse(t);
    await send(fake, init);
    assert.match(await fake.text(), want);
    assert.equal((await fake.text()).match(/^Received:/gm)?.length, 1);
  });
}

test('forged results go before the first hook of the message, those of others stay', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: {
      mailFrom: () => ({
        edits: [
          { type: 'insertHeader', index: 0, name: 'Authentication-Results', value: 'early.example; none' },
        ],
      }),
      message: () => ({ auth: [{ method: 'spf', result: 'pass' }] }),
    },
  });
  await send(fake, {
    message: message(
      'Authentication-Results: mx.example.test; dmarc=pass',
      'Authentication-Results: other.test; spf=fail',
      'AUTHENTICATION-RESULTS:\r\n MX.example.test 1; spf=pass',
      'From: a@b.test',
    ),
  });
  const text = await fake.text();
  assert.deepEqual(text.match(/^authentication-results:[^;]*/gim), [
    'Authentication-Results: mx.example.test',
    'Authentication-Results: early.example',
    'Authentication-Results: other.test',
  ]);
  assert.doesNotMatch(text, /dmarc=pass/);
});

test('a thousand forged results cost one edit, and go with all others', async (t) => {
  const fake = new FakeHouse(t);
  const forged = Array<string>(1000).fill('Authentication-Results: mx.example.test; dmarc=pass');
  await send(fake, {
    message: message('Authentication-Results: other.test; spf=fail', ...forged, 'From: a@b.test'),
  });
  assert.equal(fake.plan.edits.filter(({ type }) => type === 'deleteHeader').length, 1);
  assert.doesNotMatch(await fake.text(), /authentication-results/i);
});

const limits = [
  {
    name: 'Received fields at the limit',
    message: message(...Array(3).fill('Received: x'), 'From: a@b.test'),
    want: '250 2.0.0',
  },
  {
    name: 'a loop',
    message: message(...Array(4).fill('Received: x'), 'From: a@b.test'),
    want: '554 5.4.6',
  },
  { name: 'too many fields', message: message(...Array(11).fill('X: y')), want: '554 5.6.0' },
  { name: 'a header too large', message: message(`X: ${'y'.repeat(2000)}`), want: '552 5.3.4' },
  { name: 'no header at all', message: 'just text\r\n', want: '250 2.0.0' },
  { name: 'nothing at all', message: '', want: '250 2.0.0' },
];

for (const { name, message: text, want } of limits) {
  test(`limits: ${name}`, async (t) => {
    const fake = new FakeHouse(t, {
      limits: { receivedFieldsMax: 3, headerFieldsMax: 10, headerBytesMax: 1000 },
    });
    const { replies } = await send(fake, { message: text });
    assert.equal(`${replies[0]?.code} ${replies[0]?.enhanced}`, want);
    assert.equal(fake.releases, 1);
  });
}

test('a refusal of the whole message is each recipient’s answer at LMTP', async (t) => {
  const fake = new FakeHouse(t, { limits: { headerBytesMax: 10 } });
  const to = ['alice@example.test', 'bob@example.test'];
  const { replies } = await send(fake, { to, connection: { door: 'lmtp' } });
  assert.deepEqual(
    replies.map(({ code }) => code),
    [552, 552],
  );
});

test('what no edit touches comes out as it came in', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake, { message: plainMessage });
  assert.ok((await fake.text()).endsWith(plainMessage));
});
