/** Rules of mailboxes: raised whichever way mail comes, and what they ask for beyond one message happens once. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PipelineRequest } from '../../core/pipeline/request.ts';
import type { Action } from '../../core/session/plan.ts';
import { attempt } from '../../src/flow/attempt.ts';
import { FakeHouse, fakeSieve, send } from '../kit/fake-house.ts';

const deliverPipelines = (fake: FakeHouse) =>
  fake.pipelines.requests
    .filter(({ stages }: PipelineRequest) => stages.includes('deliver'))
    .map(({ pipeline }) => pipeline);

/** Deliver hooks in these pipelines alone. */
function withRulesIn(fake: FakeHouse, ...names: string[]): void {
  fake.pipelines.has = (pipeline, hook) => hook === 'deliver' && names.includes(pipeline);
}

const cases: readonly { name: string; rules: string[]; through: string; named?: string; want: string[] }[] = [
  {
    name: 'its own pipeline has them',
    rules: ['inbound', 'outbound'],
    through: 'outbound',
    want: ['outbound'],
  },
  { name: 'its own has none: those of inbound', rules: ['inbound'], through: 'outbound', want: ['inbound'] },
  {
    name: 'the config names one',
    rules: ['inbound', 'outbound'],
    through: 'outbound',
    named: 'inbound',
    want: ['inbound'],
  },
  {
    name: 'the one that is named has none',
    rules: ['inbound'],
    through: 'inbound',
    named: 'outbound',
    want: [],
  },
  { name: 'nobody has any', rules: [], through: 'outbound', want: [] },
];

for (const { name, rules, through, named, want } of cases) {
  test(`deliver hooks: ${name}`, async (t) => {
    const fake = new FakeHouse(t, { hooks: { deliver: () => undefined } });
    const { config } = fake.house;
    const listeners = config.listeners.map((listener) => ({ ...listener, pipeline: through }));
    const mailbox = { ...config.mailbox, sieve: fakeSieve, ...(named && { pipeline: named }) };
    Object.assign(fake.house, { config: { ...config, listeners, mailbox } });
    withRulesIn(fake, ...rules);
    const { replies } = await send(fake);
    assert.equal(replies[0]?.code, 250);
    assert.deepEqual(deliverPipelines(fake), want);
  });
}

test('deliver hooks are given all addresses of the user', async (t) => {
  const users = [{ address: 'alice@example.test', aliases: ['al@example.test'] }];
  const fake = new FakeHouse(t, { users, hooks: { deliver: () => undefined } });
  await send(fake, { to: ['al@example.test'] });
  const [delivery] = fake.pipelines.requests.at(-1)!.deliveries ?? [];
  assert.deepEqual(delivery?.addresses, ['alice@example.test', 'al@example.test']);
});

const reply = (key: string): Action => ({
  type: 'reply',
  sender: '',
  recipients: ['ann@sender.test'],
  message: Buffer.from('Subject: away\r\n\r\nback on monday\r\n'),
  once: { key, seconds: 60, plugin: 'rules' },
});

async function answered(t: TestContext, actions: Action[]) {
  const fake = new FakeHouse(t, { hooks: { deliver: () => ({ actions }) } });
  await send(fake);
  return { fake, entries: fake.entries() };
}

test('a reply with a key is sent once, whoever plans it again', async (t) => {
  const { fake, entries } = await answered(t, [reply('ann'), { type: 'store', mailbox: 'INBOX' }]);
  const [{ entry, source }] = entries as [(typeof entries)[number]];
  const sent = async (id: string) => {
    const before = fake.kept.length;
    assert.deepEqual(await attempt(fake.house, { ...entry, id }, source), { outcome: 'done' });
    return fake.kept.length - before;
  };
  assert.equal(await sent(entry.id), 1);
  assert.equal(await sent(`${entry.id}-of-another-message`), 0);
  assert.ok(fake.events('info').includes('reply-sent-before'));
  assert.equal(await sent(entry.id), 1, 'a retry of the same reply is no repetition');
});

test('keys to remember are in the plan, even of mail that leaves nothing else', async (t) => {
  const remember: Action = { type: 'remember', key: 'k', seconds: 60, plugin: 'rules' };
  const { fake } = await answered(t, [{ type: 'discard', reason: 'seen' }, remember]);
  const { remembered = [], stores, id } = fake.plan;
  assert.deepEqual(stores, []);
  assert.deepEqual(remembered, [{ id: `${id}/r1/1`, plugin: 'rules', key: 'k', seconds: 60 }]);
});

test('a generated message is stored in place of the one that came', async (t) => {
  const message = Buffer.from('Subject: copy\r\n\r\nx\r\n');
  const { fake, entries } = await answered(t, [
    { type: 'store', mailbox: 'Sent', create: true, flags: ['\\Seen'], message },
  ]);
  assert.deepEqual(fake.plan.stores, []);
  const [{ entry, source }] = entries as [(typeof entries)[number]];
  assert.deepEqual(await attempt(fake.house, entry, source), { outcome: 'done' });
  assert.deepEqual(fake.stored, [entry.id]);
});
