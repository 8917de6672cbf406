/** What the queue carries out: waiting and held recipients go on, each once; what is given up is told to the sender, and to nobody else. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HookAnswer } from '../../core/session/results.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { attempt } from '../../src/flow/attempt.ts';
import { bounce } from '../../src/flow/bounce.ts';
import { FakeHouse, type FakeHouseInit, type SendInit, send } from '../kit/fake-house.ts';
import { memorySource } from '../kit/message-source.ts';

const tempfail: HookAnswer = { verdict: { action: 'tempfail', code: 451, enhanced: '4.2.0', text: 'later' } };
const reject: HookAnswer = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' } };
const quarantine: Verdict = { action: 'quarantine', reason: 'virus' };
const three = ['alice@example.test', 'bob@example.test', 'carol@example.test'];
const users = [...three.map((address) => ({ address })), { address: 'dave@example.test' }];

/** Answers of the deliver hook by recipient, one after the other. */
function answers(table: Readonly<Record<string, readonly HookAnswer[]>>): FakeHouseInit {
  const asked: Record<string, number> = {};
  return {
    users,
    hooks: {
      deliver: ({ recipient }) => {
        const { id } = recipient!;
        asked[id] = (asked[id] ?? 0) + 1;
        return table[id]?.[asked[id] - 1] ?? {};
      },
    },
  };
}

async function waiting(t: TestContext, init: FakeHouseInit, sent: SendInit = {}) {
  const fake = new FakeHouse(t, init);
  const { replies } = await send(fake, { to: three, ...sent });
  assert.equal(replies[0]?.code, 250);
  const work = fake
    .entries()
    .find(({ entry }) => entry.work.kind === 'deliver' || entry.work.kind === 'held')!;
  return { fake, ...work };
}

const done = (fake: FakeHouse) => {
  const { stores, queue } = fake.kept[1]?.accepted ?? { stores: [], queue: [] };
  return [
    ...stores.map(({ user, folder }) => `${user.split('@')[0]}/${folder}`),
    ...queue.map(({ work }) =>
      'recipients' in work
        ? `${work.kind} ${JSON.stringify(work.recipients.map((each) => (typeof each === 'string' ? each : each.id)))}`
        : work.kind,
    ),
  ];
};

const cases: readonly {
  readonly name: string;
  readonly second: Readonly<Record<string, readonly HookAnswer[]>>;
  readonly sent?: SendInit;
  readonly outcome: string;
  readonly done: readonly string[];
}[] = [
  {
    name: 'both are taken now',
    second: { r1: [tempfail], r2: [tempfail] },
    outcome: 'done',
    done: ['alice/INBOX', 'bob/INBOX'],
  },
  {
    name: 'both wait on: the entry stays',
    second: { r1: [tempfail, tempfail], r2: [tempfail, tempfail] },
    outcome: 'retry',
    done: [],
  },
  {
    name: 'one is taken, one waits on in an entry of its own',
    second: { r1: [tempfail], r2: [tempfail, tempfail] },
    outcome: 'done',
    done: ['alice/INBOX', 'deliver ["r2"]'],
  },
  {
    name: 'refused now: Junk, for the sender may be forged',
    second: { r1: [tempfail, reject], r2: [tempfail, reject] },
    outcome: 'done',
    done: ['alice/Junk', 'bob/Junk'],
  },
  {
    name: 'refused now: a report to a sender who is known',
    second: { r1: [tempfail, reject], r2: [tempfail, reject] },
    sent: { connection: { trusted: true } },
    outcome: 'done',
    done: ['submit ["ann@sender.test"]'],
  },
  {
    name: 'held now',
    second: { r1: [tempfail, { verdict: quarantine }], r2: [tempfail] },
    outcome: 'done',
    done: ['bob/INBOX', 'held ["r1"]'],
  },
];

