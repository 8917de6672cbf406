/** Rules in JSON: every condition, action and placeholder as a table, and every mistake with its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { ruleLimits } from '../../../core/base/limits/rules.ts';
import { compileRules, HeaderFields, RuleError, type RuleFacts } from '../../../rules/json/rules.ts';
import { rulesSchema } from '../../../rules/json/schema.ts';
import { rule } from '../../kit/json-rule.ts';

const header: readonly (readonly [string, string])[] = [
  ['Received', 'from a by b; now'],
  ['From', '"Alice A." <alice@Example.org>, Bob <bob@example.net>'],
  ['To', 'carol@example.com'],
  ['Subject', '=?utf-8?Q?Gr=C3=BC=C3=9Fe?= FREE money'],
  ['X-Tag', 'one'],
  ['X-Tag', 'two'],
  ['X-Tag', 'one more'],
];

function facts(changes: Partial<RuleFacts> = {}): RuleFacts {
  return {
    id: 'tx1',
    sender: 'alice@example.org',
    recipients: ['carol@example.com', 'dave@example.com'],
    helo: 'mail.example.org',
    ip: '192.0.2.7',
    user: '',
    trusted: false,
    results: { spf: { result: 'pass', 'mail-from': { domain: 'example.org' } }, other: [1, 'two'] },
    fields: new HeaderFields(header.map(([name, value]) => ({ name, value }))),
    content: {
      plain: 'Hello,\nbuy now\n',
      html: 'Click here',
      attachments: [
        { name: 'invoice.PDF.exe', type: 'application/octet-stream' },
        { name: '', type: 'image/png' },
      ],
    },
    ...changes,
  };
}

function run(rules: readonly unknown[], changes: Partial<RuleFacts> = {}) {
  return compileRules(rules, { withContent: true }).run(facts(changes));
}

const conditions: readonly [name: string, when: unknown, want: boolean, changes?: Partial<RuleFacts>][] = [
  ['none', undefined, true],
  ['header contains, without case', { header: 'subject', contains: 'free' }, true],
  ['header contains, with case', { header: 'subject', contains: 'free', caseSensitive: true }, false],
  ['header decoded', { header: 'Subject', startsWith: 'grüße' }, true],
  ['header endsWith', { header: 'Subject', endsWith: 'MONEY' }, true],
  ['header equals', { header: 'To', equals: 'CAROL@example.com' }, true],
  ['header equals a part only', { header: 'To', equals: 'carol' }, false],
  ['header matches', { header: 'Subject', matches: 'free\\s+m' }, true],
  ['header matches with case', { header: 'Subject', matches: 'free\\s+m', caseSensitive: true }, false],
  ['any field of the name', { header: 'X-Tag', equals: 'two' }, true],
  ['any of several names', { header: ['X-None', 'X-Tag'], equals: 'two' }, true],
  ['exists', { header: 'X-Tag', exists: true }, true],
  ['exists not', { header: 'X-None', exists: true }, false],
  ['absent', { header: 'X-None', absent: true }, true],
  ['absent not', { header: 'X-Tag', absent: true }, false],
  ['absent field and any test', { header: 'X-None', contains: 'x' }, false],
  ['in', { header: 'X-Tag', in: ['zero', 'TWO'] }, true],
  ['in not', { header: 'X-Tag', in: ['zero', 'tw'] }, false],
  ['address part', { header: 'From', part: 'address', equals: 'bob@example.net' }, true],
  ['domain part', { header: 'From', part: 'domain', in: ['example.org'] }, true],
  ['name part', { header: 'From', part: 'name', equals: 'Alice A.' }, true],
  ['name part is no address', { header: 'From', part: 'name', contains: '@' }, false],
  ['sender', { envelope: 'sender', endsWith: '@example.org' }, true],
  ['null sender', { envelope: 'sender', equals: '' }, true, { sender: '' }],
  ['null sender is none of others', { envelope: 'sender', equals: '' }, false],
  ['one of the recipients', { envelope: 'recipient', startsWith: 'dave@' }, true],
  ['helo', { envelope: 'helo', matches: '^mail\\.' }, true],
  ['ip within', { envelope: 'ip', within: '192.0.2.0/24' }, true],
  ['ip within a list', { envelope: 'ip', within: ['10.0.0.0/8', '192.0.2.7'] }, true],
  ['ip not within', { envelope: 'ip', within: '192.0.2.8/29' }, false],
  ['ip of another kind', { envelope: 'ip', within: '2001:db8::/32' }, false],
  ['IPv6 within', { envelope: 'ip', within: '2001:db8::/32' }, true, { ip: '2001:db8::9' }],
  ['no ip', { envelope: 'ip', exists: true }, false, { ip: '' }],
  ['user', { envelope: 'user', equals: 'u@example.org' }, true, { user: 'u@example.org' }],
  ['authenticated', { authenticated: true }, false],
  ['authenticated now', { authenticated: true }, true, { user: 'u@example.org' }],
  ['not authenticated', { authenticated: false }, true],
  ['trusted', { trusted: true }, true, { trusted: true }],
  ['not trusted', { trusted: true }, false],
  ['all', { all: [{ trusted: false }, { header: 'X-Tag', equals: 'two' }] }, true],
  ['all but one', { all: [{ trusted: true }, { header: 'X-Tag', equals: 'two' }] }, false],
  ['any', { any: [{ trusted: true }, { header: 'X-Tag', equals: 'two' }] }, true],
  ['none of any', { any: [{ trusted: true }, { header: 'X-Tag', equals: 'three' }] }, false],
  ['not', { not: { trusted: true } }, true],
  ['nested', { not: { any: [{ all: [{ trusted: false }] }] } }, false],
  ['plain text, line by line', { text: 'plain', matches: '^buy' }, true],
  ['html text', { text: 'html', contains: 'click' }, true],
  ['html text is not plain text', { text: 'plain', contains: 'click' }, false],
  ['any text', { text: 'any', contains: 'click' }, true],
  ['attachment name', { attachment: 'name', matches: '\\.(exe|scr)$' }, true],
  ['attachment without a name', { attachment: 'name', exists: true }, false, content({ type: 'image/png' })],
  ['attachment type', { attachment: 'type', startsWith: 'image/' }, true],
  ['no attachments', { attachment: 'type', absent: true }, true, content()],
];

function content(...attachments: { name?: string; type: string }[]): Partial<RuleFacts> {
  const named = attachments.map(({ name = '', type }) => ({ name, type }));
  return { content: { plain: '', html: '', attachments: named } };
}

for (const [name, when, want, changes] of conditions) {
  test(`condition: ${name}`, () => {
    const { matched } = run([rule(when, { stop: true })], changes);
    assert.deepEqual(matched, want ? ['rule 1'] : []);
  });
}

const names = (outcome: ReturnType<typeof run>) => outcome.edits.map((edit) => ({ ...edit }));
const actions: readonly [name: string, rules: readonly unknown[], edits: readonly object[]][] = [
  [
    'add',
    [rule(undefined, { add: 'X-New', value: 'v' })],
    [{ type: 'addHeader', name: 'X-New', value: 'v' }],
  ],
  [
    'insert',
    [rule(undefined, { insert: 'X-New', value: 'v' })],
    [{ type: 'insertHeader', index: 0, name: 'X-New', value: 'v' }],
  ],
  ['set a new field', [rule(undefined, { set: 'X-New', value: 'v' })], [change('X-New', 'v')]],
  ['set the only field', [rule(undefined, { set: 'To', value: 'v' })], [change('To', 'v')]],
  [
    'set one of several',
    [rule(undefined, { set: 'x-tag', value: 'v' })],
    [remove('x-tag', 3), remove('x-tag', 2), change('x-tag', 'v')],
  ],
  ['delete', [rule(undefined, { delete: 'X-Tag' })], [remove('X-Tag', 'all')]],
  ['delete nothing', [rule(undefined, { delete: 'X-None' })], []],
  [
    'delete those that pass',
    [rule(undefined, { delete: 'X-Tag', startsWith: 'one' })],
    [remove('X-Tag', 3), remove('X-Tag', 1)],
  ],
  [
    'rename',
    [rule(undefined, { rename: 'To', to: 'X-To' })],
    [remove('To', 'all'), { type: 'addHeader', name: 'X-To', value: 'carol@example.com' }],
  ],
  [
    'later rules see earlier changes',
    [
      rule(undefined, { add: 'X-New', value: 'v' }),
      rule({ header: 'X-New', equals: 'v' }, { add: 'X-Seen', value: 'yes' }, { delete: 'X-New' }),
      rule({ header: 'X-New', exists: true }, { add: 'X-Wrong', value: 'no' }),
    ],
    [
      { type: 'addHeader', name: 'X-New', value: 'v' },
      { type: 'addHeader', name: 'X-Seen', value: 'yes' },
      remove('X-New', 'all'),
    ],
  ],
  [
    'numbers stay right after an insertion',
    [rule(undefined, { insert: 'X-Tag', value: 'zero' }, { delete: 'X-Tag', equals: 'two' })],
    [{ type: 'insertHeader', index: 0, name: 'X-Tag', value: 'zero' }, remove('X-Tag', 3)],
  ],
  [
    'stop',
    [
      rule(undefined, { stop: true }, { add: 'X-A', value: 'v' }),
      rule(undefined, { add: 'X-B', value: 'v' }),
    ],
    [{ type: 'addHeader', name: 'X-A', value: 'v' }],
  ],
];

function change(name: string, value: string) {
  return { type: 'changeHeader', name, nth: 1, value };
}
function remove(name: string, nth: number | 'all') {
  return { type: 'deleteHeader', name, nth };
}

for (const [name, rules, edits] of actions) {
  test(`action: ${name}`, () => assert.deepEqual(names(run(rules)), edits));
}

const decisions: readonly [name: string, action: unknown, want: object][] = [
  ['reject', { reject: 'no' }, { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' }],
  [
    'reject with code and status',
    { reject: 'no', code: 554, status: '5.6.0' },
    { action: 'reject', code: 554, enhanced: '5.6.0', text: 'no' },
  ],
  ['tempfail', { tempfail: 'later' }, { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'later' }],
  [
    'the class digit is the code’s',
    { tempfail: 'later', code: 452, status: '5.3.1' },
    { action: 'tempfail', code: 452, enhanced: '4.3.1', text: 'later' },
  ],
  [
    'replies are US-ASCII',
    { reject: 'nö {id}' },
    { action: 'reject', code: 550, enhanced: '5.7.1', text: 'n? tx1' },
  ],
  ['discard', { discard: 'from {sender}' }, { action: 'discard', reason: 'from alice@example.org' }],
  ['quarantine', { quarantine: 'odd' }, { action: 'quarantine', reason: 'odd' }],
];
for (const [name, action, want] of decisions) {
  test(`decision: ${name}`, () => assert.deepEqual(run([rule(undefined, action)]).decision, want));
}

test('a refusal ends the rules and leaves the header alone', () => {
  const outcome = run([
    rule(undefined, { add: 'X-A', value: 'v' }, { score: 1 }, { reject: 'no' }, { discard: 'never' }),
    rule(undefined, { discard: 'never' }),
  ]);
  assert.equal(outcome.decision?.action, 'reject');
  assert.deepEqual(outcome.edits, []);
  assert.equal(outcome.symbols.length, 1);
});

test('a quarantine lets later rules refuse, and is not replaced by another', () => {
  const held = [rule(undefined, { quarantine: 'first' }), rule(undefined, { quarantine: 'second' })];
  assert.deepEqual(run(held).decision, { action: 'quarantine', reason: 'first' });
  assert.equal(run([...held, rule(undefined, { reject: 'no' })]).decision?.action, 'reject');
});

test('scores count under their symbol, or under the name of the rule', () => {
  const named = { ...rule(undefined, { score: 1.5 }), name: 'Free money!' };
  const outcome = run([named, rule(undefined, { score: -2, symbol: 'HAM' })]);
  assert.deepEqual(outcome.symbols, [
    { name: 'RULE_FREE_MONEY', score: 1.5 },
    { name: 'HAM', score: -2 },
  ]);
  assert.deepEqual(outcome.matched, ['Free money!', 'rule 2']);
});

const templates: readonly [name: string, value: string, want: string, changes?: Partial<RuleFacts>][] = [
  ['plain', 'text', 'text'],
  [
    'sender, helo, ip, id',
    '{sender} {helo} [{ip}] {id}',
    'alice@example.org mail.example.org [192.0.2.7] tx1',
  ],
  ['null sender', '<{sender}>', '<>', { sender: '' }],
  ['one recipient', '{recipient}', 'carol@example.com', { recipients: ['carol@example.com'] }],
  ['several recipients are not told', 'for <{recipient}>', 'for <>'],
  ['user', '{user}', 'u@example.org', { user: 'u@example.org' }],
  ['header', '[x] {header:subject}', '[x] =?utf-8?Q?Gr=C3=BC=C3=9Fe?= FREE money'],
  ['absent header', 'a{header:X-None}b', 'ab'],
  ['result', '{result:spf.result}', 'pass'],
  ['deep result', '{result:spf.mail-from.domain}', 'example.org'],
  ['result of a list', '{result:other.1}', 'two'],
  ['result that is no leaf', 'a{result:spf}b', 'ab'],
  ['result that is not there', 'a{result:spf.none.at.all}b{result:nobody}c', 'abc'],
  ['result of the prototype', 'a{result:spf.constructor.name}b', 'ab'],
  ['braces', '{{{id}}}', '{tx1}'],
  ['line ends', '{helo}', 'evil X-Injected: yes', { helo: 'evil\r\nX-Injected: yes' }],
  ['controls', '{helo}', 'a b c', { helo: 'a\0b\u2028c' }],
  ['long', '{helo}', 'h'.repeat(ruleLimits.substitutionCharsMax), { helo: 'h'.repeat(5000) }],
];
for (const [name, value, want, changes] of templates) {
  test(`placeholder: ${name}`, () => {
    const [edit] = run([rule(undefined, { add: 'X-Value', value })], changes).edits;
    assert.equal(edit?.type === 'addHeader' && edit.value, want);
  });
}

const deep = Array.from({ length: 30 }).reduce<unknown>((inner) => ({ not: inner }), { trusted: true });
const mistakes: readonly [name: string, rule: unknown, want: RegExp, schemaCatches?: boolean][] = [
  [
    'unknown key of the rule',
    { when: { trusted: true }, action: 'x' },
    /rule 1: unknown key "action"; known are name, when, then/,
  ],
  ['no actions', { when: { trusted: true } }, /rule 1: it has no "then"/],
  [
    'unknown key of a condition',
    rule({ header: 'X', contain: 'x' }, { stop: true }),
    /rule 1: when: unknown key "contain"/,
  ],
  [
    'unknown key deep inside',
    rule({ not: { not: { not: { heder: 'X' } } } }, { stop: true }),
    /not: not: not: unknown key/,
    false,
  ],
  ['no subject', rule({ contains: 'x' }, { stop: true }), /expected one of all, any, not, header/, false],
  [
    'two subjects',
    rule({ header: 'X', trusted: true }, { stop: true }),
    /there are header and trusted/,
    false,
  ],
  ['no test', rule({ header: 'X' }, { stop: true }), /expected one of matches.*none is there/, false],
  [
    'two tests',
    rule({ header: 'X', contains: 'a', equals: 'b' }, { stop: true }),
    /there are contains and equals/,
    false,
  ],
  [
    'test beside a joiner',
    rule({ all: [{ trusted: true }], equals: 'b' }, { stop: true }),
    /does not go together/,
    false,
  ],
  [
    'part beside an envelope',
    rule({ envelope: 'ip', part: 'name', equals: 'b' }, { stop: true }),
    /does not go together/,
    false,
  ],
  ['empty joiner', rule({ any: [] }, { stop: true }), /none is there/],
  ['bad header name', rule({ header: 'X Y', exists: true }, { stop: true }), /no header field name/],
  ['bad part', rule({ header: 'X', part: 'host', exists: true }, { stop: true }), /none of value, address/],
  ['bad envelope part', rule({ envelope: 'from', exists: true }, { stop: true }), /none of sender/],
  ['exists false', rule({ header: 'X', exists: false }, { stop: true }), /can be true only/],
  ['bad pattern', rule({ header: 'X', matches: '(a' }, { stop: true }), /never closed/, false],
  ['backreference', rule({ header: 'X', matches: '(a)\\1' }, { stop: true }), /backreference/, false],
  ['bad network', rule({ envelope: 'ip', within: '192.0.2.0/33' }, { stop: true }), /no network/, false],
  [
    'network without length',
    rule({ envelope: 'ip', within: '192.0.2.0/' }, { stop: true }),
    /no network/,
    false,
  ],
  ['empty text to contain', rule({ header: 'X', contains: '' }, { stop: true }), /not empty/],
  ['nested too deeply', rule(deep, { stop: true }), /nested too deeply/, false],
  ['unknown action', rule(undefined, { addd: 'X', value: 'v' }), /unknown key "addd"/],
  ['two actions in one', rule(undefined, { add: 'X', set: 'X', value: 'v' }), /there are add and set/, false],
  ['no value', rule(undefined, { add: 'X' }), /value: expected a text/, false],
  [
    'a key of another action',
    rule(undefined, { stop: true, value: 'v' }),
    /"value" does not go together with "stop"/,
    false,
  ],
  ['bad name to add', rule(undefined, { add: 'X:', value: 'v' }), /no header field name/],
  ['code of another class', rule(undefined, { reject: 'no', code: 450 }), /450 is not 500 to 559/, false],
  ['bad status', rule(undefined, { reject: 'no', status: '5.7' }), /no status/],
  ['score is no number', rule(undefined, { score: '5' }), /expected a number/],
  ['bad symbol', rule(undefined, { score: 1, symbol: 'A B' }), /no symbol/],
  [
    'unknown placeholder',
    rule(undefined, { add: 'X', value: '{from}' }),
    /\{from\} means nothing; known are \{id\}/,
    false,
  ],
  ['lone brace', rule(undefined, { add: 'X', value: 'a { b' }), /means nothing/, false],
  ['line end in a value', rule(undefined, { add: 'X', value: 'a\r\nY: b' }), /control character/, false],
  [
    'prototype as a placeholder',
    rule(undefined, { add: 'X', value: '{constructor}' }),
    /means nothing/,
    false,
  ],
  ['not an object', 'reject everything', /expected an object/],
];
const schema = new Ajv({ strict: false, useDefaults: true }).compile(rulesSchema(true));
for (const [name, wrong, want, schemaCatches = true] of mistakes) {
  test(`mistake: ${name}`, () => {
    assert.throws(
      () => compileRules([wrong], { withContent: true }),
      (error: unknown) => error instanceof RuleError && !error.temporary && want.test(error.message),
    );
    assert.equal(schema([wrong]), !schemaCatches);
  });
}

test('the place of a mistake names the rule', () => {
  const wrong = { ...rule({ header: 'X' }, { stop: true }), name: 'third' };
  assert.throws(
    () => compileRules([rule(undefined, { stop: true }), wrong], { withContent: false }),
    /rule 2 \(third\): when: expected one of matches/,
  );
});

test('text and attachments are asked about only where there is content', () => {
  const asks = rule({ any: [{ text: 'any', contains: 'x' }] }, { stop: true });
  assert.throws(() => compileRules([asks], { withContent: false }), /unknown key "text"/);
  assert.equal(compileRules([asks], { withContent: true }).needsContent, true);
  assert.equal(
    compileRules([rule({ trusted: true }, { stop: true })], { withContent: true }).needsContent,
    false,
  );
});

test('the schema takes every condition and action of these tables', () => {
  for (const [, when] of conditions) assert.ok(schema([rule(when, { stop: true })]), JSON.stringify(when));
  for (const [, rules] of actions) assert.ok(schema(structuredClone(rules)), JSON.stringify(schema.errors));
  for (const [, action] of decisions) assert.ok(schema([rule(undefined, action)]), JSON.stringify(action));
});

test('defaults that a schema fills in do not change what a rule means', () => {
  const rules = [{ when: { header: 'X-Tag', equals: 'two' }, ...rule(undefined, { stop: true }) }];
  assert.ok(schema(rules));
  assert.deepEqual(run(rules).matched, ['rule 1']);
});

test('too many rules are refused', () => {
  const many = Array.from({ length: ruleLimits.rulesMax + 1 }, () => rule(undefined, { stop: true }));
  assert.throws(() => compileRules(many, { withContent: false }), /more than/);
});

test('thousands of fields of one name are changed by few edits, in linear time', () => {
  const fields = new HeaderFields(Array.from({ length: 50_000 }, () => ({ name: 'X-Tag', value: 'v' })));
  const begin = performance.now();
  const { edits } = run([rule(undefined, { set: 'X-Tag', value: 'w' })], { fields });
  assert.deepEqual(edits, [remove('X-Tag', 'all'), { type: 'addHeader', name: 'X-Tag', value: 'w' }]);
  assert.ok(performance.now() - begin < 5000);
});
