/** RCPT: routes, users, quota, aliases, and what plugins say of one recipient. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addRecipient, deleteRecipient } from '../../core/mail/edits.ts';
import type { HookAnswer } from '../../core/session/results.ts';
import type { Answer } from '../../src/flow/session.ts';
import { FakeHouse, type FakeHouseInit, send } from '../kit/fake-house.ts';

const code = (answer: Answer) => (answer ? `${answer.code} ${answer.enhanced}` : 'yes');

/** An alias table as a rewriting plugin answers it. */
function aliases(table: Readonly<Record<string, readonly string[]>>): FakeHouseInit['hooks'] {
  return {
    rewrite: ({ recipient }): HookAnswer => {
      const targets = table[recipient!.address];
      if (!targets) return {};
      return {
        edits: [deleteRecipient(recipient!.address), ...targets.map((target) => addRecipient(target))],
      };
    },
  };
}

const relays = [
  { name: 'a stranger', want: '550 5.7.1' },
  { name: 'a user', user: 'alice@example.test', want: 'yes' },
  { name: 'a trusted network', trusted: true, want: 'yes' },
  { name: 'a trusted network at LMTP', trusted: true, door: 'lmtp', want: 'yes' },
  { name: 'a stranger at LMTP', door: 'lmtp', want: '550 5.7.1' },
] as const;

for (const each of relays) {
  test(`relaying: ${each.name}`, async (t) => {
    const user = 'user' in each ? each.user : undefined;
    const { rcpt } = await send(new FakeHouse(t), {
      connection: { door: 'door' in each ? each.door : 'smtp', trusted: 'trusted' in each },
      ...(user ? { user, from: user } : {}),
      to: ['x@elsewhere.test'],
    });
    assert.deepEqual(rcpt.map(code), [each.want]);
  });
}

test('nothing a plugin says permits relaying', async (t) => {
  const accept: HookAnswer = { verdict: { action: 'accept' } };
  const hooks = { connect: () => accept, mailFrom: () => accept, rcptTo: () => accept };
  const { rcpt } = await send(new FakeHouse(t, { hooks }), { to: ['x@elsewhere.test'] });
  assert.deepEqual(rcpt.map(code), ['550 5.7.1']);
});

const addresses = [
  { name: 'a user', to: 'alice@example.test', want: 'yes' },
  { name: 'a user, letter case aside', to: 'ALICE@example.test', want: 'yes' },
  { name: 'a subaddress', to: 'alice+list@example.test', want: 'yes' },
  { name: 'nobody', to: 'nobody@example.test', want: '550 5.1.1' },
  { name: 'a disabled user', to: 'gone@example.test', want: '550 5.2.1' },
  { name: 'postmaster without a domain and without a mailbox', to: 'postmaster', want: '550 5.1.1' },
];

for (const { name, to, want } of addresses) {
  test(`local: ${name}`, async (t) => {
    assert.deepEqual((await send(new FakeHouse(t), { to: [to] })).rcpt.map(code), [want]);
  });
}

test('postmaster without a domain is the postmaster of the first domain', async (t) => {
  const fake = new FakeHouse(t, { users: [{ address: 'postmaster@example.test' }] });
  await send(fake, { to: ['Postmaster'] });
  assert.equal(fake.plan.stores[0]?.user, 'postmaster@example.test');
  assert.equal(fake.plan.envelope.recipients[0]?.original, 'Postmaster');
});

test('a mailbox in trouble answers for now', async (t) => {
  const fake = new FakeHouse(t);
  fake.troubled.set('alice@example.test', { code: 452, enhanced: '4.3.1', text: 'later' });
  const { rcpt } = await send(fake, { to: ['alice@example.test', 'bob@example.test'] });
  assert.deepEqual(rcpt.map(code), ['452 4.3.1', 'yes']);
});

test('a mailbox whose path cannot be is refused for now, not for good, and the operator hears of it', async (t) => {
  const fake = new FakeHouse(t, { users: [{ address: '.hidden@example.test' }] });
  const user = fake.house.users!.list()[0]!;
  fake.house = { ...fake.house, users: { ...fake.house.users!, find: () => ({ user, detail: '' }) } };
  assert.deepEqual((await send(fake, { to: ['h@example.test'] })).rcpt.map(code), ['451 4.3.5']);
  assert.deepEqual(fake.events('error'), ['mailbox-unusable']);
});

