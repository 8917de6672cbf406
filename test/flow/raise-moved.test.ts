/** What rules for IMAP events send: ours to sign only where the user's own name stands in it, and so much in an hour. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Edit } from '../../core/mail/edit.ts';
import type { Action } from '../../core/session/plan.ts';
import type { QueueEntry } from '../../src/queue/queue.ts';
import { raiseMoved } from '../../src/raise-moved.ts';
import { FakeHouse } from '../kit/fake-house.ts';

const user = 'alice@example.test';
type Given = Pick<QueueEntry, 'envelope'>;

function mailbox(t: TestContext, edits: readonly Edit[] = []) {
  const redirect: Action = { type: 'redirect', address: 'x@else.example', edits };
  const fake = new FakeHouse(t, {
    hooks: { moved: () => undefined },
    config: { pipelines: { inbound: [] } },
  });
  const { house, pipelines } = fake;
  const run = pipelines.run.bind(pipelines);
  pipelines.run = async (request) => ({ ...(await run(request)), actions: [redirect] });
  const queued: Given[] = [];
  const queue = { enqueue: async (entries: readonly Given[]) => void queued.push(...entries) };
  const move = (from: string, maySend = (_user: string) => true) => {
    const message = Buffer.from(`${from}\r\nSubject: x\r\n\r\nbody\r\n`);
    return raiseMoved(house, { queue, maySend }, { user, message, from: 'INBOX', to: 'Sent', flags: [] });
  };
  return { move, queued };
}

const forged: Edit = { type: 'changeHeader', name: 'From', nth: 1, value: 'bob@example.test' };
const authors: readonly [what: string, fields: string, edits: readonly Edit[], origin: 'user' | undefined][] =
  [
    ['her own', 'From: Alice <a.lias@example.test>', [], 'user'],
    ['of somebody else', 'From: bob@example.test', [], undefined],
    ['of her and somebody else', `From: ${user}, bob@example.test`, [], undefined],
    ['sent by somebody else', `From: ${user}\r\nSender: bob@example.test`, [], undefined],
    ['of nobody', 'To: bob@example.test', [], undefined],
    ['her own, which the rules then rewrite', `From: ${user}`, [forged], undefined],
  ];
for (const [what, fields, edits, origin] of authors) {
  test(`a redirect at an IMAP event of a message ${what}`, async (t) => {
    const { move, queued } = mailbox(t, edits);
    await move(fields);
    assert.deepEqual(
      queued.map(({ envelope }) => envelope.origin),
      [origin],
    );
  });
}

test('rules that sent too much send nothing, and the message stays as it is', async (t) => {
  const { move, queued } = mailbox(t);
  await assert.rejects(
    move(`From: ${user}`, (name) => name !== user),
    { code: 'too-much-sent', temporary: true },
  );
  assert.deepEqual(queued, []);
});