for (const each of cases) {
  test(`recipients that waited: ${each.name}`, async (t) => {
    const { fake, entry, source } = await waiting(t, answers(each.second), each.sent);
    assert.deepEqual(
      fake.plan.stores.map(({ user }) => user),
      ['carol@example.test'],
    );
    const told = await attempt(fake.house, entry, source);
    assert.equal(told.outcome, each.outcome);
    assert.deepEqual(done(fake), each.done);
    const before = new Set(fake.kept[0]!.accepted.queue.map(({ id }) => id));
    for (const { id } of fake.kept[1]?.accepted.queue ?? []) {
      assert.ok(!before.has(id), `${id} would be taken for the entry that is being carried out`);
      assert.ok(id.startsWith(entry.id));
    }
  });
}

test('who waited long gets a copy that is named and edited as at first, its results once', async (t) => {
  const { deliver } = answers({ r1: [tempfail], r2: [tempfail] }).hooks!;
  const { fake, entry, source } = await waiting(t, {
    users,
    hooks: {
      message: () => ({
        auth: [{ method: 'spf', result: 'pass' }],
        recipients: { r1: { edits: [{ type: 'replaceBody', body: Buffer.from('for alice\r\n') }] } },
      }),
      deliver: (request) => ({
        ...deliver!(request),
        edits: [{ type: 'addHeader', name: 'X-Own', value: request.recipient!.id }],
      }),
    },
  });
  assert.equal((await attempt(fake.house, entry, source)).outcome, 'done');
  const [copy] = fake.kept[1]!.accepted.stores;
  assert.equal(copy?.name.split('.')[1], `${fake.kept[0]!.accepted.id}_r1_0`);
  const text = await fake.text(copy!.edits);
  assert.equal(text.match(/^Authentication-Results:/gm)?.length, 1);
  assert.equal(text.match(/^Received:/gm)?.length, 1);
  assert.ok(text.endsWith('X-Own: r1\r\n\r\nfor alice\r\n'), text);
});

test('a user who is gone meanwhile', async (t) => {
  const { fake, entry, source } = await waiting(t, answers({ r1: [tempfail] }));
  fake.house = {
    ...fake.house,
    users: new FakeHouse(t, { users: [{ address: 'bob@example.test' }] }).house.users,
  };
  assert.equal((await attempt(fake.house, entry, source)).outcome, 'done');
  assert.deepEqual(done(fake), ['held ["r1"]'], 'nobody can be told, and nothing is lost');
});

test('what is released goes on to the rules of each, and is not held again', async (t) => {
  const { fake, entry, source } = await waiting(t, {
    users,
    hooks: {
      message: () => ({ verdict: quarantine }),
      deliver: ({ recipient }): HookAnswer => {
        if (recipient!.id === 'r1') return { actions: [{ type: 'store', mailbox: 'Lists' }] };
        return recipient!.id === 'r2' ? { verdict: quarantine } : tempfail;
      },
    },
  });
  assert.deepEqual([fake.plan.stores.length, fake.plan.queue.length], [0, 1]);
  assert.equal((await attempt(fake.house, entry, source)).outcome, 'done');
  assert.deepEqual(done(fake), ['alice/Lists', 'bob/INBOX', 'deliver ["r3"]']);
  assert.equal(fake.pipelines.requests.filter(({ stages }) => stages.includes('message')).length, 1);
});

test('a copy that failed is stored; failing again is a retry', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake);
  const [store] = fake.plan.stores;
  const [{ entry, source }] = withWork(fake, { kind: 'store', store });
  assert.deepEqual(await attempt(fake.house, entry, source), { outcome: 'done' });
  assert.deepEqual(fake.stored, [store!.id]);
  fake.storeError = new Error('over quota');
  assert.deepEqual(await attempt(fake.house, entry, source), { outcome: 'retry', reason: 'over quota' });
});

test('an attempt whose spool is full is a retry', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake);
  const [{ entry, source }] = withWork(fake, {
    kind: 'submit',
    sender: '',
    recipients: ['bob@example.test'],
    message: 'x',
  });
  fake.house = {
    ...fake.house,
    openSink: () => {
      throw new Error('full');
    },
  };
  assert.deepEqual(await attempt(fake.house, entry, source), { outcome: 'retry', reason: 'full' });
});

const expired = { code: 554, enhanced: '5.4.7', text: 'delivery time expired' };

const givenUp = [
  { name: 'mail of another host', from: 'bob@example.test', want: ['bob/INBOX'] },
  { name: 'mail of nobody', from: '', want: [] },
];

