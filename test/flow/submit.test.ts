/** Mail that old mail caused: routes, loops, names that stay the same, and nobody told in answer to nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookAnswer } from '../../core/session/results.ts';
import { attempt } from '../../src/flow/attempt.ts';
import { type SubmitRequest, submit } from '../../src/flow/submit.ts';
import { FakeHouse, type FakeHouseInit, now, plainMessage, send } from '../kit/fake-house.ts';
import { memorySource } from '../kit/message-source.ts';

const request: SubmitRequest = {
  id: 'T1/r1/0',
  createdAt: now,
  sender: 'ann@sender.test',
  recipients: ['bob@example.test'],
  edits: [],
  smtputf8: false,
};
const source = memorySource(plainMessage);

const targets = [
  { name: 'a mailbox', to: ['bob@example.test'], want: 'done', stores: 1, queue: [] },
  { name: 'another host: our own wish needs no login', to: ['x@else.test'], want: 'done', queue: ['relay'] },
  { name: 'nobody', to: ['nobody@example.test'], want: 'failed 550 5.1.1' },
  { name: 'a disabled user', to: ['gone@example.test'], want: 'failed 550 5.2.1' },
  {
    name: 'one good, one bad: the sender hears of the bad',
    to: ['bob@example.test', 'nobody@example.test'],
    want: 'done',
    stores: 1,
    queue: ['submit'],
  },
  {
    name: 'two addresses of one mailbox',
    to: ['alice@example.test', 'a.lias@example.test'],
    want: 'done',
    stores: 1,
    queue: [],
  },
];

for (const { name, to, want, stores = 0, queue = [] } of targets) {
  test(`submit to ${name}`, async (t) => {
    const fake = new FakeHouse(t);
    const told = await submit(fake.house, { ...request, recipients: to }, source);
    const text =
      told.outcome === 'failed' ? `failed ${told.reply.code} ${told.reply.enhanced}` : told.outcome;
    assert.equal(text, want);
    const plan = fake.kept[0]?.accepted;
    assert.equal(plan?.stores.length ?? 0, stores);
    assert.deepEqual(plan?.queue.map(({ work }) => work.kind) ?? [], queue);
    assert.equal(fake.pipelines.forgotten.length, 1);
  });
}

test('submit again plans the same names', async (t) => {
  const fake = new FakeHouse(t);
  await submit(fake.house, request, source);
  await submit(fake.house, request, source);
  const [first, second] = fake.kept.map(({ accepted }) => accepted);
  assert.equal(first?.id, second?.id);
  assert.deepEqual(
    first?.stores.map(({ id, name }) => [id, name]),
    second?.stores.map(({ id, name }) => [id, name]),
  );
  await submit(fake.house, { ...request, id: 'T1/r1/1' }, source);
  assert.notEqual(fake.kept[2]?.accepted.id, first?.id);
});

for (const [name, fails] of [
  ['acceptance', () => undefined],
  ['a hook', () => assert.fail('disk')],
] as const) {
  test(`what goes wrong in ${name} is a retry, and lets the bytes go`, async (t) => {
    const fake = new FakeHouse(t, { hooks: { deliver: fails } });
    fake.acceptError = new Error('disk');
    let released = false;
    const release = () => {
      released = true;
    };
    const told = await submit(fake.house, request, source, { source, crc32: 0, release });
    assert.deepEqual([told, released], [{ outcome: 'retry', reason: 'disk' }, true]);
  });
}

test('a mailbox in trouble is a retry', async (t) => {
  const fake = new FakeHouse(t);
  fake.troubled.set('bob@example.test', { code: 452, enhanced: '4.2.2', text: 'full' });
  assert.deepEqual(await submit(fake.house, request, source), { outcome: 'retry', reason: '452 4.2.2 full' });
  assert.equal(fake.kept.length, 0);
});

test('our own mail gets Received, and the results that we wrote before stay', async (t) => {
  const fake = new FakeHouse(t);
  const edits = [
    {
      type: 'insertHeader',
      index: 0,
      name: 'Authentication-Results',
      value: 'mx.example.test; spf=pass',
    } as const,
  ];
  await submit(fake.house, { ...request, edits }, source);
  assert.match(
    await fake.text(),
    /^Received: from localhost \(local\)[\s\S]*\r\nAuthentication-Results: mx\.example\.test; spf=pass\r\n/,
  );
});

test('hops that were added on the way here count as well', async (t) => {
  const fake = new FakeHouse(t, { limits: { receivedFieldsMax: 2 } });
  const hop = { type: 'insertHeader', index: 0, name: 'Received', value: 'x' } as const;
  assert.equal((await submit(fake.house, { ...request, edits: [hop, hop] }, source)).outcome, 'done');
  const told = await submit(fake.house, { ...request, edits: [hop, hop, hop] }, source);
  assert.equal(told.outcome === 'failed' && told.reply.enhanced, '5.4.6');
});

/** Carries out every entry of the queue, and what that brings, until nothing is left. */
async function runQueue(fake: FakeHouse, roundsMax: number): Promise<number> {
  let rounds = 0;
  for (let next = 0; next < fake.kept.length; next += 1) {
    for (const { entry, source: message } of fake.entries(fake.kept[next])) {
      rounds += 1;
      assert.ok(rounds <= roundsMax, 'it goes round and round');
      await attempt(fake.house, entry, message);
    }
  }
  return rounds;
}

const redirect = (targets: Readonly<Record<string, string>>): FakeHouseInit => ({
  hooks: {
    deliver: ({ recipient }): HookAnswer => {
      const address = targets[recipient!.address];
      return address === undefined ? {} : { actions: [{ type: 'redirect', address }] };
    },
  },
});

const circles: readonly { name: string; targets: Readonly<Record<string, string>>; ends: string }[] = [
  { name: 'to oneself', targets: { 'alice@example.test': 'alice@example.test' }, ends: 'alice' },
  {
    name: 'to an alias of oneself',
    targets: { 'alice@example.test': 'a.lias@example.test', 'a.lias@example.test': 'alice@example.test' },
    ends: 'alice',
  },
  {
    name: 'to one who redirects back',
    targets: { 'alice@example.test': 'bob@example.test', 'bob@example.test': 'alice@example.test' },
    ends: 'alice',
  },
  { name: 'on to another', targets: { 'alice@example.test': 'bob@example.test' }, ends: 'bob' },
];

for (const { name, targets: table, ends } of circles) {
  test(`a redirect ${name} ends in one mailbox, once`, async (t) => {
    const fake = new FakeHouse(t, redirect(table));
    await send(fake);
    await runQueue(fake, 5);
    const stores = fake.kept.flatMap(({ accepted }) => accepted.stores);
    assert.deepEqual(
      stores.map(({ user }) => user),
      [`${ends}@example.test`],
    );
  });
}
