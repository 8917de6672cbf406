/** Calls of a store thread that are under way at the same time, and share its memory. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { answerCalls, Caller } from '../../src/mailbox/threads/calls.ts';
import { createStoreCalls, type StoreCalls, type StorePush } from '../../src/mailbox/threads/store-calls.ts';

const uids = Array.from({ length: 8 }, (_, index) => index + 1);

async function openAlice(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'store-calls-'));
  const path = join(directory, 'alice');
  for (const name of ['cur', 'new', 'tmp']) mkdirSync(join(path, name), { recursive: true });
  for (const uid of uids)
    writeFileSync(join(path, 'cur', `${1000 + uid}.M${uid}.host:2,S`), `Subject: x\n\nbody ${uid}.\n`);
  const { port1, port2 } = new MessageChannel();
  const options = { indexDirectory: join(directory, 'index') };
  answerCalls(
    port2,
    createStoreCalls(options, systemClock, silentLog, () => {}),
  );
  const caller = new Caller<StoreCalls, StorePush>(port1, () => {});
  const account = { user: 'alice@example.test', format: 'maildir', path, quotaBytes: 0 } as const;
  await caller.call('openAccount', [1, account]);
  const { handle } = await caller.call('hold', [1, 'INBOX']);
  t.after(async () => {
    await caller.call('closeAccount', [1]);
    port1.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { path, caller, handle };
}

test('two reads that wait for the same lock get the octets they asked for', async (t) => {
  const { path, caller, handle } = await openAlice(t);
  const lock = join(path, 'dovecot-uidlist.lock');
  writeFileSync(lock, `${process.pid}:${hostname()}`);
  writeFileSync(join(path, 'new', '2000.M1.host'), 'Subject: new\n\nnew\n');
  const waits = caller.call('refresh', [handle, 'surely']);
  await sleep(30);
  // Another program sets a flag on all: their files bear other names now.
  for (const name of readdirSync(join(path, 'cur')))
    renameSync(join(path, 'cur', name), join(path, 'cur', name.replace(/,S$/, ',FS')));
  const read = async (wanted: readonly number[]) => {
    const { octets, ends } = await caller.call('read', [handle, wanted, 'all', 1_000_000]);
    const text = Buffer.from(octets).toString();
    return [...ends].map((end, index) => /body (\d+)/.exec(text.slice(ends[index - 1] ?? 0, end))?.[1]);
  };
  const both = Promise.all([read(uids), read(uids.toReversed())]);
  await sleep(30);
  rmSync(lock);
  const [forward, backward] = await both;
  await waits;
  assert.deepEqual(forward, uids.map(String));
  assert.deepEqual(backward, uids.map(String).toReversed());
});
