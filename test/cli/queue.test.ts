/** `mailfilter queue list`: what waits, seen from another process. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { openQueue } from '../../src/queue/open.ts';
import { runCommand } from '../kit/command.ts';
import { memorySource } from '../kit/message-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-queue-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const config = join(folder, 'mailfilter.json');
writeFileSync(config, JSON.stringify({ hostname: 'mx.example.org', dataDirectory: 'data' }));
const list = (...args: string[]) => runCommand(['queue', 'list', '-c', config, ...args]);

test('a server that never ran has an empty queue', async () => {
  assert.deepEqual(await list(), { code: 0, stdout: 'The queue is empty.\n', stderr: '' });
  assert.equal((await list('--json')).stdout, '[]\n');
});

test('entries, while the queue is open elsewhere', async () => {
  const directory = join(folder, 'data/queue');
  mkdirSync(directory, { recursive: true });
  const queue = openQueue({
    directory,
    retrySeconds: [60],
    expireSeconds: 3600,
    clock: systemClock,
    log: silentLog,
  });
  try {
    const source = memorySource('Subject: hi\r\n\r\nhello\r\n');
    const envelope = {
      sender: 'a@x.example',
      recipients: [],
      body: '7bit',
      smtputf8: false,
      requireTls: false,
    } as const;
    const entry = { transactionId: 'T1', envelope, edits: [], createdAt: Date.now() - 7_500_000 };
    await queue.enqueue(
      [
        {
          ...entry,
          id: 'T1/r1/1',
          work: { kind: 'store', store: {} },
          lastError: 'no space left',
          notBefore: Date.now() + 90_000,
        },
        {
          ...entry,
          id: 'T1/r2/1',
          work: { kind: 'submit', sender: '', recipients: ['b@y.example'] },
          notBefore: Date.now() + 90_000,
        },
      ],
      source,
    );
    const { code, stdout, stderr } = await list();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^id +status +kind +from +to +age +tries +next in +octets +last error\n/);
    assert.match(stdout, /T1\/r1\/1 +waiting +store +a@x\.example +2h5m +0 +[12]m +\d+ +no space left\n/);
    assert.deepEqual(
      JSON.parse((await list('--json')).stdout).map(({ id }: { id: string }) => id),
      ['T1/r1/1', 'T1/r2/1'],
    );
    assert.equal((await list('--status', 'held')).stdout, 'The queue is empty.\n');
  } finally {
    await queue.close();
  }
});

test('a status that does not exist', async () => {
  const { code, stderr } = await list('--status', 'lost');
  assert.equal(code, 64);
  assert.match(stderr, /waiting, active, held, failed/);
});
