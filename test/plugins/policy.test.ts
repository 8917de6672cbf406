/** policy: the sum of all scores becomes a verdict, a header and a folder; forged fields go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestInput, testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/policy/index.ts';

const message = 'From: a@example.org\nSubject: cheap\nX-Spam-Flag: NO\nX-Spam-Status: No, forged\n\nHello.\n';
const symbols = [
  { name: 'SMALL', score: 0.3 },
  { name: 'HUGE,RULE', score: 7, text: 'very\nbad' },
];

const verdicts: { name: string; score: number; thresholds?: Record<string, number>; action: string }[] = [
  { name: 'ham passes', score: 4.9, action: 'continue' },
  { name: 'spam is marked and passes', score: 5, action: 'continue' },
  { name: 'much spam is refused', score: 15, action: 'reject' },
  { name: '0 means never', score: 900, thresholds: { reject: 0 }, action: 'continue' },
  { name: 'held', score: 8, thresholds: { quarantine: 8 }, action: 'quarantine' },
  { name: 'the hardest wins', score: 20, thresholds: { quarantine: 8, greylist: 2 }, action: 'reject' },
  { name: 'greylisted', score: 3, thresholds: { greylist: 3 }, action: 'tempfail' },
];
for (const { name, score, thresholds = {}, action } of verdicts) {
  test(`policy: ${name}`, async () => {
    const tested = testPlugin(plugin, { options: { thresholds } });
    const answer = await tested.message({ message, score, symbols });
    assert.equal(answer.verdict.action, action);
    const flagged = /^X-Spam-Flag: YES$/m.test(answer.message);
    assert.equal(flagged, score >= 5);
    assert.doesNotMatch(answer.message, /forged|^X-Spam-Flag: NO/m);
  });
}

test('policy: the fields are those of SpamAssassin', async () => {
  const tested = testPlugin(plugin, { options: { report: true, subjectTag: '[SPAM]' } });
  const { message: text } = await tested.message({ message, score: 7.3, symbols });
  assert.match(text, /^X-Spam-Score: 7\.3\nX-Spam-Level: \*{7}\n/m);
  assert.match(text, /^X-Spam-Status: Yes, score=7\.3 required=5\.0 tests=HUGE\?RULE,SMALL$/m);
  assert.match(text, /^X-Spam-Report: {1,}7\.0 HUGE\?RULE very\?bad\n\t {2}0\.3 SMALL$/m);
  assert.match(text, /^Subject: \[SPAM\] cheap$/m);
});

test('policy: what nobody scored is not called clean', async () => {
  const { message: text } = await testPlugin(plugin).message({ message });
  assert.doesNotMatch(text, /^X-Spam/m);
  const failed = await testPlugin(plugin).message({
    message,
    score: 1,
    results: { spamassassin: { scanned: false } },
  });
  assert.match(failed.message, /^X-Spam-Status: No, (?:.|\n\t)*unscanned=spamassassin$/m);
  const scanned = await testPlugin(plugin).message({ message, results: { rspamd: { scanned: true } } });
  assert.match(scanned.message, /^X-Spam-Status: No, score=0\.0 required=5\.0 tests=none$/m);
});

test('policy: greylisted once, by network, sender and recipients', async () => {
  let now = 1_000_000;
  const clock = { now: () => now, monotonicMs: () => now };
  const tested = testPlugin(plugin, { options: { thresholds: { greylist: 2 } }, clock });
  const send = async (remoteIp: string, sender = 'a@example.org') =>
    (await tested.message({ message, score: 3, sender, connection: { remoteIp } })).verdict.action;
  assert.equal(await send('192.0.2.1'), 'tempfail');
  now += 299_000;
  assert.equal(await send('192.0.2.77'), 'tempfail');
  now += 2000;
  assert.equal(await send('192.0.2.77'), 'continue');
  assert.equal(await send('192.0.3.1'), 'tempfail');
  assert.equal(await send('192.0.2.1', 'b@example.org'), 'tempfail');
  assert.equal(await send('2001:db8::1'), 'tempfail');
  now += 301_000;
  assert.equal(await send('2001:db8::ffff'), 'continue');
  assert.equal(await send('2001:db8:0:1::1'), 'tempfail');
});

test('policy: users and trusted clients are marked and nothing else', async () => {
  const tested = testPlugin(plugin);
  for (const input of [{ session: { user: 'bob@example.test' } }, { connection: { trusted: true } }]) {
    const answer = await tested.message({ message, score: 50, ...input });
    assert.equal(answer.verdict.action, 'continue');
    assert.match(answer.message, /^X-Spam-Flag: YES$/m);
  }
  const strict = testPlugin(plugin, { options: { exemptTrusted: false } });
  const answer = await strict.message({ message, score: 50, connection: { trusted: true } });
  assert.equal(answer.verdict.action, 'reject');
});

test('policy: recipients with thresholds of their own', async () => {
  const users = { 'bob@example.test': { reject: 0, mark: 50 }, '@strict.test': { reject: 3 } };
  const tested = testPlugin(plugin, { options: { users } });
  const recipients = ['alice@example.test', 'Bob+x@example.test', 'carol@strict.test'];
  const spam = await tested.message({ message, score: 20, recipients });
  assert.equal(spam.verdict.action, 'reject');
  assert.deepEqual(Object.keys(spam.answer.recipients ?? {}), ['r2']);
  assert.equal(spam.answer.recipients!.r2!.verdict!.action, 'continue');
  assert.ok(
    !spam.answer.recipients!.r2!.edits!.some(
      (edit) => 'name' in edit && edit.type === 'addHeader' && edit.name === 'X-Spam-Flag',
    ),
  );
  const little = await tested.message({ message, score: 4, recipients });
  assert.equal(little.verdict.action, 'continue');
  assert.equal(little.answer.recipients!.r3!.verdict!.action, 'reject');
});

const ownThresholds = [
  ['greylist', 'tempfail'],
  ['quarantine', 'quarantine'],
  ['reject', 'reject'],
] as const;
for (const [threshold, action] of ownThresholds) {
  test(`policy: ${threshold} for one recipient alone`, async () => {
    const tested = testPlugin(plugin, {
      options: { users: { 'bob@example.test': { [threshold]: 4 } } },
    });
    const { answer } = await tested.message({
      score: 4.5,
      symbols: [{ name: 'X', score: 4.5 }],
      recipients: ['alice@example.test', 'bob+list@example.test'],
    });
    assert.equal(answer.verdict, undefined);
    assert.deepEqual(
      Object.values(answer.recipients ?? {}).map(({ verdict }) => verdict?.action),
      [action],
    );
  });
}

test('policy: Junk is for what the rules leave to the implicit keep', async () => {
  const tested = testPlugin(plugin, { options: { users: { 'bob@example.test': { junk: 0 } } } });
  const results = { policy: { score: 6, spam: true, exempt: false } };
  const spam = await tested.deliver({ message, results });
  assert.deepEqual(spam.answer.actions, [{ type: 'keepIn', mailbox: 'Junk', create: true }]);
  const kept: TestInput[] = [
    { results: {} },
    { results: { policy: { score: 4.9, exempt: false } } },
    { results: { policy: { score: 90, exempt: true } } },
    { results, recipients: ['bob@example.test'] },
  ];
  for (const input of kept) {
    assert.deepEqual((await tested.deliver({ message, ...input })).answer, {});
  }
});
