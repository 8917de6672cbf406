/** Tests of __NAME__, without a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import plugin from './index.ts';

const cases = [
  { name: 'capital letters alone', subject: 'BUY NOW', shouts: true },
  { name: 'an ordinary subject', subject: 'Lunch on Monday?', shouts: false },
  { name: 'a short one', subject: 'OK', shouts: false },
  { name: 'an encoded one', subject: '=?utf-8?Q?=C3=84RGER_=C3=9CBERALL?=', shouts: true },
  { name: 'a script without capital letters', subject: '会議のお知らせです', shouts: false },
];

for (const { name, subject, shouts } of cases) {
  test(name, async () => {
    const answer = await testPlugin(plugin).message({ message: `Subject: ${subject}\n\nHello.\n` });
    assert.equal(answer.answer.score, shouts ? 1.5 : undefined);
    assert.equal(answer.message.includes('X-Shouting: yes'), shouts);
  });
}

test('the score is an option', async () => {
  const tested = testPlugin(plugin, { options: { score: 4 } });
  const answer = await tested.message({ message: 'Subject: BUY NOW\n\n' });
  assert.equal(answer.answer.score, 4);
});
