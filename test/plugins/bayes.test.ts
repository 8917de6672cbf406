/** bayes: what was taught is judged by, for the site and for a user; moves teach; a lesson counts once and is taken back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/bayes/index.ts';
import { learn, lessonId, site, undo } from '../../rules/bayes/memory.ts';

const spamWords = ['casino', 'winner', 'jackpot', 'lottery', 'prize', 'claim'];
const hamWords = ['meeting', 'agenda', 'minutes', 'compiler', 'release', 'review'];
const common = ['hello', 'please', 'thanks'];

const messageOf = (words: readonly string[], subject = 'note') =>
  `From: a@example.org\nSubject: ${subject}\n\n${words.join(' ')}\n`;
const spam = messageOf([...spamWords, ...common]);
const ham = messageOf([...hamWords, ...common]);

/** A plugin whose site was taught `each` messages of both kinds. */
async function taught(each = 5, options: Record<string, string | number> = {}) {
  const tested = testPlugin(plugin, { options: { minimum: 5, ...options } });
  for (let n = 0; n < each; n++) {
    await learn(tested.state, site, 'spam', [...spamWords, ...common, `s${n}`], 365);
    await learn(tested.state, site, 'ham', [...hamWords, ...common, `h${n}`], 365);
  }
  return tested;
}

const symbol = async (tested: Awaited<ReturnType<typeof taught>>, message: string, recipients?: string[]) =>
  (await tested.message({ message, ...(recipients && { recipients }) })).answer.symbols?.[0]?.name;

test('bayes: spam and ham are told apart, and what says nothing is neither', async () => {
  const tested = await taught();
  const judged = await tested.message({ message: spam });
  assert.deepEqual(judged.answer.symbols, [{ name: 'BAYES_999', score: 5.5 }]);
  assert.equal(judged.verdict.action, 'continue');
  assert.deepEqual((await tested.message({ message: ham })).answer.symbols, [
    { name: 'BAYES_00', score: -2 },
  ]);
  assert.equal(await symbol(tested, messageOf(['nothing', 'known'])), 'BAYES_50');
});

test('bayes: nothing is scored before enough of both kinds was taught', async () => {
  const tested = await taught(4);
  const { answer } = await tested.message({ message: spam });
  assert.equal(answer.symbols, undefined);
  assert.deepEqual(answer.result, { scanned: false, reason: 'untaught', spam: 4, ham: 4 });
});

test('bayes: the points are multiplied', async () => {
  const { answer } = await (await taught(5, { factor: 2 })).message({ message: spam });
  assert.equal(answer.symbols?.[0]?.score, 11);
});

const moves: readonly [from: string, to: string, kind: 'ham' | 'spam' | undefined][] = [
  ['INBOX', 'Junk', 'spam'],
  ['INBOX', 'spam', 'spam'],
  ['Junk', 'INBOX', 'ham'],
  ['Junk', 'Trash', undefined],
  ['Junk', 'Spam', undefined],
  ['INBOX', 'Work', undefined],
];
for (const [from, to, kind] of moves) {
  test(`bayes: a move from ${from} to ${to} teaches ${kind ?? 'nothing'}`, async () => {
    const tested = testPlugin(plugin);
    const { log } = await tested.moved({ message: spam, user: 'alice@example.test', from, to });
    assert.deepEqual(
      log.map(({ event, facts }) => [event, facts?.kind, facts?.owner]),
      kind === undefined ? [] : [['learnt', kind, 'alice@example.test']],
    );
  });
}

test('bayes: a user who was taught otherwise than the site is judged for alone', async () => {
  const tested = await taught(5, { userWeight: 20 });
  const user = 'alice@example.test';
  for (let n = 0; n < 20; n++) await learn(tested.state, site, 'spam', [`other${n}`], 365);
  for (let n = 0; n < 3; n++) {
    await tested.moved({
      message: messageOf(spamWords, `draw ${n}00`),
      user,
      from: 'Junk',
      to: 'INBOX',
    });
  }
  assert.match((await symbol(tested, spam, ['Alice+lists@example.test'])) ?? '', /^BAYES_(00|05|20|40)$/);
  assert.match((await symbol(tested, spam, ['bob@example.test'])) ?? '', /^BAYES_9/);
  assert.match((await symbol(tested, spam, [user, 'bob@example.test'])) ?? '', /^BAYES_9/);
});

test('bayes: moves teach the site where the operator lets them', async () => {
  for (const [choice, owners] of [
    ['both', ['alice@example.test', 'site']],
    ['site', ['site']],
    ['none', []],
  ] as const) {
    const tested = testPlugin(plugin, { options: { moves: choice } });
    const { log } = await tested.moved({
      message: spam,
      user: 'alice@example.test',
      from: 'INBOX',
      to: 'Junk',
    });
    assert.deepEqual(
      log.map(({ facts }) => facts?.owner),
      owners,
    );
  }
});

test('bayes: a lesson counts once, changes sides and is taken back without a trace', async () => {
  const { state } = testPlugin(plugin);
  const tokens = ['one', 'two'];
  const id = lessonId(tokens);
  assert.deepEqual(await learn(state, site, 'spam', tokens, 10), { id, learnt: true, corrected: false });
  assert.deepEqual(await learn(state, site, 'spam', tokens, 10), { id, learnt: false, corrected: false });
  assert.equal(state.all['total/site'], 1);
  assert.deepEqual(await learn(state, site, 'ham', tokens, 10), { id, learnt: true, corrected: true });
  assert.equal(state.all['total/site'], 2 ** 26);
  assert.equal(await undo(state, site, id, 10), 'ham');
  assert.deepEqual(state.all, { 'token/site/one': 0, 'token/site/two': 0, 'total/site': 0 });
  assert.equal(await undo(state, site, id, 10), undefined);
});

test('bayes: what was not taught for long is forgotten, the totals stay', async () => {
  let now = 0;
  const { state } = testPlugin(plugin, { clock: { now: () => now, monotonicMs: () => now } });
  await learn(state, site, 'spam', ['old', 'kept'], 10);
  now = 9 * 86_400_000;
  await learn(state, site, 'spam', ['new', 'kept'], 10);
  now = 11 * 86_400_000;
  assert.deepEqual(
    Object.keys(state.all)
      .filter((key) => !key.startsWith('lesson/'))
      .sort(),
    ['token/site/kept', 'token/site/new', 'total/site'],
  );
});

test('bayes: a spamtrap teaches the site, once for a message; other plugins do not', async () => {
  const tested = await taught();
  const teachings: Record<string, { lesson: string }>[] = [
    { spamtrap: { lesson: 'spam' } },
    { spamtrap: { lesson: 'spam' } },
    { other: { lesson: 'ham' } },
  ];
  const fresh = messageOf(['viagra', 'cialis', 'pharmacy', 'discount', 'refill']);
  for (const results of teachings) {
    await tested.message({ message: fresh, results });
  }
  const lessons = Object.values(tested.state.all).filter(
    (value) => (value as { tokens?: string[] }).tokens?.includes('viagra') === true,
  );
  assert.deepEqual(
    lessons.map((lesson) => (lesson as { kind: string }).kind),
    ['spam'],
  );
  const none = testPlugin(plugin, { options: { lessonsFrom: [] } });
  await none.message({ message: fresh, results: { spamtrap: { lesson: 'spam' } } });
  assert.deepEqual(none.state.all, {});
});
