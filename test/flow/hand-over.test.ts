/** Mail that somebody else keeps: nothing is routed, nothing is promised before the keeper has, and what stays is on disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reply } from '../../core/mail/reply.ts';
import type { HookAnswer } from '../../core/session/results.ts';
import type { Decision, Keeper } from '../../src/flow/keeper.ts';
import { FakeHouse, send } from '../kit/fake-house.ts';
import type { ScriptedHooks } from '../kit/scripted-pipelines.ts';

const yes: Reply = { code: 250, enhanced: '2.0.0', text: 'Ok: next has it' };
const no: Reply = { code: 550, enhanced: '5.7.1', text: 'next says no' };
const later: Reply = { code: 451, enhanced: '4.3.0', text: 'next is busy' };

class FakeKeeper implements Keeper {
  readonly via = '127.0.0.1:10026';
  readonly receives = true;
  readonly decisions: Decision[] = [];
  abandoned = 0;
  readonly answersPerRecipient: boolean;
  readonly #answers: readonly Reply[];
  constructor(answers: readonly Reply[], answersPerRecipient = false) {
    this.#answers = answers;
    this.answersPerRecipient = answersPerRecipient;
  }
  async keep(decision: Decision) {
    this.decisions.push(decision);
    return new Map(decision.recipients.map(({ id }, index) => [id, this.#answers[index] ?? yes]));
  }
  abandon() {
    this.abandoned += 1;
  }
}

const ann = 'ann@elsewhere.test';
const ben = 'ben@elsewhere.test';
const reject = { verdict: { action: 'reject', code: 550, enhanced: '5.7.1', text: 'spam' } } as const;
const hold = { verdict: { action: 'quarantine', reason: 'virus' } } as const;
const drop = { verdict: { action: 'discard', reason: 'trap' } } as const;
const onMessage = (answer: HookAnswer): ScriptedHooks => ({ message: () => answer });

const cases: {
  name: string;
  hooks?: ScriptedHooks;
  answers?: readonly Reply[];
  each?: boolean;
  told: string[];
  passed: string[];
  held?: number;
}[] = [
  { name: 'taken', told: ['250 Ok: next has it'], passed: [ann, ben] },
  { name: 'refused by next', answers: [no, no], told: ['550 next says no'], passed: [ann, ben] },
  {
    name: 'one deferred by next: nobody is acknowledged',
    answers: [yes, later],
    told: ['451 next is busy'],
    passed: [ann, ben],
  },
  {
    name: 'each is told',
    answers: [yes, later],
    each: true,
    told: ['250 Ok: next has it', '451 next is busy'],
    passed: [ann, ben],
  },
  {
    name: 'refused by a plugin: next never sees it',
    hooks: onMessage(reject),
    told: ['550 spam'],
    passed: [],
  },
  {
    name: 'one refused at a door that answers each',
    hooks: onMessage({ recipients: { r2: reject } }),
    each: true,
    told: ['250 Ok: next has it', '550 spam'],
    passed: [ann],
  },
  {
    name: 'one refused where there is one answer: no word to a forged sender, held',
    hooks: onMessage({ recipients: { r2: reject } }),
    told: ['250 Ok: next has it'],
    passed: [ann],
    held: 1,
  },
  {
    name: 'quarantined: ours, on disk',
    hooks: onMessage(hold),
    told: ['250 Ok: queued'],
    passed: [],
    held: 2,
  },
  { name: 'discarded', hooks: onMessage(drop), told: ['250 Ok: queued'], passed: [] },
];

for (const { name, hooks = {}, answers = [], each = false, told, passed, held = 0 } of cases) {
  test(name, async (t) => {
    const fake = new FakeHouse(t, { hooks });
    const keeper = new FakeKeeper(answers, each);
    const { rcpt, replies } = await send(fake, { to: [ann, ben], keeper });
    assert.deepEqual(rcpt, [undefined, undefined], 'no route of this house is asked');
    assert.deepEqual(
      replies.map(({ code, text }) => `${code} ${text.replace(/ as \w+$/, '')}`),
      told,
    );
    assert.deepEqual(
      keeper.decisions.flatMap(({ recipients }) => recipients.map(({ address }) => address)),
      passed,
    );
    const queued = fake.kept.flatMap(({ accepted }) => accepted.queue);
    const heldFor = queued.flatMap(({ work }) => (work.kind === 'held' ? work.recipients : []));
    assert.deepEqual([heldFor.length, queued.length > 0], [held, held > 0]);
    assert.deepEqual([fake.releases, keeper.abandoned], [1, 1]);
  });
}

test('what is held could not be written: the client hears so, though next has its part', async (t) => {
  const fake = new FakeHouse(t, { hooks: onMessage({ recipients: { r2: hold } }) });
  fake.acceptError = new Error('broken');
  const { replies } = await send(fake, { to: [ann, ben], keeper: new FakeKeeper([]) });
  assert.equal(replies[0]?.code, 451);
});

test('a keeper that fails is a failure of ours, and nothing was accepted', async (t) => {
  const fake = new FakeHouse(t);
  const keeper = new FakeKeeper([]);
  keeper.keep = () => Promise.reject(new Error('bug'));
  const { replies } = await send(fake, { to: [ann], keeper });
  assert.deepEqual([replies[0]?.code, fake.kept.length, fake.releases], [451, 0, 1]);
});

test('a keeper may refuse a recipient before the message', async (t) => {
  const fake = new FakeHouse(t);
  const keeper = Object.assign(new FakeKeeper([]), {
    admit: async (_: unknown, recipients: readonly { address: string }[]) =>
      recipients[0]?.address === ben ? no : undefined,
  });
  const { rcpt } = await send(fake, { to: [ann, ben], keeper });
  assert.deepEqual(rcpt, [undefined, no]);
  assert.deepEqual(
    keeper.decisions[0]?.recipients.map(({ address }) => address),
    [ann],
  );
});

test('our Received is in what passes through, and not where the MTA writes its own', async (t) => {
  for (const receives of [true, false]) {
    const keeper = Object.assign(new FakeKeeper([]), { receives });
    await send(new FakeHouse(t), { to: [ann], keeper });
    const names = keeper.decisions[0]!.edits.map((edit) => ('name' in edit ? edit.name : ''));
    assert.equal(names.includes('Received'), receives);
  }
});
