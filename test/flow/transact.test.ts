/** The walk when something goes wrong: nothing is accepted by half, quota comes back, bytes are let go, the next message is served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import type { HookAnswer } from '../../core/session/results.ts';
import { FakeHouse, type FakeHouseInit, plainMessage, send, sendIn } from '../kit/fake-house.ts';

const limited: FakeHouseInit = {
  users: [
    { address: 'alice@example.test', quotaBytes: 10_000, aliases: ['a.lias@example.test'] },
    { address: 'bob@example.test', quotaBytes: 10_000 },
  ],
};
const both = ['alice@example.test', 'bob@example.test'];
const held = (fake: FakeHouse) => [...fake.reserved].filter(([, octets]) => octets !== 0);

const failures = [
  {
    name: 'the journal is full',
    error: new OperationalError('storage-full', 'x', { temporary: true, clientText: 'no space' }),
    want: '452 4.3.1 no space',
    level: 'warn',
  },
  {
    name: 'the journal fails',
    error: new OperationalError('storage-failed', '/secret/path', { temporary: true }),
    want: '451 4.3.0 local error in processing, try again later',
    level: 'warn',
  },
  {
    name: 'a bug',
    error: new TypeError('secret'),
    want: '451 4.3.0 local error in processing, try again later',
    level: 'error',
  },
];

for (const door of ['smtp', 'lmtp'] as const) {
  for (const { name, error, want, level } of failures) {
    test(`acceptance fails at ${door}: ${name}`, async (t) => {
      const fake = new FakeHouse(t, limited);
      fake.acceptError = error;
      const { session, replies } = await send(fake, { to: both, connection: { door } });
      const told = replies.map(({ code, enhanced, text }) => `${code} ${enhanced} ${text}`);
      assert.deepEqual(told, door === 'lmtp' ? [want, want] : [want]);
      assert.deepEqual(fake.events(level), ['not-accepted']);
      assert.deepEqual([fake.kept.length, fake.releases, held(fake)], [0, 1, []]);
      assert.equal(fake.traces[0]?.outcome, 'tempfailed');
      // The session goes on.
      fake.acceptError = undefined;
      const again = await sendIn(fake, session, { to: both });
      assert.equal(again.replies[0]?.code, 250);
      assert.deepEqual([fake.kept.length, held(fake)], [1, []]);
    });
  }
}

const throwers = ['headers', 'deliver'] as const;
for (const hook of throwers) {
  test(`a throw inside, at ${hook}: 451, logged, nothing accepted`, async (t) => {
    const fake = new FakeHouse(t, {
      ...limited,
      hooks: {
        [hook]: () => {
          throw new Error('bug');
        },
      },
    });
    const { replies } = await send(fake);
    assert.deepEqual([replies[0]?.code, fake.kept.length, fake.releases, held(fake)], [451, 0, 1, []]);
    assert.deepEqual(fake.events('error'), ['not-accepted']);
    assert.match(String(fake.logged.find(({ level }) => level === 'error')?.facts.stack), /bug/);
    assert.equal(new Set(fake.pipelines.forgotten).size, 1);
  });
}

test('a trace that cannot be written takes no answer back', async (t) => {
  const fake = new FakeHouse(t);
  fake.house = {
    ...fake.house,
    trace: () => {
      throw new Error('full');
    },
  };
  const { replies } = await send(fake);
  assert.deepEqual([replies[0]?.code, fake.kept.length], [250, 1]);
  assert.deepEqual(fake.events('error'), ['trace-failed']);
});

const reject: HookAnswer = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } };
const tempfail: HookAnswer = { verdict: { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'x' } };
const forBob = (answer: HookAnswer) => ({
  deliver: ({ recipient }: { recipient?: { id: string } }) => (recipient?.id === 'r2' ? answer : undefined),
});

/** Whatever becomes of the recipients, what no copy holds is given back; the acceptance gives back the rest. */
const quotas = [
  { name: 'stored', hooks: {}, stores: 2 },
  { name: 'refused', hooks: { message: () => reject }, stores: 0 },
  {
    name: 'deferred for one by the message hooks, which is for all',
    hooks: { message: () => ({ recipients: { r2: tempfail } }) },
    stores: 0,
  },
  { name: 'one waits', hooks: forBob(tempfail), stores: 1 },
  { name: 'one goes to Junk', hooks: forBob(reject), stores: 2 },
  { name: 'one is held', hooks: forBob({ verdict: { action: 'quarantine', reason: 'x' } }), stores: 1 },
  { name: 'one is discarded', hooks: forBob({ actions: [{ type: 'discard', reason: 'x' }] }), stores: 1 },
  {
    name: 'one is redirected',
    hooks: forBob({ actions: [{ type: 'redirect', address: 'x@y.test' }] }),
    stores: 1,
  },
  {
    name: 'one has two copies',
    hooks: forBob({ actions: ['A', 'B'].map((mailbox) => ({ type: 'store' as const, mailbox })) }),
    stores: 3,
  },
];

for (const { name, hooks, stores } of quotas) {
  test(`quota: ${name}`, async (t) => {
    const fake = new FakeHouse(t, { ...limited, hooks });
    await send(fake, { to: both });
    const planned = fake.kept[0]?.accepted.stores ?? [];
    assert.equal(planned.length, stores);
    assert.ok(planned.every(({ reservedOctets }) => reservedOctets === plainMessage.length + 1024));
    assert.deepEqual(held(fake), []);
  });
}