for (const { name, from, want } of givenUp) {
  test(`given up: ${name}`, async (t) => {
    const fake = new FakeHouse(t);
    await send(fake, { connection: { trusted: true }, from, to: ['x@else.test'] });
    const [{ entry, source }] = fake.entries() as [ReturnType<FakeHouse['entries']>[number]];
    await bounce(fake.house, [{ entry, reply: expired }], source);
    assert.deepEqual(done(fake), want);
    if (want.length === 0) return;
    const { envelope } = fake.kept[1]!.accepted;
    assert.equal(envelope.sender, '');
    const text = await fake.text();
    assert.match(text, /\r\nTo: <bob@example\.test>\r\n/);
    assert.match(text, /Final-Recipient: rfc822; x@else\.test\r\nAction: failed\r\nStatus: 5\.4\.7/);
    assert.match(text, /Subject: hello/);
  });
}

test('a reply that nobody takes is returned to who wrote it, not to the sender of the first message', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake);
  const message = 'From: bob@example.test\r\nSubject: away\r\n\r\n';
  const work = {
    kind: 'submit',
    sender: 'bob@example.test',
    recipients: ['ann@sender.test'],
    message,
  } as const;
  const [{ entry, source }] = withWork(fake, work);
  await bounce(fake.house, [{ entry, reply: expired }], source);
  const { stores } = fake.kept[1]!.accepted;
  assert.deepEqual(
    stores.map(({ user }) => user),
    ['bob@example.test'],
  );
  const text = await fake.text();
  assert.match(text, /To: <bob@example\.test>/);
  assert.match(text, /Subject: away/);
  assert.doesNotMatch(text, /Subject: hello/);
});

test('where the sender cannot be told the mail is held, and the operator hears of it', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake, { connection: { trusted: true }, from: 'nobody@example.test', to: ['x@else.test'] });
  const [{ entry, source }] = fake.entries() as [ReturnType<FakeHouse['entries']>[number]];
  assert.deepEqual(await bounce(fake.house, [{ entry, reply: expired }], source), {
    hold: '554 5.4.7 delivery time expired; the sender cannot be told: 550 5.1.1 no such user here',
  });
  assert.deepEqual([fake.kept.length, fake.events('warn')], [1, ['gave-up', 'bounce-refused']]);
});

test('a bounce or a reply of ours that goes nowhere ends there', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake);
  const work = { kind: 'submit', sender: '', recipients: ['nobody@example.test'], message: '\r\n' } as const;
  const [{ entry, source }] = withWork(fake, work);
  assert.equal(await bounce(fake.house, [{ entry, reply: expired }], source), undefined);
  assert.equal(fake.kept.length, 1);
});

test('a bounce that cannot be accepted now is asked for again', async (t) => {
  const fake = new FakeHouse(t);
  await send(fake, { connection: { trusted: true }, from: 'bob@example.test', to: ['x@else.test'] });
  const [{ entry, source }] = fake.entries() as [ReturnType<FakeHouse['entries']>[number]];
  fake.acceptError = new Error('disk');
  await assert.rejects(bounce(fake.house, [{ entry, reply: expired }], source), /disk/);
});

for (const notify of [['never'], ['success', 'delay']] as const) {
  test(`NOTIFY=${notify}: no report when mail is given up`, async (t) => {
    const fake = new FakeHouse(t);
    await send(fake);
    const recipients = [{ id: 'r1', address: 'x@else.test', original: 'x@else.test', notify }];
    const [{ entry, source }] = withWork(fake, { kind: 'relay', via: 'mx', recipients });
    assert.equal(await bounce(fake.house, [{ entry, reply: expired }], source), undefined);
    assert.equal(fake.kept.length, 1);
  });
}

function withWork(fake: FakeHouse, work: ReturnType<FakeHouse['entries']>[number]['entry']['work']) {
  const { accepted, bytes } = fake.kept[0]!;
  const kept = { accepted: { ...accepted, queue: [{ id: `${accepted.id}/r1/0`, work }] }, bytes };
  return fake.entries(kept).map(({ entry }) => ({ entry, source: memorySource(bytes) })) as [
    ReturnType<FakeHouse['entries']>[number],
  ];
}
