/** Plans: names that stay the same for retries, copies and what they change, redirects, replies, reports, forwarding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../core/session/plan.ts';
import type { HookAnswer } from '../../core/session/results.ts';
import { FakeHouse, now, plainMessage, send } from '../kit/fake-house.ts';

const deliver = (...actions: Action[]) => ({ deliver: () => ({ actions }) });

test('a store says everything that delivery needs', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: deliver(
      { type: 'store', mailbox: 'Lists/x', create: true, flags: ['\\Seen'], internalDate: 5 },
      { type: 'store', mailbox: 'INBOX', edits: [{ type: 'addHeader', name: 'X-Copy', value: '2' }] },
    ),
  });
  await send(fake, { to: ['alice+tag@example.test'] });
  const { id, stores } = fake.plan;
  const common = {
    user: 'alice@example.test',
    format: 'maildir',
    path: `${fake.house.config.baseDirectory}/mail/example.test/alice`,
    sender: 'ann@sender.test',
    deliveredTo: 'alice+tag@example.test',
  };
  const seconds = now / 1000;
  assert.deepEqual(stores, [
    {
      ...common,
      id: `${id}/r1/0`,
      folder: 'Lists/x',
      create: true,
      flags: ['\\Seen'],
      internalDate: 5,
      name: `${seconds}.${id}_r1_0.mx.example.test`,
      edits: [],
    },
    {
      ...common,
      id: `${id}/r1/1`,
      folder: 'INBOX',
      create: false,
      flags: [],
      internalDate: now,
      name: `${seconds}.${id}_r1_1.mx.example.test`,
      edits: [{ type: 'addHeader', name: 'X-Copy', value: '2' }],
    },
  ]);
});

test('edits of one recipient, a new body among them, reach that copy alone and survive the journal', async (t) => {
  const body = Buffer.from('for bob\r\n\xff', 'latin1');
  const fake = new FakeHouse(t, {
    hooks: {
      message: () => ({
        recipients: { r2: { edits: [{ type: 'replaceBody', body: new Uint8Array(body) }] } },
      }),
      deliver: () => ({ edits: [{ type: 'addHeader', name: 'X-Own', value: 'y' }] }),
    },
  });
  await send(fake, { to: ['alice@example.test', 'bob@example.test'] });
  const [forAlice, forBob] = fake.plan.stores;
  assert.ok((await fake.text(forAlice!.edits)).endsWith('X-Own: y\r\n\r\nbody\r\n'));
  assert.ok((await fake.text(forBob!.edits)).endsWith(`X-Own: y\r\n\r\n${body.toString('latin1')}`));
});

test('a waiting recipient takes the edits of the message hooks with it, and none of its deliver hooks', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: {
      message: () => ({
        recipients: { r2: { edits: [{ type: 'replaceBody', body: Uint8Array.of(98, 13, 10) }] } },
        result: { seen: true },
      }),
      deliver: ({ recipient }): HookAnswer => ({
        edits: [{ type: 'addHeader', name: 'X-Own', value: 'y' }],
        ...(recipient!.id === 'r2' && {
          verdict: { action: 'tempfail', code: 451, enhanced: '4.2.0', text: 'later' },
        }),
      }),
    },
  });
  await send(fake, { to: ['alice@example.test', 'bob@example.test'] });
  const [waiting] = fake.plan.queue;
  assert.equal(waiting?.id, `${fake.plan.id}/deliver`);
  assert.ok(waiting.work.kind === 'deliver');
  assert.deepEqual(
    waiting.work.recipients.map(({ id }) => id),
    ['r2'],
  );
  const { state } = waiting.work.context as { state: { recipientEdits: object; results: object } };
  assert.deepEqual(state.recipientEdits, { r2: [{ type: 'replaceBody', body: Uint8Array.of(98, 13, 10) }] });
  assert.deepEqual(state.results, { scripted: { seen: true } });
});

test('redirects and replies are new mail under their own ids', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: deliver(
      { type: 'store', mailbox: 'INBOX' },
      { type: 'redirect', address: 'x@else.test', edits: [{ type: 'addHeader', name: 'X', value: 'y' }] },
      { type: 'reply', sender: '', recipients: ['ann@sender.test'], message: Uint8Array.of(200, 13, 10) },
    ),
  });
  await send(fake);
  const { id, queue } = fake.plan;
  assert.deepEqual(queue, [
    {
      id: `${id}/r1/1`,
      work: {
        kind: 'submit',
        sender: 'ann@sender.test',
        recipients: ['x@else.test'],
        edits: [
          { type: 'addHeader', name: 'X', value: 'y' },
          { type: 'insertHeader', index: 0, name: 'Delivered-To', value: 'alice@example.test' },
        ],
      },
    },
    {
      id: `${id}/r1/2`,
      work: { kind: 'submit', sender: '', recipients: ['ann@sender.test'], message: '\u00c8\r\n' },
    },
  ]);
});

const loops = [
  { name: 'not seen before', field: 'Delivered-To: bob@example.test', stores: [], submits: 1 },
  { name: 'seen before', field: 'Delivered-To: alice@example.test', stores: ['INBOX'], submits: 0 },
  {
    name: 'seen before, in capitals',
    field: 'delivered-to: ALICE@EXAMPLE.TEST ',
    stores: ['INBOX'],
    submits: 0,
  },
];

for (const { name, field, stores, submits } of loops) {
  test(`a redirect of mail that was ${name}`, async (t) => {
    const fake = new FakeHouse(t, { hooks: deliver({ type: 'redirect', address: 'x@else.test' }) });
    await send(fake, { message: `${field}\r\n${plainMessage}` });
    assert.deepEqual(
      fake.plan.stores.map(({ folder }) => folder),
      stores,
    );
    assert.equal(fake.plan.queue.length, submits);
  });
}

const forwards = [
  { name: 'elsewhere: no copy is kept', forward: ['x@else.test', 'y@else.test'], stores: 0, submits: 2 },
  { name: 'elsewhere and to herself', forward: ['x@else.test', 'alice@example.test'], stores: 1, submits: 1 },
  { name: 'to herself alone', forward: ['alice@example.test'], stores: 1, submits: 0 },
  { name: 'nowhere', forward: [], stores: 1, submits: 0 },
];

for (const { name, forward, stores, submits } of forwards) {
  test(`a user who forwards ${name}`, async (t) => {
    const fake = new FakeHouse(t, { users: [{ address: 'alice@example.test', forward }] });
    await send(fake);
    assert.deepEqual([fake.plan.stores.length, fake.plan.queue.length], [stores, submits]);
  });
}

test('rules of a user stand above what the user forwards', async (t) => {
  const fake = new FakeHouse(t, {
    users: [{ address: 'alice@example.test', forward: ['x@else.test'] }],
    hooks: deliver({ type: 'store', mailbox: 'Lists' }),
  });
  await send(fake);
  assert.deepEqual([fake.plan.stores[0]?.folder, fake.plan.queue.length], ['Lists', 0]);
});

test('one report names all that were refused, from nobody, to the sender', async (t) => {
  const users = ['alice', 'bob', 'carol'].map((name) => ({ address: `${name}@example.test` }));
  const fake = new FakeHouse(t, {
    users,
    hooks: {
      deliver: ({ recipient }): HookAnswer =>
        recipient!.id === 'r1'
          ? {}
          : { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: `no to ${recipient!.id}` } },
    },
  });
  await send(fake, {
    connection: { trusted: true },
    to: users.map(({ address }) => address),
  });
  const { id, queue } = fake.plan;
  assert.deepEqual(
    queue.map((entry) => entry.id),
    [`${id}/dsn`],
  );
  const { work } = queue[0]!;
  assert.ok(work.kind === 'submit' && work.message !== undefined);
  assert.deepEqual([work.sender, work.recipients], ['', ['ann@sender.test']]);
  assert.match(work.message, /Final-Recipient: rfc822; bob@example\.test[\s\S]*no to r2/);
  assert.match(work.message, /Final-Recipient: rfc822; carol@example\.test[\s\S]*no to r3/);
});

test('who asked for no report gets none', async (t) => {
  const fake = new FakeHouse(t, {
    hooks: {
      deliver: ({ recipient }) =>
        recipient!.id === 'r2'
          ? { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } }
          : undefined,
    },
  });
  const session = await fake.connect({ trusted: true });
  await session.mailFrom({ sender: 'ann@sender.test', body: '7bit', smtputf8: false, requireTls: false });
  await session.rcptTo({ address: 'alice@example.test', notify: [] });
  await session.rcptTo({ address: 'bob@example.test', notify: ['never'] });
  const sink = session.openMessage();
  await sink.write(Buffer.from(plainMessage));
  await session.message(await sink.finish());
  assert.deepEqual([fake.plan.stores.length, fake.plan.queue.length], [1, 0]);
});

test('the octets set aside stand on each copy', async (t) => {
  const fake = new FakeHouse(t, {
    users: [{ address: 'alice@example.test', quotaBytes: 1_000_000 }, { address: 'bob@example.test' }],
    hooks: {
      deliver: ({ recipient }) =>
        recipient!.id === 'r1'
          ? { actions: ['INBOX', 'Two'].map((mailbox) => ({ type: 'store' as const, mailbox })) }
          : undefined,
    },
  });
  await send(fake, { to: ['alice@example.test', 'bob@example.test'] });
  const octets = plainMessage.length + 1024;
  assert.deepEqual(
    fake.plan.stores.map(({ reservedOctets }) => reservedOctets),
    [octets, octets, undefined],
  );
});
