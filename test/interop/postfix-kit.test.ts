/** The private Postfix of the tests delivers, queues and ends. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostfix } from '../kit/postfix.ts';
import { requireProgram } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

test('mail for example.test lies in a Maildir, other mail waits in the queue', async (t) => {
  const program = requireProgram(t, 'swaks');
  const postfix = program && (await startPostfix(t));
  if (!postfix) return;
  const to = ['alice@example.test', 'bob@example.org'];
  const { reply } = await swaks(program, { port: postfix.port, to, message: 'Subject: x\n\nhello\n' });
  assert.match(reply, /^250 /);
  await until('the delivery', () => postfix.messages('alice').length === 1);
  assert.match(postfix.messages('alice')[0]!, /^Subject: x$/m);
  await until('the deferral', async () => (await postfix.queue())[0]?.queue_name === 'deferred');
  const [entry] = await postfix.queue();
  assert.deepEqual(
    entry!.recipients.map(({ address }) => address),
    ['bob@example.org'],
  );
  await postfix.stop();
  assert.ok(existsSync(join(postfix.directory, 'maillog')));
});
