/** header-rules: rules meet a real message, and what they come to is an answer. The language: ../rules/json. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import headerRules from '../../plugins/header-rules/index.ts';
import { type JsonRule, rule } from '../kit/json-rule.ts';

const message = `Received: from a by b; now
From: Alice <alice@example.org>
To: carol@example.test
Subject: You have won
\tthe lottery
X-Tag: one
X-Tag: two

Body with Subject: not a header
`;

function run(rules: readonly JsonRule[], input: TestInput = {}) {
  const options = structuredClone({ rules }) as unknown as TestSetup['options'];
  return testPlugin(headerRules, { options }).message({ message, ...input });
}

const edited: readonly [name: string, action: object, change: (text: string) => string][] = [
  ['add', { add: 'X-New', value: 'v' }, (text) => text.replace('two\n', 'two\nX-New: v\n')],
  ['insert', { insert: 'X-New', value: 'v' }, (text) => `X-New: v\n${text}`],
  ['set', { set: 'X-Tag', value: 'v' }, (text) => text.replace('X-Tag: one\nX-Tag: two', 'X-Tag: v')],
  [
    'set the subject',
    { set: 'Subject', value: '[x] {header:Subject}' },
    (text) => text.replace('You have won\n\tthe', '[x] You have won the'),
  ],
  ['delete', { delete: 'x-tag' }, (text) => text.replace('X-Tag: one\nX-Tag: two\n', '')],
  ['delete one', { delete: 'X-Tag', equals: 'two' }, (text) => text.replace('X-Tag: two\n', '')],
  [
    'rename',
    { rename: 'To', to: 'X-To' },
    (text) =>
      `${text.replace('To: carol@example.test\n', '').replace('two\n', 'two\nX-To: carol@example.test\n')}`,
  ],
];
for (const [name, action, change] of edited) {
  test(`header-rules: ${name}`, async () => {
    assert.equal((await run([rule(undefined, action)])).message, change(message));
  });
}

test('header-rules: no rule applies, nothing is answered and no byte changes', async () => {
  const { answer, message: after } = await run([
    rule({ header: 'Subject', contains: 'pills' }, { reject: 'no' }),
  ]);
  assert.deepEqual(answer, {});
  assert.equal(after, message);
});

const verdicts: readonly [name: string, action: object, want: object][] = [
  [
    'reject',
    { reject: 'no {id}', code: 554, status: '5.6.0' },
    { action: 'reject', code: 554, enhanced: '5.6.0', text: 'no test' },
  ],
  ['tempfail', { tempfail: 'later' }, { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'later' }],
  ['discard', { discard: 'why' }, { action: 'discard', reason: 'why' }],
  ['quarantine', { quarantine: 'why' }, { action: 'quarantine', reason: 'why' }],
];
for (const [name, action, want] of verdicts) {
  test(`header-rules: ${name}`, async () => {
    assert.deepEqual((await run([rule({ header: 'Subject', matches: 'won\\s+the' }, action)])).verdict, want);
  });
}

test('header-rules: scores, symbols and the names of rules', async () => {
  const { answer, log } = await run([
    { name: 'won', ...rule({ header: 'Subject', contains: 'won' }, { score: 2, symbol: 'WON' }) },
    { name: 'none', ...rule({ header: 'X-None', exists: true }, { score: 5 }) },
    { name: 'tag', ...rule({ header: 'X-Tag', equals: 'two' }, { score: 0.5 }) },
  ]);
  assert.equal(answer.score, 2.5);
  assert.deepEqual(answer.symbols, [
    { name: 'WON', score: 2 },
    { name: 'RULE_TAG', score: 0.5 },
  ]);
  assert.deepEqual(answer.result, { matched: ['won', 'tag'] });
  assert.deepEqual(log, [{ event: 'matched', facts: { rules: ['won', 'tag'] } }]);
});

test('header-rules: envelope, session and results are facts', async () => {
  const value = '{sender}|{recipient}|{helo}|{ip}|{user}|{id}|{result:spf.result}';
  const { edits } = await run([rule({ authenticated: true }, { add: 'X-All', value })], {
    id: 'tx7',
    sender: 'u@example.org',
    recipients: ['carol@example.test'],
    connection: { remoteIp: '2001:db8::5' },
    session: { helo: 'h\r\nX-Evil: 1', user: 'u@example.org' },
    results: { spf: { result: 'pass' } },
  });
  assert.deepEqual(edits, [
    {
      type: 'addHeader',
      name: 'X-All',
      value: 'u@example.org|carol@example.test|h X-Evil: 1|2001:db8::5|u@example.org|tx7|pass',
    },
  ]);
});

test('header-rules: hidden recipients are not told to each other', async () => {
  const { edits } = await run([rule(undefined, { add: 'X-For', value: '<{recipient}>' })], {
    recipients: ['a@example.test', 'b@example.test'],
  });
  assert.deepEqual(edits, [{ type: 'addHeader', name: 'X-For', value: '<>' }]);
});

test('header-rules: two entries with rules of their own do not meet', async () => {
  const first = testPlugin(headerRules, {
    options: { rules: [{ ...rule(undefined, { score: 1 }) }] } as never,
  });
  const second = testPlugin(headerRules, {
    options: { rules: [{ ...rule(undefined, { score: 2 }) }] } as never,
  });
  assert.equal((await first.message()).answer.score, 1);
  assert.equal((await second.message()).answer.score, 2);
  assert.equal((await first.message()).answer.score, 1);
});

test('header-rules: thousands of fields of one name stay within what one answer may hold', async () => {
  const many = `${'X-Tag: v\n'.repeat(4000)}\nbody\n`;
  const { message: after } = await run([rule(undefined, { set: 'X-Tag', value: 'w' })], { message: many });
  assert.equal(after, 'X-Tag: w\n\nbody\n');
});

test('header-rules: a hostile subject does not hold up the thread', async () => {
  const begin = process.cpuUsage();
  await run([rule({ header: 'Subject', matches: '(a+)+$' }, { reject: 'no' })], {
    message: `Subject: ${'a'.repeat(50_000)}!\n\n`,
  });
  assert.ok(process.cpuUsage(begin).user < 3_000_000);
});

const mistakes: readonly [name: string, options: object, want: RegExp][] = [
  ['no rules', {}, /"rules" is missing/],
  [
    'a misspelt key',
    { rules: [rule({ header: 'X', contain: 'a' }, { stop: true })] },
    /rules\/0\/when.*"contain"/,
  ],
  ['a misspelt action', { rules: [rule(undefined, { rejct: 'a' })] }, /rules\/0\/then\/0.*"rejct"/],
  ['text is for content-rules', { rules: [rule({ text: 'any', contains: 'a' }, { stop: true })] }, /"text"/],
  [
    'a pattern that cannot be',
    { rules: [rule({ header: 'X', matches: '(a)\\1' }, { stop: true })] },
    /rule 1: when: matches: .*backreference/,
  ],
  [
    'a placeholder that is none',
    { rules: [rule(undefined, { add: 'X', value: '{who}' })] },
    /\{who\} means nothing/,
  ],
];
for (const [name, options, want] of mistakes) {
  test(`header-rules does not load: ${name}`, async () => {
    await assert.rejects(async () => testPlugin(headerRules, { options: options as never }).message(), want);
  });
}
