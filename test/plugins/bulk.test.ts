/** bulk: which header fields make a list, mass mail, automatic mail. RFC 2919, RFC 2369, RFC 3834. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import bulk from '../../plugins/bulk/index.ts';

const plugin = testPlugin(bulk, { options: { listScore: 0.25, bulkScore: 0.5 } });
const answerTo = async (fields: string) =>
  (await plugin.message({ message: `From: a@example.org\n${fields}\nhello\n` })).answer;

const nothing = { bulk: false, list: false, unsubscribe: false, automatic: false };
const cases: readonly [fields: string, result: object | undefined][] = [
  ['Subject: hello\n', undefined],
  ['Auto-Submitted: no\n', undefined],
  ['Precedence: first-class\n', undefined],
  ['Precedence: Bulk\n', { ...nothing, bulk: true }],
  ['List-Unsubscribe: <mailto:off@example.org>\n', { ...nothing, bulk: true, unsubscribe: true }],
  [
    'List-Unsubscribe: <mailto:off@example.org>, <https://example.org/off>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n',
    { ...nothing, bulk: true, unsubscribe: true, oneClick: true },
  ],
  [
    'List-Unsubscribe: <http://example.org/off>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n',
    { ...nothing, bulk: true, unsubscribe: true },
  ],
  [
    'List-Unsubscribe: <https://example.org/off>\nList-Unsubscribe-Post: yes\n',
    { ...nothing, bulk: true, unsubscribe: true },
  ],
  ['List-Post: NO\n', { ...nothing, bulk: true, list: true }],
  ['List-Id: Talk <Talk.example.org>\n', { ...nothing, bulk: true, list: true, listId: 'talk.example.org' }],
  ['List-Id: "a <b>" <c.example.org>\n', { ...nothing, bulk: true, list: true, listId: 'c.example.org' }],
  ['List-Id: bare.example.org\n', { ...nothing, bulk: true, list: true, listId: 'bare.example.org' }],
  ['Auto-Submitted: auto-replied; owner-email="a@b"\n', { ...nothing, automatic: true }],
];
for (const [fields, result] of cases) {
  test(JSON.stringify(fields), async () => {
    assert.deepEqual((await answerTo(fields)).result, result);
  });
}

test('a list and mass mail have points of their own; automatic mail has none', async () => {
  assert.deepEqual((await answerTo('List-Id: <a.b>\nPrecedence: list\n')).symbols, [
    { name: 'BULK_LIST', score: 0.25 },
  ]);
  assert.deepEqual((await answerTo('Precedence: junk\n')).symbols, [{ name: 'BULK_MAIL', score: 0.5 }]);
  assert.deepEqual((await answerTo('Auto-Submitted: auto-generated\n')).symbols, []);
});

test('an identifier without end is cut', async () => {
  const { result } = await answerTo(`List-Id: <${'a'.repeat(900)}>\n`);
  assert.equal((result as { listId: string }).listId.length, 255);
});
