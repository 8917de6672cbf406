/** Calls of another role to the mta: answered, in parallel, in large pieces, and again after the mta was away. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import { callLimits } from '../../core/base/limits/process.ts';
import { connectCalls } from '../../src/calls/connect.ts';
import type { SubmittedMail, WireCalls } from '../../src/calls/mta-calls.ts';
import { serveCalls } from '../../src/calls/serve.ts';
import { memoryLog } from '../kit/door.ts';

function folder(t: TestContext, deep = ''): string {
  const root = mkdtempSync(join(tmpdir(), 'mailfilter-calls-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, deep), { recursive: true });
  return join(root, deep);
}

function calls(seen: SubmittedMail[]): WireCalls {
  return {
    submit: async (mail) => {
      if (mail.sender === 'full') throw new OperationalError('queue-full', 'no room', { temporary: true });
      if (mail.sender === 'bug') throw new Error('a bug');
      seen.push(mail);
    },
    moved: async () => [],
    queue: async ({ ids }) => ids,
    state: async ({ plugin, method, parameters }) => [
      plugin,
      method,
      ...parameters.map((each) => each ?? null),
    ],
  };
}

const mail = (id: string, sender = '', octets = 10): SubmittedMail => ({
  id,
  sender,
  recipients: ['a@example.test'],
  message: new Uint8Array(octets).fill(65),
});

for (const deep of ['', `${'deep/'.repeat(30)}`]) {
  test(`calls over a path of ${deep.length > 0 ? 'many' : 'few'} octets`, async (t) => {
    const run = folder(t, deep);
    const seen: SubmittedMail[] = [];
    const end = await serveCalls(run, calls(seen), memoryLog().log);
    assert.equal(statSync(join(run, 'mta.sock')).mode & 0o777, 0o600);
    const mta = connectCalls(run);
    await Promise.all([mta.submit(mail('1')), mta.submit(mail('2', '', 5_000_000)), mta.submit(mail('3'))]);
    assert.deepEqual(
      seen.map(({ id, message }) => [id, message.length, message.at(-1)]),
      [
        ['1', 10, 65],
        ['2', 5_000_000, 65],
        ['3', 10, 65],
      ],
    );
    assert.deepEqual(await mta.state('bayes').increment('key', 2), ['bayes', 'increment', 'key', 2]);
    await assert.rejects(mta.submit(mail('4', 'full')), { code: 'queue-full', temporary: true });
    await assert.rejects(mta.submit(mail('5', 'bug')), { code: 'call-failed', temporary: true });
    mta.close();
    await end();
  });
}

test('a call waits for an mta that is restarted', async (t) => {
  const run = folder(t);
  const mta = connectCalls(run);
  const early = mta.submit(mail('early'));
  const seen: SubmittedMail[] = [];
  const first = await serveCalls(run, calls(seen), memoryLog().log);
  await early;
  await first();
  const between = mta.submit(mail('between'));
  const second = await serveCalls(run, calls(seen), memoryLog().log);
  await between;
  assert.deepEqual(
    seen.map(({ id }) => id),
    ['early', 'between'],
  );
  mta.close();
  await second();
});

test('a call that was under way when the mta died is made again', async (t) => {
  const run = folder(t);
  const dying = createServer((socket) => {
    socket.on('data', () => {
      dying.close();
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => dying.listen(join(run, 'mta.sock'), resolve));
  const mta = connectCalls(run);
  const answered = mta.submit(mail('again'));
  await once(dying, 'close');
  const seen: SubmittedMail[] = [];
  const end = await serveCalls(run, calls(seen), memoryLog().log);
  await answered;
  assert.deepEqual(
    seen.map(({ id }) => id),
    ['again'],
  );
  mta.close();
  await end();
});

test('calls that wait for the mta hold so many octets of messages together, one of any size', async (t) => {
  const mta = connectCalls(folder(t));
  const large = { ...mail('large'), message: new Uint8Array(callLimits.waitingOctetsMax + 1) };
  const first = mta.submit(large);
  assert.throws(() => mta.submit(mail('second')), { code: 'mta-away', temporary: true });
  mta.close();
  await assert.rejects(first, { code: 'mta-away' });
  const next = mta.submit(mail('next'));
  mta.close();
  await assert.rejects(next, { code: 'mta-away' });
});
