/** What a hook may return, and what is refused: every row of the second table must become a failure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BadAnswer } from '../../../core/session/bad-answer.ts';
import type { HookName } from '../../../core/session/powers.ts';
import { readAnswer } from '../../../core/session/read-answer.ts';

const recipients = [{ id: 'r1' }, { id: 'r2' }];
const reject = { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' };

const good: readonly [name: string, stage: HookName, value: unknown, want: unknown][] = [
  ['nothing', 'message', undefined, {}],
  ['a verdict alone', 'connect', reject, { verdict: reject }],
  ['an empty answer', 'message', {}, {}],
  [
    'continue where only observing is possible',
    'close',
    { action: 'continue' },
    { verdict: { action: 'continue' } },
  ],
  ['undefined parts', 'message', { verdict: undefined, score: undefined }, {}],
  ['undefined within a result', 'message', { result: { a: undefined, b: 1 } }, { result: { b: 1 } }],
  [
    'a folded value',
    'message',
    { edits: [{ type: 'addHeader', name: 'X-A', value: 'a\r\n b' }] },
    { edits: [{ type: 'addHeader', name: 'X-A', value: 'a\r\n b' }] },
  ],
  [
    'the null sender',
    'mailFrom',
    { edits: [{ type: 'changeSender', address: '' }] },
    { edits: [{ type: 'changeSender', address: '' }] },
  ],
  [
    'symbols alone: the score is their sum',
    'message',
    {
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
    {
      score: 1,
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
  ],
  [
    'symbols with a score of its own',
    'message',
    {
      score: 4,
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
    {
      score: 4,
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
  ],
  [
    'a score of 0 beside symbols',
    'message',
    {
      score: 0,
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
    {
      score: 0,
      symbols: [
        { name: 'A', score: 1.5 },
        { name: 'B', score: -0.5 },
      ],
    },
  ],
  [
    'recipients by id',
    'message',
    { recipients: { r2: { verdict: reject } } },
    { recipients: { r2: { verdict: reject } } },
  ],
  [
    'actions of deliver',
    'deliver',
    { actions: [{ type: 'store', mailbox: 'Lists/x', flags: ['\\Seen'], create: true }] },
    { actions: [{ type: 'store', mailbox: 'Lists/x', flags: ['\\Seen'], create: true }] },
  ],
  [
    'text of several lines',
    'message',
    { ...reject, text: 'one\ntwo' },
    { verdict: { ...reject, text: 'one\ntwo' } },
  ],
];

for (const [name, stage, value, want] of good) {
  test(`taken: ${name}`, () => assert.deepEqual(readAnswer(value, stage, recipients), want));
}

const circle: Record<string, unknown> = {};
circle.self = circle;
const header = (name: unknown, value: unknown) => ({ edits: [{ type: 'addHeader', name, value }] });

const bad: readonly [name: string, stage: HookName, value: unknown][] = [
  ['a number', 'message', 42],
  ['null', 'message', null],
  ['true', 'message', true],
  ['a list', 'message', []],
  ['an unknown key', 'message', { verdcit: reject }],
  ['an unknown verdict', 'message', { action: 'acept' }],
  ['an inherited name as verdict', 'message', { action: 'toString' }],
  ['a verdict with an unknown key', 'message', { ...reject, extra: 1 }],
  ['reject with 250', 'message', { ...reject, code: 250 }],
  ['reject with 4yz', 'message', { ...reject, code: 450, enhanced: '4.7.1' }],
  ['tempfail with 5yz', 'message', { ...reject, action: 'tempfail' }],
  ['a code with a second digit of 9', 'message', { ...reject, code: 590 }],
  ['a code as text', 'message', { ...reject, code: '550' }],
  ['an enhanced status of another class', 'message', { ...reject, enhanced: '4.7.1' }],
  ['no enhanced status', 'message', { action: 'reject', code: 550, text: 'no' }],
  ['CR in a reply', 'message', { ...reject, text: 'a\rb' }],
  ['NUL in a reply', 'message', { ...reject, text: 'a\0b' }],
  ['a verdict of an observing hook', 'close', reject],
  ['a header edit at connect', 'connect', header('X-A', 'b')],
  ['an edit of close', 'close', header('X-A', 'b')],
  ['CRLF in a value', 'message', header('X-A', 'a\r\nX-B: c')],
  ['LF in a value', 'message', header('X-A', 'a\nX-B: c')],
  ['CR in a value', 'message', header('X-A', 'a\rX-B: c')],
  ['NUL in a value', 'message', header('X-A', 'a\0')],
  ['a colon in a name', 'message', header('X-A:', 'b')],
  ['a space in a name', 'message', header('X A', 'b')],
  ['CRLF in a name', 'message', header('X-A\r\nX-B', 'b')],
  ['an empty name', 'message', header('', 'b')],
  ['a value that is no text', 'message', header('X-A', 5)],
  ['an unknown edit', 'message', { edits: [{ type: 'dropHeader', name: 'X-A' }] }],
  [
    'an edit with an unknown key',
    'message',
    { edits: [{ type: 'deleteHeader', name: 'X-A', nth: 1, all: true }] },
  ],
  ['nth 0', 'message', { edits: [{ type: 'deleteHeader', name: 'X-A', nth: 0 }] }],
  ['a negative index', 'message', { edits: [{ type: 'insertHeader', index: -1, name: 'X-A', value: 'b' }] }],
  ['a body as text', 'message', { edits: [{ type: 'replaceBody', body: 'text' }] }],
  ['an address that is none', 'message', { edits: [{ type: 'addRecipient', address: 'nobody' }] }],
  ['edits that are no list', 'message', { edits: {} }],
  ['a list of edits with a hole', 'message', { edits: new Array(1) }],
  ['an unknown recipient', 'message', { recipients: { r3: { verdict: reject } } }],
  ['recipients at rcptTo', 'rcptTo', { recipients: { r1: { verdict: reject } } }],
  [
    'a sender edit for one recipient',
    'message',
    { recipients: { r1: { edits: [{ type: 'changeSender', address: '' }] } } },
  ],
  ['a function in the result', 'message', { result: { f: () => 1 } }],
  ['a class instance in the result', 'message', { result: new Map() }],
  ['a circle in the result', 'message', { result: circle }],
  ['NaN in the result', 'message', { result: Number.NaN }],
  ['a result too large', 'message', { result: 'x'.repeat(2 ** 21) }],
  ['a score that is no number', 'message', { score: '5' }],
  ['an infinite score', 'message', { score: Number.POSITIVE_INFINITY }],
  [
    'symbols with no finite sum',
    'message',
    {
      symbols: [
        { name: 'A', score: 1e308 },
        { name: 'B', score: 1e308 },
      ],
    },
  ],
  ['null for a score', 'message', { score: null, symbols: [] }],
  ['a symbol with no score', 'message', { symbols: [{ name: 'A' }] }],
  ['an auth method that is no word', 'message', { auth: [{ method: 'spf=pass;', result: 'pass' }] }],
  [
    'CRLF in an auth property',
    'message',
    { auth: [{ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': 'a\r\nb' } }] },
  ],
  ['actions of a message hook', 'message', { actions: [] }],
  ['an empty list of actions', 'deliver', { actions: [] }],
  ['an unknown action', 'deliver', { actions: [{ type: 'file', mailbox: 'x' }] }],
  ['a store with no mailbox', 'deliver', { actions: [{ type: 'store' }] }],
  [
    'a refusal with 2yz',
    'deliver',
    { actions: [{ type: 'refuse', code: 250, enhanced: '2.0.0', text: '' }] },
  ],
  ['a program with NUL', 'deliver', { actions: [{ type: 'run', argv: ['a\0'] }] }],
];

for (const [name, stage, value] of bad) {
  test(`refused: ${name}`, () => assert.throws(() => readAnswer(value, stage, recipients), BadAnswer));
}

test('what the plugin keeps and changes later changes nothing', () => {
  const result = { list: [1] };
  const body = new Uint8Array([1, 2, 3]);
  const answer = readAnswer({ result, edits: [{ type: 'replaceBody', body }] }, 'message', recipients);
  result.list.push(2);
  body[0] = 9;
  assert.deepEqual(answer.result, { list: [1] });
  assert.deepEqual(answer.edits, [{ type: 'replaceBody', body: new Uint8Array([1, 2, 3]) }]);
});

test('what later plugins are shown is frozen', () => {
  const symbols = [{ name: 'A', score: 1 }];
  const answer = readAnswer({ result: { list: [1] }, symbols }, 'message', recipients);
  assert.ok(Object.isFrozen(answer.symbols?.[0]));
  assert.throws(() => (answer.result as { list: number[] }).list.push(2), TypeError);
});
