/** Base subjects and threads as RFC 5256 has them, and previews. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHead, readStructure, readText, type SortFacts } from '../../src/mailbox/index/read-facts.ts';
import { baseSubject } from '../../src/mailbox/search/base-subject.ts';
import { threadMessages } from '../../src/mailbox/search/thread.ts';
import type { ThreadNode } from '../../src/mailbox/search-query.ts';
import { emptyColumns, Snapshot } from '../../src/mailbox/snapshot.ts';

const subjects: [string, string, boolean][] = [
  ['hello', 'hello', false],
  ['Re: hello', 'hello', true],
  ['RE:  re : Fwd:   hello', 'hello', true],
  ['Re[2]: hello', 'hello', true],
  ['[list] Re: [list] hello', 'hello', true],
  ['hello (fwd) (FWD)', 'hello', true],
  ['[fwd: Re: hello]', 'hello', true],
  ['[only a blob]', '[only a blob]', false],
  ['Re: [only a blob]', '[only a blob]', true],
  ['a\t b\n c', 'a b c', false],
  ['Re:', '', true],
  ['', '', false],
  ['regarding', 'regarding', false],
];

for (const [subject, base, isReplyOrForward] of subjects) {
  test(`base subject of ${JSON.stringify(subject)}`, () => {
    assert.deepEqual(baseSubject(subject), { base, isReplyOrForward });
  });
}

test('a base subject of a million characters takes no time', () => {
  const began = performance.now();
  baseSubject(`${'re: '.repeat(200_000)}${'[x] '.repeat(200_000)}${' (fwd)'.repeat(200_000)}`);
  assert.ok(performance.now() - began < 10_000);
});

const nothing: SortFacts = {
  ...{ sentDay: undefined, from: '', to: '', cc: '', displayFrom: '', displayTo: '' },
  ...{ sentAt: undefined, subject: '', isReplyOrForward: false, messageId: '', references: [] },
};

/** Message n has UID n and was sent at second n. */
function thread(
  messages: readonly Partial<SortFacts>[],
  algorithm: 'references' | 'orderedSubject' | 'refs',
): ThreadNode[] {
  const columns = emptyColumns(messages.length);
  messages.forEach((_, at) => {
    columns.uid[at] = at + 1;
    columns.key[at] = at;
  });
  const base = { version: 1, uidValidity: 1, uidNext: 99, highestModseq: 1, firstRecentUid: 1, keywords: [] };
  const snapshot = new Snapshot({ ...base, count: messages.length, columns });
  return threadMessages(snapshot.uids, algorithm, snapshot, {
    sort: (key) => ({ ...nothing, sentAt: (key + 1) * 1000, ...messages[key] }),
    ids: () => undefined,
    header: () => undefined,
    text: () => undefined,
  });
}

/** `(1 2 (3)(4))`. */
function show(nodes: readonly ThreadNode[]): string {
  return nodes.map(({ uid, children }) => `(${uid ?? ''}${show(children)})`).join('');
}

const threads: [string, Partial<SortFacts>[], string][] = [
  [
    'answers below what they answer',
    [{ messageId: '<1>' }, { messageId: '<2>', references: ['<1>'] }, { references: ['<1>', '<2>'] }],
    '(1(2(3)))',
  ],
  [
    'two answers to a message that is not there',
    [{ references: ['<0>'] }, { references: ['<0>'] }],
    '((1)(2))',
  ],
  ['one answer to a message that is not there', [{ references: ['<0>'] }], '(1)'],
  [
    'a loop of references',
    [
      { messageId: '<1>', references: ['<2>'] },
      { messageId: '<2>', references: ['<1>'] },
    ],
    '(2(1))',
  ],
  ['a message that refers to itself', [{ messageId: '<1>', references: ['<1>'] }], '(1)'],
  ['two of one id', [{ messageId: '<1>' }, { messageId: '<1>' }, { references: ['<1>'] }], '(1(3))(2)'],
  [
    'the same subject',
    [{ subject: 'x' }, { subject: 'x', isReplyOrForward: true }, { subject: 'y' }],
    '(1(2))(3)',
  ],
  ['the same subject, neither an answer', [{ subject: 'x' }, { subject: 'x' }], '((1)(2))'],
  ['sorted by date', [{ sentAt: 9000 }, { sentAt: 2000 }], '(2)(1)'],
];

for (const [name, messages, want] of threads) {
  test(`REFERENCES: ${name}`, () => {
    assert.equal(show(thread(messages, 'references')), want);
  });
}

test('ORDEREDSUBJECT and REFS', () => {
  const messages = [
    { subject: 'b', sentAt: 5000 },
    { subject: 'a' },
    { subject: 'b' },
    { subject: 'a', messageId: '<4>' },
  ];
  assert.equal(show(thread(messages, 'orderedSubject')), '(2(4))(3(1))');
  const late = [{ messageId: '<1>' }, {}, { references: ['<1>'] }];
  assert.equal(show(thread(late, 'refs')), '(2)(1(3))');
});

test('a thread of 5,000 answers neither overflows nor takes long', () => {
  const messages = Array.from({ length: 5000 }, (_, at) => ({
    messageId: `<${at}>`,
    references: at === 0 ? [] : [`<${at - 1}>`],
  }));
  const began = performance.now();
  let [node] = thread(messages, 'references');
  let depth = 0;
  for (; node; node = node.children[0]) depth += 1;
  assert.equal(depth, 5000);
  assert.ok(performance.now() - began < 20_000);
});

const previews: [string, string, string][] = [
  ['plain text', 'Subject: x\n\n  Hello,\n\n  you  there\n', 'Hello, you there'],
  [
    'HTML',
    'Content-Type: text/html\n\n<style>p { }</style><p>One &amp; <b>two</b></p><!-- no -->&#228;',
    'One & two ä',
  ],
  [
    'the plain one of two',
    'Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>no</p>\n--b\n\nyes\n--b--\n',
    'yes',
  ],
  [
    'no attachment',
    'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment\n\nno\n--b--\n',
    '',
  ],
  ['200 characters at most', `\n${'é'.repeat(300)}`, 'é'.repeat(200)],
];

for (const [name, message, want] of previews) {
  test(`preview: ${name}`, () => {
    assert.equal(readText(Buffer.from(message)).preview, want);
  });
}

test('facts of octets that are no message', () => {
  for (const octets of [
    '',
    '\0\0\0',
    '\xff'.repeat(1000),
    'a'.repeat(100_000),
    '\n\n\n',
    'Content-Type: multipart/mixed; boundary=\n\n--\n',
  ]) {
    const message = Buffer.from(octets, 'latin1');
    const facts = { ...readHead(message), ...readStructure(message), ...readText(message) };
    assert.match(facts.envelope, /^\(.*\)$/s);
    assert.match(facts.bodyStructure, /^\(.*\)$/s);
    assert.doesNotMatch(facts.envelope + facts.bodyStructure, /\0/);
    assert.match(facts.emailId, /^M[0-9a-f]{32}$/);
  }
});