const sizes = [
  { name: 'fits', declared: 500_000, want: 'yes' },
  { name: 'too large', declared: 2_000_000, want: '452 4.2.2' },
  { name: 'no size declared', declared: undefined, want: 'yes' },
];

for (const { name, declared, want } of sizes) {
  test(`quota at RCPT: ${name}`, async (t) => {
    const fake = new FakeHouse(t, {
      users: [{ address: 'alice@example.test', quotaBytes: 1_000_000 }, { address: 'bob@example.test' }],
    });
    fake.room.set('alice@example.test', 1_000_000);
    const { rcpt } = await send(fake, {
      to: ['alice@example.test', 'bob@example.test'],
      mailFrom: declared === undefined ? {} : { declaredSizeBytes: declared },
    });
    assert.deepEqual(rcpt.map(code), [want, 'yes']);
    assert.deepEqual([...fake.reserved.values()].filter(Boolean), [], 'asking keeps nothing');
  });
}

const expansions = [
  { name: 'to one user', targets: ['bob@example.test'], want: 'yes', users: ['bob@example.test'] },
  {
    name: 'to several',
    targets: ['bob@example.test', 'alice@example.test'],
    want: 'yes',
    users: ['bob@example.test', 'alice@example.test'],
  },
  { name: 'to another host, by the operator', targets: ['x@elsewhere.test'], want: 'yes', relayed: 1 },
  {
    name: 'local and elsewhere',
    targets: ['bob@example.test', 'x@elsewhere.test'],
    want: 'yes',
    users: ['bob@example.test'],
    relayed: 1,
  },
  { name: 'one target is nobody', targets: ['bob@example.test', 'nobody@example.test'], want: '550 5.1.1' },
  { name: 'one target is disabled', targets: ['bob@example.test', 'gone@example.test'], want: '550 5.2.1' },
  { name: 'to nothing', targets: [], want: 'yes' },
  {
    name: 'to two addresses of one mailbox',
    targets: ['alice@example.test', 'a.lias@example.test'],
    want: 'yes',
    users: ['alice@example.test'],
  },
];

for (const { name, targets, want, users = [], relayed = 0 } of expansions) {
  test(`alias: ${name}`, async (t) => {
    const fake = new FakeHouse(t, { hooks: aliases({ 'team@example.test': targets }) });
    const { rcpt, replies } = await send(fake, { to: ['team@example.test'] });
    assert.deepEqual(rcpt.map(code), [want]);
    const text = JSON.stringify([rcpt, replies]);
    for (const target of targets) assert.ok(!text.includes(target), `${target} is told to the client`);
    const plan = fake.kept[0]?.accepted;
    assert.deepEqual(plan?.stores.map(({ user }) => user) ?? [], users);
    assert.equal(plan?.queue.filter(({ work }) => work.kind === 'relay').length ?? 0, relayed);
  });
}

test('lists do not make more recipients of one transaction than every hook can be given', async (t) => {
  let calls = 0;
  const fake = new FakeHouse(t, {
    hooks: {
      rewrite: () => {
        calls += 1;
        const names = Array.from({ length: 2000 }, (_, index) => `x${calls}-${index}@example.test`);
        return { edits: names.map((address) => ({ type: 'addRecipient', address }) as const) };
      },
    },
    users: [{ address: 'alice@example.test' }],
    routes: [{ to: '@example.test', from: 'any', action: { kind: 'relay', via: 'mx' } }],
  });
  const { rcpt } = await send(fake, { to: Array<string>(6).fill('list@example.test') });
  assert.deepEqual(rcpt.map(code), ['yes', 'yes', 'yes', 'yes', '452 4.5.3', '452 4.5.3']);
});

test('rewriting an address of another host opens no relay', async (t) => {
  const fake = new FakeHouse(t, { hooks: aliases({ 'x+tag@elsewhere.test': ['x@elsewhere.test'] }) });
  assert.deepEqual((await send(fake, { to: ['x+tag@elsewhere.test'] })).rcpt.map(code), ['550 5.7.1']);
});

