/** What each stage gives its plugins and takes from them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { emptyPipelineState } from '../../../core/pipeline/request.ts';
import { entry, type Open, open, recipient, request } from './pipeline-kit.ts';

let house: Open;
before(async () => {
  house = await open({
    inbound: [entry('stages')],
    trusting: [
      entry('trust'),
      entry('kind-verify'),
      entry('kind-score'),
      entry('kind-mutate'),
      entry('edit'),
    ],
    shadow: [entry('edit', { shadow: true }), entry('trouble', { shadow: true, timeoutSeconds: 0.3 })],
    edit: [entry('edit', { options: { value: 'é, and long' } })],
  });
});
after(() => house[Symbol.asyncDispose]());

test('connect and helo in one hop: the second sees the results of the first', async () => {
  const { state } = await house.pipelines.run(
    request('', { stages: ['connect', 'helo'], envelope: undefined, message: undefined }),
  );
  assert.deepEqual(state.results.stages, {
    connect: '192.0.2.1',
    helo: 'client.example.org',
    before: { connect: '192.0.2.1' },
  });
});

test('mailFrom changes the sender of the envelope', async () => {
  const asked = request('', { stages: ['mailFrom'], message: undefined });
  const envelope = { ...asked.envelope!, sender: 'forward@example.org', recipients: [] };
  const outcome = await house.pipelines.run({ ...asked, envelope });
  assert.equal(outcome.envelope?.sender, 'srs@example.test');
  assert.deepEqual(outcome.state.edits, []);
});

const rcpt = (address: string, more = {}) =>
  house.pipelines.run(
    request('', {
      stages: ['rcptTo'],
      message: undefined,
      recipient: recipient('r3', address),
      route: 'mailbox',
      ...more,
    }),
  );

test('rcptTo: an alias becomes its first target, the others are added', async () => {
  const outcome = await rcpt('info@example.test', { pass: 'rewrite' });
  assert.deepEqual(outcome.recipient, {
    id: 'r3',
    address: 'alice@example.test',
    original: 'info@example.test',
    notify: [],
  });
  assert.deepEqual(outcome.addedRecipients, ['bob@example.test']);
  assert.equal(outcome.trace[0]?.recipient, 'r3');
});

test('rcptTo: an ordinary recipient stays as it is', async () => {
  const outcome = await rcpt('carol@example.test');
  assert.deepEqual(
    [outcome.recipient, outcome.addedRecipients, outcome.verdict.action],
    [undefined, undefined, 'continue'],
  );
});

test('rcptTo: a rewriting plugin has no say in the pass that judges', async () => {
  const outcome = await rcpt('info@example.test', { pass: 'judge', route: 'unknown-user' });
  assert.deepEqual([outcome.trace, outcome.verdict.action], [[], 'continue']);
  assert.equal((await rcpt('x@example.test', { route: 'unknown-user' })).verdict.action, 'reject');
});

test('deliver: each recipient has actions, edits and a verdict of its own', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `user${index}`);
  const deliveries = [...names, 'full'].map((user, index) => ({
    recipient: recipient(`r${index + 1}`, `${user}@example.test`),
    user,
    detail: index === 1 ? 'lists' : '',
    addresses: [`${user}@example.test`],
  }));
  const outcome = await house.pipelines.run(request('Subject: x\n\nx', { stages: ['deliver'], deliveries }));
  assert.deepEqual(outcome.verdict, { action: 'continue' });
  assert.deepEqual(outcome.recipients.r1, { actions: [{ type: 'store', mailbox: 'INBOX' }] });
  assert.deepEqual(outcome.recipients.r2, { actions: [{ type: 'store', mailbox: 'lists' }] });
  assert.deepEqual(outcome.recipients.r21, {
    verdict: { action: 'tempfail', code: 452, enhanced: '4.2.2', text: 'full' },
  });
  assert.deepEqual(outcome.state.recipientEdits.r3, [
    { type: 'addHeader', name: 'X-For', value: 'user2@example.test' },
  ]);
  assert.deepEqual(outcome.state.edits, []);
  assert.deepEqual(
    outcome.trace.map((line) => line.recipient),
    deliveries.map((delivery) => delivery.recipient.id),
  );
});

test('close observes', async () => {
  const outcome = await house.pipelines.run(
    request('', { stages: ['close'], reason: 'quit', envelope: undefined, message: undefined }),
  );
  assert.equal(outcome.state.results.stages, 'quit');
});

test('accept skips verify and score plugins, never those that edit', async () => {
  const outcome = await house.pipelines.run(request('\n\nx', { pipeline: 'trusting' }));
  assert.deepEqual(
    outcome.trace.map(({ plugin }) => plugin),
    ['trust', 'kind-mutate', 'edit'],
  );
  assert.equal(outcome.verdict.action, 'accept');
  assert.equal(outcome.state.accepted, true);
});

test('accept of an earlier stage counts', async () => {
  const state = { ...emptyPipelineState, accepted: true };
  const outcome = await house.pipelines.run(request('\n\nx', { pipeline: 'trusting', state }));
  assert.deepEqual(
    outcome.trace.map(({ plugin }) => plugin),
    ['trust', 'kind-mutate', 'edit'],
  );
});

test('a plugin on trial runs, is traced, and changes nothing, not even by failing', async () => {
  const outcome = await house.pipelines.run(request('Subject: throw\n\nx', { pipeline: 'shadow' }));
  assert.deepEqual(outcome.verdict, { action: 'continue' });
  assert.deepEqual(outcome.state, emptyPipelineState);
  assert.deepEqual(
    outcome.trace.map(({ plugin, shadow, failure }) => [plugin, shadow, failure?.kind]),
    [
      ['edit', true, undefined],
      ['trouble', true, 'throw'],
    ],
  );
});

test('an edit that breaks a foreign signature is traced as such', async () => {
  const signature = (d: string, h: string) =>
    `DKIM-Signature: v=1; a=rsa-sha256; d=${d}; s=s; h=${h}; bh=x; b=x\n`;
  const run = async (text: string) =>
    (await house.pipelines.run(request(text, { pipeline: 'edit' }))).trace[0]?.breaksSignatures;
  assert.deepEqual(await run(`${signature('other.example', 'from:x-edit')}From: a@b.test\n\nx`), [
    'other.example',
  ]);
  assert.equal(await run(`${signature('other.example', 'from:to')}From: a@b.test\n\nx`), undefined);
  assert.equal(await run(`${signature('example.test', 'from:x-edit')}From: a@b.test\n\nx`), undefined);
});

test('log lines of a plugin stand in the trace and in the log', async () => {
  house.lines.length = 0;
  const outcome = await house.pipelines.run(request('Subject: x\n\nx', { pipeline: 'edit', id: 'logged' }));
  assert.deepEqual(outcome.trace[0]?.log, [{ event: 'seen', facts: { length: 15 } }]);
  const line = house.lines.find(({ event }) => event === 'plugin-log');
  assert.deepEqual([line?.id, line?.plugin, line?.what], ['logged', 'edit', 'seen']);
});
