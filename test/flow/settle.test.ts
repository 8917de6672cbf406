import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Recipient } from '../../core/mail/envelope.ts';
import { settle } from '../../src/flow/settle.ts';
import type { Fate } from '../../src/flow/transaction.ts';

const recipient = (id: string): Recipient => ({
  id,
  address: `${id}@example.test`,
  original: `${id}@example.test`,
  notify: [],
});
const deliver: Fate = { kind: 'deliver' };
const refuse: Fate = { kind: 'refuse', reply: { code: 550, enhanced: '5.7.1', text: 'no' } };
const deferMessage: Fate = {
  kind: 'defer',
  by: 'message',
  reply: { code: 451, enhanced: '4.7.1', text: 'scanner' },
};
const deferDeliver: Fate = {
  kind: 'defer',
  by: 'deliver',
  reply: { code: 452, enhanced: '4.2.2', text: 'full' },
};
const discard: Fate = { kind: 'discard', reason: 'junk' };
const hold: Fate = { kind: 'hold', reason: 'virus' };

interface Case {
  readonly name: string;
  readonly fates: readonly Fate[];
  readonly verified?: boolean;
  /** Codes after DATA; outcome kinds by recipient, '-' where nothing is carried out. */
  readonly codes: readonly number[];
  readonly outcomes: readonly string[];
}

const together: readonly Case[] = [
  { name: 'all delivered', fates: [deliver, deliver], codes: [250], outcomes: ['deliver', 'deliver'] },
  { name: 'all refused', fates: [refuse, refuse], codes: [550], outcomes: ['-', '-'] },
  { name: 'all deferred', fates: [deferDeliver, deferDeliver], codes: [452], outcomes: ['-', '-'] },
  { name: 'all discarded is a yes', fates: [discard], codes: [250], outcomes: ['discard'] },
  { name: 'all held is a yes', fates: [hold], codes: [250], outcomes: ['hold'] },
  {
    name: 'a tempfail of the message stage speaks for all',
    fates: [deliver, deferMessage, refuse],
    codes: [451],
    outcomes: ['-', '-', '-'],
  },
  {
    name: 'a full mailbox beside a good one waits',
    fates: [deliver, deferDeliver],
    codes: [250],
    outcomes: ['deliver', 'wait'],
  },
  {
    name: 'refused beside delivered, sender unknown: Junk',
    fates: [deliver, refuse],
    codes: [250],
    outcomes: ['deliver', 'junk'],
  },
  {
    name: 'refused beside delivered, sender verified: DSN',
    fates: [deliver, refuse],
    verified: true,
    codes: [250],
    outcomes: ['deliver', 'bounce'],
  },
  {
    name: 'refused beside deferred',
    fates: [refuse, deferDeliver],
    verified: true,
    codes: [250],
    outcomes: ['bounce', 'wait'],
  },
  { name: 'no recipient left', fates: [], codes: [250], outcomes: [] },
];

const each: readonly Case[] = [
  {
    name: 'each its own',
    fates: [deliver, refuse, deferMessage, deferDeliver, discard, hold],
    codes: [250, 550, 451, 452, 250, 250],
    outcomes: ['deliver', '-', '-', '-', 'discard', 'hold'],
  },
];

for (const [door, cases, answersPerRecipient] of [
  ['one answer', together, false],
  ['an answer each', each, true],
] as const) {
  for (const { name, fates, verified, codes, outcomes } of cases) {
    test(`${door}: ${name}`, () => {
      const recipients = fates.map((_, index) => recipient(`r${index + 1}`));
      const settled = settle({
        id: 'T1',
        recipients,
        fates: new Map(fates.map((fate, index) => [`r${index + 1}`, fate])),
        answered: recipients.map(({ id }) => [id]),
        answersPerRecipient,
        senderVerified: verified ?? false,
      });
      assert.deepEqual(
        settled.replies.map(({ code }) => code),
        codes,
      );
      assert.deepEqual(
        recipients.map(({ id }) => settled.outcomes.get(id)?.kind ?? '-'),
        outcomes,
      );
    });
  }
}

