/** The rules by which answers meet, as tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Envelope } from '../../../core/mail/envelope.ts';
import { beginStage, mergeAnswer, mergeVerdict, type Standing } from '../../../core/session/merge.ts';
import type { HookAnswer } from '../../../core/session/results.ts';
import type { Verdict, VerdictAction } from '../../../core/session/verdict.ts';

const verdicts: Readonly<Record<VerdictAction, Verdict>> = {
  continue: { action: 'continue' },
  accept: { action: 'accept' },
  reject: { action: 'reject', code: 554, enhanced: '5.7.1', text: 'no' },
  tempfail: { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'later' },
  discard: { action: 'discard', reason: 'spam' },
  quarantine: { action: 'quarantine', reason: 'odd' },
};

const nothing = {
  edits: [],
  recipientEdits: {},
  results: {},
  score: 0,
  symbols: [],
  auth: [],
  accepted: false,
};

const recipient = (id: string, address: string) => ({ id, address, original: address, notify: [] });

const envelope: Envelope = {
  sender: 'sender@example.org',
  recipients: [recipient('r1', 'alice@example.test'), recipient('r2', 'bob@example.test')],
  body: '8bitmime',
  smtputf8: false,
  requireTls: false,
};

/** Plugins a, b, c ... answer in turn; one that comes after the end of the stage fails the test. */
function stage(answers: readonly HookAnswer[], start: Partial<Standing['gathered']> = {}): Standing {
  let standing = beginStage({ ...nothing, ...start }, envelope);
  for (const [index, answer] of answers.entries()) {
    assert.equal(standing.ended, false, `the stage had ended before answer ${index}`);
    standing = mergeAnswer(standing, 'abcdefgh'[index]!, answer);
  }
  return standing;
}

const verdictTable: readonly [
  name: string,
  current: VerdictAction,
  next: VerdictAction,
  want: VerdictAction,
][] = [
  ['continue says nothing', 'accept', 'continue', 'accept'],
  ['accept over continue', 'continue', 'accept', 'accept'],
  ['quarantine over accept', 'accept', 'quarantine', 'quarantine'],
  ['quarantine sticks against accept', 'quarantine', 'accept', 'quarantine'],
  ['quarantine sticks against discard', 'quarantine', 'discard', 'quarantine'],
  ['reject wins over quarantine', 'quarantine', 'reject', 'reject'],
  ['tempfail wins over quarantine', 'quarantine', 'tempfail', 'tempfail'],
  ['the first refusal stands', 'reject', 'tempfail', 'reject'],
  ['a tempfail is not made final later', 'tempfail', 'reject', 'tempfail'],
  ['discard over accept', 'accept', 'discard', 'discard'],
  ['discard stands', 'discard', 'accept', 'discard'],
];

for (const [name, current, next, want] of verdictTable) {
  test(`verdicts: ${name}`, () => {
    assert.deepEqual(mergeVerdict(verdicts[current], verdicts[next]), verdicts[want]);
  });
}

const endTable: readonly [action: VerdictAction, ends: boolean][] = [
  ['continue', false],
  ['accept', false],
  ['quarantine', false],
  ['reject', true],
  ['tempfail', true],
  ['discard', true],
];

for (const [action, ended] of endTable) {
  test(`${action} ${ended ? 'ends' : 'does not end'} the stage`, () => {
    assert.equal(stage([{ verdict: verdicts[action] }]).ended, ended);
  });
}

test('a discard after a quarantine ends the stage and stays a quarantine', () => {
  const standing = stage([{ verdict: verdicts.quarantine }, { verdict: verdicts.discard }]);
  assert.equal(standing.ended, true);
  assert.deepEqual(standing.verdict, verdicts.quarantine);
});

test('a quarantine of an earlier stage holds in the next, and a reject there wins', () => {
  assert.deepEqual(stage([{}], { quarantine: 'virus' }).verdict, { action: 'quarantine', reason: 'virus' });
  assert.deepEqual(stage([{ verdict: verdicts.reject }], { quarantine: 'virus' }).verdict, verdicts.reject);
});

test('accept is remembered for the stages to come', () => {
  assert.equal(stage([{ verdict: verdicts.accept }]).gathered.accepted, true);
});

test('scores add up, symbols and auth gather in order', () => {
  const { gathered } = stage([
    { score: 1.5, symbols: [{ name: 'A', score: 1.5 }], auth: [{ method: 'spf', result: 'pass' }] },
    { score: -2, symbols: [{ name: 'B', score: -2 }], auth: [{ method: 'dkim', result: 'none' }] },
  ]);
  assert.equal(gathered.score, -0.5);
  assert.deepEqual(
    gathered.symbols.map(({ name }) => name),
    ['A', 'B'],
  );
  assert.deepEqual(
    gathered.auth.map(({ method }) => method),
    ['spf', 'dkim'],
  );
});