const full = [
  { name: 'the only one', to: ['bob@example.test'], codes: ['452 4.2.2'], done: [] },
  { name: 'one of two', to: both, codes: ['250 2.0.0'], done: ['alice', 'deliver'] },
  { name: 'one of two at LMTP', door: 'lmtp', to: both, codes: ['250 2.1.5', '452 4.2.2'], done: ['alice'] },
] as const;

for (const each of full) {
  test(`a mailbox that fills up while the message comes: ${each.name}`, async (t) => {
    const fake = new FakeHouse(t, {
      ...limited,
      hooks: { data: () => void fake.room.set('bob@example.test', 0) },
    });
    const door = 'door' in each ? each.door : 'smtp';
    const { rcpt, replies } = await send(fake, { to: each.to, connection: { door } });
    assert.ok(rcpt.every((answer) => answer === undefined));
    assert.deepEqual(
      replies.map(({ code, enhanced }) => `${code} ${enhanced}`),
      each.codes,
    );
    const { stores = [], queue = [] } = fake.kept[0]?.accepted ?? {};
    const done = [...stores.map(({ user }) => user.split('@')[0]), ...queue.map(({ work }) => work.kind)];
    assert.deepEqual(done, each.done);
    assert.deepEqual(held(fake), []);
  });
}

test('a copy for a Junk that is full is held', async (t) => {
  const fake = new FakeHouse(t, {
    ...limited,
    hooks: { ...forBob(reject), data: () => void fake.room.set('bob@example.test', 0) },
  });
  await send(fake, { to: both });
  assert.deepEqual(
    fake.plan.queue.map(({ work }) => work.kind),
    ['held'],
  );
  assert.deepEqual(held(fake), []);
});

test('a mailbox whose use cannot be counted is deferred alone, and the operator hears of it', async (t) => {
  const fake = new FakeHouse(t, limited);
  const { reserveQuota } = fake.house;
  fake.house = {
    ...fake.house,
    reserveQuota: async (user, ...rest) => {
      if (user === 'bob@example.test') throw new Error('EIO');
      return reserveQuota(user, ...rest);
    },
  };
  const { rcpt, replies } = await send(fake, { to: both });
  assert.deepEqual(
    rcpt.map((answer) => answer?.code),
    [undefined, 451],
  );
  assert.equal(replies[0]?.code, 250);
  assert.deepEqual(fake.events('error'), ['quota-unknown']);
});

const binary = [
  { name: 'a mailbox', to: ['alice@example.test'], want: [554] },
  { name: 'another host', to: ['x@else.test'], want: [250] },
  { name: 'both', to: ['x@else.test', 'alice@example.test'], want: [554] },
  { name: 'both at LMTP', door: 'lmtp', to: ['x@else.test', 'alice@example.test'], want: [554, 554] },
  { name: 'a mailbox that a plugin adds', to: ['x@else.test'], add: true, want: [554] },
] as const;

for (const each of binary) {
  test(`octets that are no lines for ${each.name}`, async (t) => {
    const fake = new FakeHouse(t, {
      hooks:
        'add' in each
          ? { data: () => ({ edits: [{ type: 'addRecipient', address: 'bob@example.test' }] }) }
          : {},
    });
    const { replies } = await send(fake, {
      to: each.to,
      connection: { trusted: true, door: 'door' in each ? each.door : 'smtp' },
      mailFrom: { body: 'binarymime' },
      message: `${plainMessage}\0`,
      binary: true,
    });
    assert.deepEqual(
      replies.map(({ code }) => code),
      each.want,
    );
    if (replies[0]?.code === 554) assert.equal(replies[0].enhanced, '5.6.3');
    assert.deepEqual([fake.kept.length, fake.releases], [replies[0]?.code === 250 ? 1 : 0, 1]);
  });
}

const traces = [
  { name: 'delivered', hooks: {}, want: 'accepted' },
  {
    name: 'delivered twice to one',
    hooks: {},
    to: ['alice@example.test', 'alice@example.test'],
    want: 'accepted',
  },
  { name: 'refused', hooks: { message: () => reject }, want: 'refused' },
  {
    name: 'left without a recipient',
    hooks: {
      message: () => ({ edits: both.map((address) => ({ type: 'deleteRecipient' as const, address })) }),
    },
    want: 'discarded',
  },
  { name: 'deferred', hooks: { message: () => tempfail }, want: 'tempfailed' },
  {
    name: 'held',
    hooks: { message: () => ({ verdict: { action: 'quarantine' as const, reason: 'x' } }) },
    want: 'held',
  },
  { name: 'held for one', hooks: forBob({ verdict: { action: 'quarantine', reason: 'x' } }), want: 'mixed' },
];

for (const { name, hooks, to, want } of traces) {
  test(`the trace of a message that was ${name}`, async (t) => {
    const fake = new FakeHouse(t, { hooks });
    await send(fake, { to: to ?? both });
    assert.equal(fake.traces[0]?.outcome, want);
    assert.deepEqual(fake.events('info'), ['message']);
  });
}

test('a large message walks the same way from its spool file', async (t) => {
  const fake = new FakeHouse(t, { limits: { memoryMessageBytesMax: 16 * 1024 } });
  const large = plainMessage + `${'y'.repeat(70)}\r\n`.repeat(3000);
  const { replies } = await send(fake, { message: large });
  assert.deepEqual([replies[0]?.code, fake.releases], [250, 1]);
  assert.ok((await fake.text()).endsWith(large));
});
