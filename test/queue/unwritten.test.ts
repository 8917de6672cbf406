/** Mail that the journal keeps: it needs no file while it is sent at once, and comes back whole after every kind of end. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import { createLog, silentLog } from '../../core/base/log.ts';
import { openQueue, readQueue } from '../../src/queue/open.ts';
import type { Attempt, NewQueueEntry, Queue, QueueHandlers } from '../../src/queue/queue.ts';
import { memorySource } from '../kit/message-source.ts';
import { until } from '../kit/server.ts';

const text = 'Subject: x\r\n\r\nbody\r\n';

function open(t: TestContext, directory = folder(t), log = silentLog): Queue {
  const queue = openQueue({ directory, retrySeconds: [0], expireSeconds: 1000, clock: systemClock, log });
  t.after(() => queue.close());
  return queue;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'queue-unwritten-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function relay(transactionId: string, more: Partial<NewQueueEntry> = {}): NewQueueEntry {
  const recipient = { id: 'r1', address: 'a@x.test', original: 'a@x.test', notify: [] };
  return {
    id: `${transactionId}/r1/0`,
    transactionId,
    work: { kind: 'relay', via: 'mx', recipients: [recipient] },
    envelope: {
      sender: 'b@y.test',
      recipients: [recipient],
      body: '8bitmime',
      smtputf8: false,
      requireTls: false,
    },
    edits: [],
    createdAt: Date.now(),
    ...more,
  };
}

function handlers(answer: () => Attempt | Promise<Attempt>, sent: string[] = []): QueueHandlers {
  return {
    async attempt(entry, source) {
      const bytes =
        source.kind === 'file'
          ? readFileSync(source.path)
          : Buffer.from(new Uint8Array(source.buffer, source.offset, source.length));
      sent.push(`${entry.id} ${bytes.toString('latin1')}`);
      return answer();
    },
    async expired(failures) {
      for (const { entry } of failures) sent.push(`given up: ${entry.id}`);
    },
  };
}

const done = (): Attempt => ({ outcome: 'done' });
const files = (queue: Queue) => readdirSync(join(queue.directory, 'messages'));
/** As another process sees it. */
function committed(directory: string): number {
  const seen = readQueue(directory);
  const { length } = seen.list();
  seen.close();
  return length;
}

/** As a kill would leave it: what was committed is there, nothing is ended in order. */
function copyOf(t: TestContext, queue: Queue): string {
  const copy = folder(t);
  cpSync(queue.directory, copy, { recursive: true });
  return copy;
}

test('what is sent at once never has a file, and is answered for when it is gone', async (t) => {
  const queue = open(t);
  const attempt = Promise.withResolvers<Attempt>();
  const sent: string[] = [];
  queue.start(handlers(() => attempt.promise, sent));
  let answered = false;
  const kept = queue.enqueue([relay('T1')], memorySource(text), 'kept').then(() => {
    answered = true;
  });
  await until('the attempt', () => sent.length === 1);
  assert.deepEqual([files(queue), answered], [[], false]);
  assert.deepEqual(sent, [`T1/r1/0 ${text}`]);
  attempt.resolve(done());
  await kept;
  assert.deepEqual([files(queue), queue.list()], [[], []]);
  await queue.enqueue([relay('T1')], memorySource(text), 'kept');
  assert.deepEqual(queue.list(), [], 'it is remembered that it is done');
});

test('what stays gets its file, and only then is answered for', async (t) => {
  const queue = open(t);
  queue.start(handlers(() => ({ outcome: 'retry', reason: 'later' })));
  await queue.enqueue([relay('T1')], memorySource(text), 'kept');
  assert.deepEqual(files(queue), ['T1.eml']);
  assert.equal(queue.list().length, 1);
});

test('settle and close write what has no file yet', async (t) => {
  const queue = open(t);
  const first = queue.enqueue([relay('T1')], memorySource(text), 'kept');
  await queue.settle();
  await first;
  const second = queue.enqueue([relay('T2')], memorySource(text), 'kept');
  await queue.close();
  await second;
  assert.deepEqual(files(queue).sort(), ['T1.eml', 'T2.eml']);
});

test('a disk that takes no files: one is tried, the journal keeps all, and later all are written', async (t) => {
  const lines: string[] = [];
  const queue = open(t, folder(t), createLog({ level: 'error', write: (line) => lines.push(line) }));
  const messages = join(queue.directory, 'messages');
  let answered = 0;
  const kept = ['T1', 'T2', 'T3', 'T4'].map((id) =>
    queue.enqueue([relay(id)], memorySource(text), 'kept').then(() => {
      answered += 1;
    }),
  );
  renameSync(messages, `${messages}.away`);
  await queue.settle();
  // The queue itself may have looked once as well.
  assert.ok(lines.length >= 1 && lines.length <= 2, lines.join(''));
  assert.equal(answered, 0);
  renameSync(`${messages}.away`, messages);
  await queue.settle();
  await Promise.all(kept);
  assert.equal(files(queue).length, 4);
});

