/** Tokens: words of every script, hosts of links, the make of HTML; bounded. And how clues are combined. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bayesLimits } from '../../../core/base/limits/filters.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { classify, logChiSquared } from '../../../rules/bayes/classify.ts';
import { tokensOf } from '../../../rules/bayes/tokens.ts';
import { memorySource } from '../../kit/message-source.ts';

const tokens = async (text: string) => {
  const octets = Buffer.from(text.replaceAll('\n', '\r\n'));
  return (await tokensOf(openMessage(memorySource(octets), []))) ?? [];
};
const utf8 = 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n';

const cases: readonly [name: string, message: string, want: readonly string[], absent?: readonly string[]][] =
  [
    ['words in one case, and as they are written', `${utf8}Buy NOW, FREE.`, ['buy', 'now', 'free', 'FREE']],
    ['letters beyond ASCII', `${utf8}Größe ПРИВЕТ`, ['größe', 'привет', 'ПРИВЕТ']],
    ['wide letters are the plain ones', `${utf8}ｃａｓｉｎｏ`, ['casino']],
    ['scripts without spaces in pairs', `${utf8}中奖通知`, ['中奖', '奖通', '通知']],
    ['pairs of words', `${utf8}Buy free, money now`, ['buy free', 'free money', 'money now']],
    ['no pair across a script without spaces', `${utf8}buy 中奖 now`, ['中奖', 'buy'], ['buy now', 'buy 中']],
    [
      'what wrote the message',
      'Date: Sat, 21 Nov 2026 10:00:00 +0900\nMessage-ID: <20261121.AB7c@Mail.Test>\nX-Priority: 1 (Highest)\n\nx',
      ['D:+0900', 'I:9.A9a', 'I:@mail.test', 'N:x-priority', 'x-priority:highest'],
    ],
    ['an encoded subject', 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nx', ['S:grüße']],
    ['a word too long for one', `${utf8}${'a'.repeat(95)}`, ['long:a:9']],
    ['hosts of links', `${utf8}see http://www.shop.test:80/x`, ['U:www.shop.test', 'U:shop.test']],
    ['a link of numbers', `${utf8}http://192.0.2.1/`, ['U:numeric']],
    [
      'HTML: text, tags and attributes',
      'Content-Type: text/html\n\n<font color="#FF0000">Cheap</font> <a href="http://a.test/">x</a>',
      ['cheap', 'H:font', 'H:color=#ff0000', 'U:a.test'],
      ['font'],
    ],
    [
      'lists, the way it came and what others said of it are not looked at',
      'List-Id: <secret.test>\nX-Spam-Report: secret\nDKIM-Signature: b=secret\nReceived: from secret\n\nx',
      [],
      ['secret'],
    ],
  ];
for (const [name, message, want, absent = []] of cases) {
  test(`tokens: ${name}`, async () => {
    const found = await tokens(message);
    for (const token of want) assert.ok(found.includes(token), `${token} is not in ${found.join(' ')}`);
    for (const token of absent)
      assert.ok(!found.some((each) => each.includes(token) && !each.startsWith('H:')), token);
  });
}

test('tokens: words in a character set that nobody names are known to be unreadable, one accent does not make them so', async () => {
  const big5 = Buffer.from('b0d3b7e7 a57cadb1 41a6f2', 'hex');
  const octets = Buffer.concat([
    Buffer.from('Subject: x\r\n\r\nbuy '),
    big5,
    Buffer.from(' now at caf\xe9 nero', 'latin1'),
  ]);
  const found = (await tokensOf(openMessage(memorySource(octets), []))) ?? [];
  for (const token of ['buy', 'now', 'unreadable', 'nero', 'caf\uFFFD'])
    assert.ok(found.includes(token), token);
  assert.ok(!found.includes('buy now'));
  assert.equal(found.filter((token) => token.includes('\uFFFD')).length, 3, found.join(' | '));
});

test('tokens: of fields without number some are looked at', async () => {
  const fields = Array.from({ length: 500 }, (_, n) => `X-Field-${n}: word${n}\n`).join('');
  const found = await tokens(`Subject: casino\n${fields}\nbody`);
  assert.ok(found.includes('S:casino') && found.includes('body') && found.includes('N:x-field-0'));
  assert.equal(found.filter((token) => token.startsWith('N:')).length, bayesLimits.otherFields);
});

test('tokens: each once, and not more than the limit', async () => {
  assert.deepEqual(
    (await tokens(`${utf8}same same same`)).filter((token) => token === 'same'),
    ['same'],
  );
  const many = Array.from({ length: 5000 }, (_, n) => `word${n}`).join(' \n');
  assert.equal((await tokens(`${utf8}${many}`)).length, bayesLimits.tokensMax);
});

test('tokens: a message that cannot be read has none', async () => {
  const message = openMessage(memorySource('Subject: x\r\n\r\nlong'), []);
  const unreadable = {
    ...message,
    headers: message.headers,
    parsed: async () => ({ tooLarge: true, reason: 'size' }) as const,
  };
  assert.equal(
    await tokensOf({ ...unreadable, body: () => message.body(), raw: () => message.raw() }),
    undefined,
  );
});

test('chi-squared: values of the tables', () => {
  for (const [value, degrees, want] of [
    [0, 2, 1],
    [5.991, 2, 0.05],
    [18.307, 10, 0.05],
    [124.342, 100, 0.05],
    [1e6, 300, 0],
  ] as const) {
    assert.ok(Math.abs(Math.exp(logChiSquared(value, degrees)) - want) < 1e-4, `${value} ${degrees}`);
  }
  assert.ok(Number.isFinite(logChiSquared(1e6, 300)));
});

test('classify: clues that agree are surer together, and what many messages showed is surer than what one did', () => {
  const taught = { spam: 100, ham: 100 };
  const of = (...counts: [spam: number, ham: number][]) =>
    classify(taught, new Map(counts.map(([spam, ham], index) => [`t${index}`, { spam, ham }]))).probability;
  assert.ok(of([3, 0]) > 0.9);
  assert.ok(of([3, 0], [3, 0], [3, 0]) > of([3, 0]));
  assert.ok(of([50, 0]) > of([1, 0]));
  assert.ok(of([3, 0], [3, 0], [0, 3]) > 0.5 && of([3, 0], [3, 0], [0, 3]) < of([3, 0], [3, 0]));
  assert.ok(of([0, 3], [0, 3]) < 0.02);
  // A token of both kinds alike is no clue, and hundreds of clues end neither above 1 nor as no number.
  assert.equal(of([50, 50]), 0.5);
  const sure = of(...Array.from({ length: 600 }, (): [number, number] => [100, 0]));
  assert.ok(sure > 0.999 && sure <= 1, String(sure));
});

test('classify: ten times as much ham as spam was taught, and a word as frequent in both is no clue', () => {
  const { probability } = classify({ spam: 10, ham: 100 }, new Map([['hello', { spam: 5, ham: 50 }]]));
  assert.equal(probability, 0.5);
});

test('classify: where little spam was taught and much ham, a word seen once in ham says nothing, one seen once in spam much', () => {
  const of = (spam: number, ham: number) =>
    classify({ spam: 40, ham: 2000 }, new Map([['word', { spam, ham }]])).clues[0]?.probability;
  assert.equal(of(0, 1), undefined);
  assert.ok(of(0, 20)! < 0.1, String(of(0, 20)));
  assert.ok(of(1, 0)! > 0.9, String(of(1, 0)));
});

test('classify: nothing known is undecided, and equal clues for both sides too', () => {
  assert.equal(classify({ spam: 9, ham: 9 }, new Map()).probability, 0.5);
  const both = new Map([
    ['a', { spam: 9, ham: 0 }],
    ['b', { spam: 0, ham: 9 }],
  ]);
  assert.ok(Math.abs(classify({ spam: 9, ham: 9 }, both).probability - 0.5) < 0.01);
});
