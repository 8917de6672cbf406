/** What a thread sends back of the state: only what its stages added, and the whole again on the other side. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addHeader, replaceBody } from '../../../core/mail/edits.ts';
import { emptyPipelineState, type PipelineState } from '../../../core/pipeline/request.ts';
import { changeState, stateChange } from '../../../core/pipeline/state-change.ts';
import { beginStage, mergeAnswer } from '../../../core/session/merge.ts';
import { readAnswer } from '../../../core/session/read-answer.ts';
import { recipient } from './pipeline-kit.ts';

const recipients = [recipient('r1', 'alice@example.test'), recipient('r2', 'bob@example.test')];
const envelope = { sender: '', recipients, body: '8bitmime', smtputf8: false, requireTls: false } as const;

/** The state after one more answer of a message hook. */
function after(state: PipelineState, plugin: string, answer: unknown): PipelineState {
  return mergeAnswer(beginStage(state, envelope), plugin, readAnswer(answer, 'message', recipients)).gathered;
}

const before = after(
  after(emptyPipelineState, 'first', {
    edits: [addHeader('X-First', '1'), replaceBody('a large body\n')],
    recipients: { r1: { edits: [addHeader('X-For', 'alice')] } },
    result: { first: true },
    symbols: [{ name: 'A', score: 1 }],
    auth: [{ method: 'spf', result: 'pass' }],
  }),
  'second',
  { result: 2 },
);

const answers: readonly [name: string, answer: unknown, sent: readonly string[]][] = [
  ['nothing', undefined, []],
  ['continue', { action: 'continue' }, []],
  ['an edit', { edits: [addHeader('X-A', 'b')] }, ['edits']],
  ['edits for one recipient', { recipients: { r1: { edits: [addHeader('X-A', 'b')] } } }, ['recipientEdits']],
  ['edits for another', { recipients: { r2: { edits: [addHeader('X-A', 'b')] } } }, ['recipientEdits']],
  ['a result', { result: { list: [1, null, 'ü\ud800'] } }, ['shown']],
  ['a result over its own', { result: { third: 3 } }, ['shown']],
  ['a score', { score: -2.5 }, ['score']],
  ['symbols', { symbols: [{ name: 'B', score: 0.5, text: 'why' }] }, ['shown', 'score']],
  ['auth', { auth: [{ method: 'dkim', result: 'fail', reason: 'no key' }] }, ['auth']],
  ['accept', { action: 'accept' }, ['accepted']],
  ['quarantine', { action: 'quarantine', reason: 'odd' }, ['quarantine']],
];

for (const [name, answer, sent] of answers) {
  for (const plugin of ['first', 'third']) {
    test(`${name} of the plugin ${plugin}`, () => {
      const state = after(before, plugin, answer);
      const change = structuredClone(stateChange(before, state));
      assert.deepEqual(Object.keys(change), sent);
      assert.deepEqual(changeState(before, change), state);
    });
  }
}

test('nothing of before is sent, and what did not change is the same object', () => {
  const state = after(before, 'third', { edits: [addHeader('X-A', 'b')], result: 'new' });
  const change = stateChange(before, state);
  assert.deepEqual(change.edits, [addHeader('X-A', 'b')]);
  assert.deepEqual(JSON.parse(change.shown ?? ''), { results: { third: 'new' }, symbols: [] });
  assert.equal(changeState(before, stateChange(before, after(before, 'third', undefined))), before);
});