const resultTable: readonly [
  name: string,
  before: HookAnswer['result'],
  after: HookAnswer['result'],
  want: unknown,
][] = [
  ['objects join key by key', { a: 1, b: 1 }, { b: 2, c: 3 }, { a: 1, b: 2, c: 3 }],
  ['a list takes the place of an object', { a: 1 }, [1], [1]],
  ['an object takes the place of a number', 7, { a: 1 }, { a: 1 }],
  ['null is a value', { a: 1 }, null, null],
];

for (const [name, before, after, want] of resultTable) {
  test(`results: ${name}`, () => {
    const { gathered } = stage([{ result: after }], { results: { a: before!, other: 1 } });
    assert.deepEqual(gathered.results, { a: want, other: 1 });
  });
}

test('header edits gather, sender and recipient edits change the envelope', () => {
  const standing = stage([
    {
      edits: [
        { type: 'addHeader', name: 'X-A', value: '1' },
        { type: 'changeSender', address: 'srs@example.test' },
      ],
    },
    {
      edits: [
        { type: 'deleteRecipient', address: 'bob@example.test' },
        { type: 'addHeader', name: 'X-B', value: '2' },
      ],
    },
  ]);
  assert.deepEqual(
    standing.gathered.edits.map((edit) => edit.type === 'addHeader' && edit.name),
    ['X-A', 'X-B'],
  );
  assert.equal(standing.envelope?.sender, 'srs@example.test');
  assert.deepEqual(
    standing.envelope?.recipients.map(({ id }) => id),
    ['r1'],
  );
});

test('an edit that cannot be applied leaves the standing as it was', () => {
  const standing = stage([{ score: 1 }]);
  const answer: HookAnswer = { score: 5, edits: [{ type: 'addRecipient', address: 'no address' }] };
  assert.throws(() => mergeAnswer(standing, 'b', answer), { code: 'bad-edit' });
  assert.equal(standing.gathered.score, 1);
});

test('a refusal that exempts a recipient lets the stage go on for that recipient', () => {
  const standing = stage([{ verdict: verdicts.reject, recipients: { r1: { verdict: verdicts.continue } } }]);
  assert.equal(standing.ended, false);
  assert.deepEqual(standing.verdict, verdicts.continue);
  assert.deepEqual(standing.recipients, { r1: verdicts.continue, r2: verdicts.reject });
});

test('the stage ends when every recipient is decided', () => {
  const standing = stage([
    { recipients: { r1: { verdict: verdicts.reject } } },
    { recipients: { r2: { verdict: verdicts.discard } } },
  ]);
  assert.equal(standing.ended, true);
  assert.deepEqual(standing.recipients, { r1: verdicts.reject, r2: verdicts.discard });
});

test('a recipient that was accepted is not safe from a later refusal of all', () => {
  const standing = stage([
    { recipients: { r1: { verdict: verdicts.accept } } },
    { verdict: verdicts.reject },
  ]);
  assert.deepEqual(standing.recipients.r1, verdicts.reject);
});

test('edits for one recipient gather by recipient', () => {
  const edit = (value: string) => [{ type: 'addHeader', name: 'X-A', value }] as const;
  const { gathered } = stage([
    { recipients: { r2: { edits: edit('1') } } },
    { recipients: { r2: { edits: edit('2') } } },
  ]);
  assert.deepEqual(gathered.edits, []);
  assert.deepEqual(gathered.recipientEdits, { r2: [...edit('1'), ...edit('2')] });
});

const add = (address: string) => ({ type: 'addRecipient', address }) as const;
const drop = (address: string) => ({ type: 'deleteRecipient', address }) as const;

const rewriteTable: readonly [
  name: string,
  edits: NonNullable<HookAnswer['edits']>,
  first: string,
  added: string[],
][] = [
  ['nothing changes without recipient edits', [], 'info@example.test', []],
  [
    'the first target takes the place',
    [drop('info@example.test'), add('alice@example.test')],
    'alice@example.test',
    [],
  ],
  [
    'further targets are added',
    [drop('info@example.test'), add('alice@example.test'), add('bob@example.org')],
    'alice@example.test',
    ['bob@example.org'],
  ],
  [
    'the recipient stays where only targets are added',
    [add('bob@example.org')],
    'info@example.test',
    ['bob@example.org'],
  ],
  [
    'the domain compares without case',
    [drop('info@EXAMPLE.test'), add('x@example.org')],
    'x@example.org',
    [],
  ],
  ['a target that is there is not added twice', [add('info@example.test')], 'info@example.test', []],
];

for (const [name, edits, first, added] of rewriteTable) {
  test(`rcptTo: ${name}`, () => {
    const pending = recipient('r3', 'info@example.test');
    const standing = mergeAnswer(beginStage(nothing, envelope, pending), 'a', { edits });
    assert.deepEqual(standing.pending, { recipient: { ...pending, address: first }, added });
    assert.equal(standing.verdict.action, 'continue');
  });
}

test('rcptTo: a recipient with no target left is discarded, not refused and not delivered', () => {
  const pending = recipient('r3', 'null@example.test');
  const standing = mergeAnswer(beginStage(nothing, envelope, pending), 'a', {
    edits: [drop('null@example.test')],
  });
  assert.equal(standing.verdict.action, 'discard');
});