test('an alias that leads nowhere drops that recipient alone', async (t) => {
  const fake = new FakeHouse(t, { hooks: aliases({ 'void@example.test': [] }) });
  const { replies } = await send(fake, { to: ['alice@example.test', 'void@example.test'] });
  assert.equal(replies[0]?.code, 250);
  assert.deepEqual(
    fake.plan.stores.map(({ user }) => user),
    ['alice@example.test'],
  );
});

test('ids are unique among recipients that were asked for, expanded, added and taken off', async (t) => {
  let stage = 0;
  const fake = new FakeHouse(t, {
    hooks: {
      ...aliases({ 'team@example.test': ['bob@example.test', 'x@elsewhere.test'] }),
      data: () => ({ edits: [deleteRecipient('x@elsewhere.test'), addRecipient('y@elsewhere.test')] }),
      headers: () => ({ edits: [deleteRecipient('y@elsewhere.test')] }),
      message: () => {
        stage += 1;
        return { edits: [addRecipient('z@elsewhere.test')] };
      },
    },
  });
  await send(fake, { to: ['team@example.test', 'alice@example.test'] });
  assert.equal(stage, 1);
  assert.deepEqual(
    fake.plan.envelope.recipients.map(({ id, address }) => `${id} ${address}`),
    ['r1 bob@example.test', 'r3 alice@example.test', 'r5 z@elsewhere.test'],
  );
  assert.deepEqual(
    fake.plan.stores.map(({ id, user }) => [id.split('/')[1], user]),
    [
      ['r1', 'bob@example.test'],
      ['r3', 'alice@example.test'],
    ],
  );
  const relayed = fake.plan.queue.flatMap(({ work }) => (work.kind === 'relay' ? work.recipients : []));
  assert.deepEqual(
    relayed.map(({ address }) => address),
    ['z@elsewhere.test'],
  );
});

const routesSeen = [
  { to: 'alice@example.test', want: 'mailbox' },
  { to: 'nobody@example.test', want: 'unknown-user' },
  { to: 'gone@example.test', want: 'refused' },
  { to: 'x@elsewhere.test', want: 'refused' },
];

for (const { to, want } of routesSeen) {
  test(`plugins that judge see ${to} as ${want}`, async (t) => {
    const fake = new FakeHouse(t, { hooks: { rcptTo: () => ({ score: 1 }) } });
    await send(fake, { to: [to] });
    const seen = fake.pipelines.requests.filter(({ pass }) => pass === 'judge');
    assert.deepEqual(
      seen.map(({ route, recipient }) => [route, recipient?.address]),
      [[want, to]],
    );
  });
}

test('what a spamtrap finds out at an unknown user counts for the others', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: {
      rcptTo: ({ route }) => (route === 'unknown-user' ? { score: 7 } : {}),
      message: () => undefined,
    },
  });
  await send(fake, { to: ['trap@example.test', 'alice@example.test'] });
  const message = fake.pipelines.requests.find(({ stages }) => stages.includes('message'))!;
  assert.equal(message.state.score, 7);
});

test('a plugin refuses, defers or discards one recipient', async (t) => {
  const verdicts: Record<string, HookAnswer> = {
    'bob@example.test': { verdict: { action: 'tempfail', code: 450, enhanced: '4.7.1', text: 'greylisted' } },
    'a.lias@example.test': { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } },
    'alice+void@example.test': { verdict: { action: 'discard', reason: 'trap' } },
  };
  const fake = new FakeHouse(t, { hooks: { rcptTo: ({ recipient }) => verdicts[recipient!.address] } });
  const { rcpt } = await send(fake, { to: [...Object.keys(verdicts), 'alice@example.test'] });
  assert.deepEqual(rcpt.map(code), ['450 4.7.1', '550 5.7.1', 'yes', 'yes']);
  assert.deepEqual(
    fake.plan.stores.map(({ deliveredTo }) => deliveredTo),
    ['alice@example.test'],
  );
});

test('a plugin that rewrites recipients without saying so is no pass', async (t) => {
  const fake = new FakeHouse(t, { hooks: { rcptTo: () => ({ edits: [addRecipient('bob@example.test')] }) } });
  assert.deepEqual((await send(fake)).rcpt.map(code), ['451 4.3.5']);
  assert.deepEqual(fake.events('error'), ['undeclared-rewrite']);
});