test('an answer each: who was added by a plugin is carried out but not answered', () => {
  const settled = settle({
    id: 'T1',
    recipients: [recipient('r1'), recipient('r2')],
    fates: new Map<string, Fate>([
      ['r1', deliver],
      ['r2', refuse],
    ]),
    answered: [['r1']],
    answersPerRecipient: true,
    senderVerified: true,
  });
  assert.equal(settled.replies.length, 1);
  assert.equal(settled.outcomes.get('r2')?.kind, 'bounce');
});

test('an answer each: a recipient that a plugin deleted is answered with a yes', () => {
  const settled = settle({
    id: 'T1',
    recipients: [recipient('r1')],
    fates: new Map<string, Fate>([['r1', deliver]]),
    answered: [['r1'], ['r2']],
    answersPerRecipient: true,
    senderVerified: false,
  });
  assert.deepEqual(
    settled.replies.map(({ code }) => code),
    [250, 250],
  );
});

const sharing: readonly {
  readonly name: string;
  readonly first: Fate;
  readonly verified?: boolean;
  readonly codes: readonly number[];
  readonly outcomes: readonly string[];
}[] = [
  { name: 'refused: Junk', first: refuse, codes: [550, 250], outcomes: ['-', 'junk', 'same', 'deliver'] },
  {
    name: 'refused, sender verified: DSN',
    first: refuse,
    verified: true,
    codes: [550, 250],
    outcomes: ['-', 'bounce', 'same', 'deliver'],
  },
  {
    name: 'deferred: it waits',
    first: deferDeliver,
    codes: [452, 250],
    outcomes: ['-', 'wait', 'same', 'deliver'],
  },
];
for (const { name, first, verified, codes, outcomes } of sharing) {
  test(`an answer each: who shares the copy of another RCPT's recipient is not lost with it, ${name}`, () => {
    const ids = ['r1', 'r2', 'r3', 'r4'];
    const settled = settle({
      id: 'T1',
      recipients: ids.map(recipient),
      fates: new Map<string, Fate>([
        ['r1', first],
        ['r2', { kind: 'same', as: 'r1' }],
        ['r3', { kind: 'same', as: 'r1' }],
        ['r4', deliver],
      ]),
      answered: [['r1'], ['r2', 'r3', 'r4']],
      answersPerRecipient: true,
      senderVerified: verified ?? false,
    });
    assert.deepEqual(
      settled.replies.map(({ code }) => code),
      codes,
    );
    assert.deepEqual(
      ids.map((id) => settled.outcomes.get(id)?.kind ?? '-'),
      outcomes,
    );
    assert.deepEqual(settled.outcomes.get('r3'), { kind: 'same', as: 'r2' });
  });
}

test('an answer each: a shared copy that was refused is the answer of who has no other', () => {
  const settled = settle({
    id: 'T1',
    recipients: [recipient('r1'), recipient('r2'), recipient('r3')],
    fates: new Map<string, Fate>([
      ['r1', refuse],
      ['r2', { kind: 'same', as: 'r1' }],
      ['r3', deliver],
    ]),
    answered: [['r1'], ['r2'], ['r3']],
    answersPerRecipient: true,
    senderVerified: false,
  });
  assert.deepEqual(
    settled.replies.map(({ code }) => code),
    [550, 550, 250],
  );
  assert.deepEqual([...settled.outcomes.keys()], ['r3']);
});

test('an answer each: a copy whose RCPT was turned away for another reason waits for who shares it', () => {
  const settled = settle({
    id: 'T1',
    recipients: ['r1', 'r2', 'r3'].map(recipient),
    fates: new Map<string, Fate>([
      ['r1', deliver],
      ['r2', deferMessage],
      ['r3', { kind: 'same', as: 'r1' }],
    ]),
    answered: [['r1', 'r2'], ['r3']],
    answersPerRecipient: true,
    senderVerified: false,
  });
  assert.deepEqual(
    settled.replies.map(({ code }) => code),
    [451, 250],
  );
  assert.equal(settled.outcomes.get('r3')?.kind, 'wait');
});
