/** content-rules: decoded text and attachments as rules see them, its limits, and what it answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, type TestSetup, testPlugin } from 'mailfilter/testing';
import contentRules from '../../plugins/content-rules/index.ts';
import { type JsonRule, rule } from '../kit/json-rule.ts';

function run(
  rules: readonly JsonRule[],
  message: string,
  options: object = {},
  setup: TestSetup = {},
  input: TestInput = {},
) {
  const all = structuredClone({ rules, ...options }) as unknown as TestSetup['options'];
  return testPlugin(contentRules, { ...setup, options: all }).message({ message, ...input });
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const mixed = `From: a@example.org
Subject: files
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe, buy ch=
eap pills
--c
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

${base64('<html><head><style>hidden words</style></head><p>Click <b>he</b>re: vi<!-- x -->agra</p></html>')}
--c--
--b
Content-Type: application/octet-stream; name="=?utf-8?Q?Rechnung=2EPDF=2Eexe?="
Content-Disposition: attachment; filename="=?utf-8?Q?Rechnung=2EPDF=2Eexe?= . "
Content-Transfer-Encoding: base64

AAAA
--b
Content-Type: Application/X-Macro
Content-Disposition: attachment; filename=sheet.xls

x
--b--
`;

const conditions: readonly [name: string, when: object, want: boolean, message?: string][] = [
  ['quoted-printable in Latin-1', { text: 'plain', contains: 'grüße, buy cheap pills' }, true],
  ['encoded text is not looked at', { text: 'any', contains: '=FC=DF' }, false],
  ['HTML in base64, words whole', { text: 'html', matches: '\\bviagra\\b' }, true],
  ['HTML beside plain text', { text: 'html', startsWith: 'click here' }, true],
  ['hidden text is not seen', { text: 'any', contains: 'hidden words' }, false],
  ['any text', { text: 'any', contains: 'cheap' }, true],
  ['plain is not HTML', { text: 'plain', contains: 'viagra' }, false],
  ['attachment name, decoded, its end trimmed', { attachment: 'name', matches: '\\.exe$' }, true],
  ['attachment name that is not there', { attachment: 'name', endsWith: '.scr' }, false],
  ['attachment type', { attachment: 'type', equals: 'application/x-macro' }, true],
  [
    'header beside content',
    {
      all: [
        { header: 'Subject', equals: 'files' },
        { attachment: 'name', exists: true },
      ],
    },
    true,
  ],
  ['no attachments', { attachment: 'type', absent: true }, true, 'Subject: x\n\nplain\n'],
  ['a message without a body', { text: 'any', absent: true }, true, 'Subject: x\n\n'],
  ['lines', { text: 'plain', matches: '^second$' }, true, 'Subject: x\n\nfirst\nsecond\nthird\n'],
];
for (const [name, when, want, message = mixed] of conditions) {
  test(`content-rules: ${name}`, async () => {
    const { answer } = await run([rule(when, { stop: true })], message);
    assert.deepEqual(answer.result, want ? { matched: ['rule 1'] } : undefined);
  });
}

const verdicts: readonly [name: string, action: object, want: object][] = [
  ['reject', { reject: 'no' }, { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' }],
  ['tempfail', { tempfail: 'later' }, { action: 'tempfail', code: 451, enhanced: '4.7.1', text: 'later' }],
  ['discard', { discard: 'why' }, { action: 'discard', reason: 'why' }],
  ['quarantine', { quarantine: 'why' }, { action: 'quarantine', reason: 'why' }],
];
for (const [name, action, want] of verdicts) {
  test(`content-rules: ${name}`, async () => {
    const { verdict } = await run([rule({ text: 'any', contains: 'pills' }, action)], mixed);
    assert.deepEqual(verdict, want);
  });
}

test('content-rules: score, symbol and field', async () => {
  const { answer, message } = await run(
    [
      {
        name: 'pills',
        ...rule(
          { text: 'any', contains: 'pills' },
          { score: 3, symbol: 'PILLS' },
          { add: 'X-Pills', value: 'yes {ip}' },
        ),
      },
    ],
    'Subject: x\n\npills\n',
  );
  assert.equal(answer.score, 3);
  assert.deepEqual(answer.symbols, [{ name: 'PILLS', score: 3 }]);
  assert.equal(message, 'Subject: x\nX-Pills: yes 192.0.2.1\n\npills\n');
});

test('content-rules: text beyond textBytesMax is not looked at, and that is told', async () => {
  const body = `${'ä'.repeat(600)}needle\n`;
  const rules = [rule({ text: 'plain', contains: 'needle' }, { reject: 'no' })];
  const message = `Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n${body}`;
  const short = await run(rules, message, { textBytesMax: 1024 });
  assert.equal(short.verdict.action, 'continue');
  assert.deepEqual(short.answer.result, { matched: [], truncated: true });
  assert.deepEqual(short.log, [{ event: 'text-cut', facts: { bytes: 1024 } }]);
  assert.equal((await run(rules, message, { textBytesMax: 1206 })).verdict.action, 'reject');
});

const tooLarge: readonly [choice: string | undefined, want: object][] = [
  [
    undefined,
    {
      action: 'reject',
      code: 554,
      enhanced: '5.6.0',
      text: 'message is too large or too deeply nested to be checked',
    },
  ],
  [
    'tempfail',
    {
      action: 'tempfail',
      code: 451,
      enhanced: '4.6.0',
      text: 'message is too large or too deeply nested to be checked',
    },
  ],
  ['quarantine', { action: 'quarantine', reason: 'message is too large or too deeply nested to be checked' }],
  ['continue', { action: 'continue' }],
];
for (const [choice, want] of tooLarge) {
  test(`content-rules: too large, ${choice ?? 'by default'}`, async () => {
    const { verdict, answer } = await run(
      [
        rule({ text: 'any', contains: 'pills' }, { discard: 'never seen' }),
        rule({ header: 'Subject', equals: 'files' }, { score: 1 }),
      ],
      mixed,
      choice === undefined ? {} : { tooLarge: choice },
      { limits: { parsedMessageBytesMax: 100 } },
    );
    assert.deepEqual(verdict, want);
    assert.equal((answer.result as { tooLarge?: boolean }).tooLarge, true);
    assert.equal(answer.score ?? 0, choice === 'continue' ? 1 : 0);
  });
}

test('content-rules: rules on the header alone never parse', async () => {
  const { verdict } = await run(
    [rule({ header: 'Subject', equals: 'files' }, { reject: 'no' })],
    mixed,
    {},
    {
      limits: { parsedMessageBytesMax: 100 },
    },
  );
  assert.deepEqual(verdict, { action: 'reject', code: 550, enhanced: '5.7.1', text: 'no' });
});

test('content-rules: a catastrophic pattern on hostile text takes no time', async () => {
  const begin = process.cpuUsage();
  const { verdict } = await run(
    [rule({ text: 'plain', matches: '(a+)+$' }, { reject: 'no' })],
    `Subject: x\n\n${`${'a'.repeat(900)}!\n`.repeat(60)}`,
  );
  assert.equal(verdict.action, 'continue');
  assert.ok(process.cpuUsage(begin).user < 3_000_000);
});

const mistakes: readonly [name: string, options: object, want: RegExp][] = [
  ['no rules', {}, /"rules" is missing/],
  ['a misspelt key', { rules: [rule({ text: 'any', contain: 'a' }, { stop: true })] }, /"contain"/],
  ['a misspelt part', { rules: [rule({ attachment: 'size', contains: 'a' }, { stop: true })] }, /attachment/],
  [
    'lookahead that may be slow',
    { rules: [rule({ text: 'any', matches: '(?=.*b)a' }, { stop: true })] },
    /lookahead/,
  ],
  ['a limit too small', { rules: [], textBytesMax: 1 }, /textBytesMax/],
  ['an unknown choice', { rules: [], tooLarge: 'ignore' }, /tooLarge/],
];
for (const [name, options, want] of mistakes) {
  test(`content-rules does not load: ${name}`, async () => {
    await assert.rejects(async () => testPlugin(contentRules, { options: options as never }).message(), want);
  });
}