test('held mail, mail for later and other work is written at once', async (t) => {
  const queue = open(t);
  await queue.enqueue([relay('T1', { notBefore: Date.now() + 60_000 })], memorySource(text), 'kept');
  await queue.enqueue([relay('T2', { work: { kind: 'store', store: null } })], memorySource(text), 'kept');
  assert.deepEqual(files(queue).sort(), ['T1.eml', 'T2.eml']);
});

test('killed before the file: nothing is given up, and the journal brings it back', async (t) => {
  const queue = open(t);
  const kept = queue.enqueue([relay('T1')], memorySource(text), 'kept');
  await until('the commit', () => committed(queue.directory) === 1);
  const copy = copyOf(t, queue);
  await queue.close();
  await kept;
  const lines: string[] = [];
  const next = open(t, copy, createLog({ level: 'info', write: (line) => lines.push(line) }));
  const sent: string[] = [];
  next.start(handlers(done, sent));
  await until(
    'a try without the message',
    () => next.list()[0]?.lastError.includes('from the journal') === true,
  );
  assert.deepEqual(sent, []);
  await next.enqueue([relay('T1')], memorySource(text), 'kept-again');
  await until('an empty queue', () => next.list().length === 0);
  assert.deepEqual(sent, [`T1/r1/0 ${text}`]);
});

test('a file that a power cut left torn is written anew by the replay', async (t) => {
  const queue = open(t);
  const kept = queue.enqueue([relay('T1')], memorySource(text), 'kept');
  await queue.settle();
  await kept;
  const copy = copyOf(t, queue);
  truncateSync(join(copy, 'messages', 'T1.eml'), 3);
  const next = open(t, copy);
  await next.enqueue([relay('T1')], memorySource(text), 'kept-again');
  const sent: string[] = [];
  next.start(handlers(done, sent));
  await until('an empty queue', () => next.list().length === 0);
  assert.deepEqual(sent, [`T1/r1/0 ${text}`]);
  await until('no file', () => files(next).length === 0);
});

const left: readonly { name: string; octets: string | undefined }[] = [
  { name: 'no file', octets: undefined },
  { name: 'a part of it', octets: text.slice(0, 3) },
  { name: 'a file of its length that never got its octets', octets: '\0'.repeat(text.length) },
];
for (const { name, octets } of left) {
  test(`a slow replay, and a power cut left ${name}: the message waits for the journal, others do not`, async (t) => {
    const queue = open(t);
    const kept = ['T1', 'T2'].map((id) => queue.enqueue([relay(id)], memorySource(text), 'kept'));
    await queue.settle();
    await Promise.all(kept);
    const copy = copyOf(t, queue);
    const file = join(copy, 'messages', 'T1.eml');
    if (octets === undefined) rmSync(file);
    else writeFileSync(file, octets);
    const next = open(t, copy);
    const sent: string[] = [];
    const replayed = Promise.withResolvers<void>();
    const bringing = new Set(['T1']);
    next.start(handlers(done, sent), { settled: replayed.promise, isBringing: (id) => bringing.has(id) });
    await until('the other message', () => sent.length === 1);
    await until(
      'a look at the message',
      () => next.list()[0]?.lastError.includes('from the journal') === true,
    );
    await next.enqueue([relay('T1')], memorySource(text), 'kept-again');
    bringing.delete('T1');
    replayed.resolve();
    await until('an empty queue', () => next.list().length === 0);
    assert.deepEqual(sent, [`T2/r1/0 ${text}`, `T1/r1/0 ${text}`]);
  });
}

test('after a failed sync files are written anew, and nothing comes back that is gone', async (t) => {
  const queue = open(t);
  await queue.enqueue([relay('T1', { notBefore: Date.now() + 60_000 })], memorySource(text), 'kept');
  truncateSync(join(queue.directory, 'messages', 'T1.eml'), 3);
  await queue.renew(
    (async function* () {
      yield { transactionId: 'T1', source: memorySource(text) };
      yield { transactionId: 'GONE', source: memorySource(text) };
    })(),
  );
  assert.deepEqual(files(queue), ['T1.eml']);
  assert.equal(readFileSync(join(queue.directory, 'messages', 'T1.eml'), 'latin1'), text);
});
