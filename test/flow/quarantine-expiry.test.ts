/** Quarantined mail that is past its time goes, with a note; what an operator holds of other mail stays. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { expireQuarantine } from '../../src/flow/quarantine-expiry.ts';
import { openQueue } from '../../src/queue/open.ts';
import type { QueueWork } from '../../src/queue/queue.ts';
import { FakeHouse } from '../kit/fake-house.ts';
import { memorySource } from '../kit/message-source.ts';

test('only what was quarantined, and only after its time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-expiry-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const queue = openQueue({
    directory: folder,
    retrySeconds: [60],
    expireSeconds: 3600,
    clock: systemClock,
    log: silentLog,
  });
  t.after(() => queue.close());
  const now = Date.now();
  const envelope = {
    sender: 'a@x.example',
    recipients: [],
    body: '7bit',
    smtputf8: false,
    requireTls: false,
  } as const;
  const held: QueueWork = { kind: 'held', reason: 'odd', recipients: [], context: {} };
  const relay: QueueWork = { kind: 'relay', via: 'mx', recipients: [] };
  const add = (id: string, work: QueueWork, age: number) =>
    queue.enqueue(
      [{ id, transactionId: id.slice(0, 2), work, envelope, edits: [], createdAt: now - age * 1000 }],
      memorySource('Subject: hi\r\n\r\nhello\r\n'),
    );
  await add('T1/held/0', held, 101);
  await add('T2/held/0', held, 99);
  await add('T3/r1/0', relay, 101);
  await queue.hold('T3/r1/0', 'held by the operator');

  const notes: string[] = [];
  const house = (quarantineSeconds: number) => {
    const { house: made } = new FakeHouse(t);
    return {
      ...made,
      clock: { ...systemClock, now: () => now },
      config: { ...made.config, queue: { ...made.config.queue, quarantineSeconds } },
      note: (id: string, { event }: { event: string }) => void notes.push(`${id} ${event}`),
    };
  };
  assert.deepEqual(await expireQuarantine(house(0), queue), []);
  assert.deepEqual(await expireQuarantine(house(100), queue), ['T1/held/0']);
  assert.deepEqual(notes, ['T1/held/0 quarantine-expired']);
  assert.deepEqual(
    queue
      .list()
      .map(({ id }) => id)
      .sort(),
    ['T2/held/0', 'T3/r1/0'],
  );
});
