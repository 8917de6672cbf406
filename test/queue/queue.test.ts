/** The queue: what goes in stays until it is done, whatever the handlers, the clock and the operator do. */
import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/base/clock.ts';
import { createLog, type Log, silentLog } from '../../core/base/log.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { openDatabase } from '../../core/state/sqlite-file.ts';
import { Entries } from '../../src/queue/entries.ts';
import { openQueue, readQueue } from '../../src/queue/open.ts';
import type { Attempt, NewQueueEntry, Queue, QueueEntry, QueueHandlers } from '../../src/queue/queue.ts';
import { steps } from '../../src/queue/tables.ts';

const root = mkdtempSync(join(tmpdir(), 'queue-'));
const opened: Queue[] = [];
after(async () => {
  for (const queue of opened) await queue.close();
  rmSync(root, { recursive: true });
});
let folders = 0;
const folder = () => join(root, String(++folders));

class TestClock implements Clock {
  offset = 0;
  now = () => Date.now() + this.offset;
  monotonicMs = () => performance.now();
}

interface Options {
  directory?: string;
  retrySeconds?: number[];
  expireSeconds?: number;
  concurrency?: number;
  clock?: Clock;
  log?: Log;
}
function open(options: Options = {}): Queue {
  const queue = openQueue({
    directory: folder(),
    retrySeconds: [0.1],
    expireSeconds: 1000,
    clock: new TestClock(),
    log: silentLog,
    ...options,
  });
  opened.push(queue);
  return queue;
}

const bytes = Buffer.from('Subject: x\r\n\r\nbody \xff\r\n', 'latin1');
function memory(content: Uint8Array = bytes): MessageSource {
  const buffer = new SharedArrayBuffer(content.length + 10);
  new Uint8Array(buffer, 5).set(content);
  return { kind: 'memory', buffer, offset: 5, length: content.length };
}
function entry(id: string, more: Partial<NewQueueEntry> = {}): NewQueueEntry {
  return {
    id,
    transactionId: id.split('/')[0]!,
    work: { kind: 'store', store: { id, bytes: new Uint8Array([1, 255]) } },
    envelope: { sender: 'a@b.test', recipients: [], body: '8bitmime', smtputf8: false, requireTls: false },
    edits: [{ type: 'replaceBody', body: new Uint8Array([0, 1, 254]) }],
    createdAt: Date.now(),
    ...more,
  };
}
/** What was just written may be handed out from memory. */
const read = (source: MessageSource) =>
  source.kind === 'file'
    ? readFileSync(source.path)
    : Buffer.from(new Uint8Array(source.buffer, source.offset, source.length));
/** Handlers that write down what they were asked; the answers are given in order, the last repeats. */
function recorder(...answers: (Attempt | Error)[]) {
  const attempts: { id: string; attempts: number; content: string }[] = [];
  const expired: { id: string; code: number; text: string; length: number }[] = [];
  const handlers: QueueHandlers = {
    async attempt(one, source) {
      attempts.push({ id: one.id, attempts: one.attempts, content: read(source).toString('latin1') });
      const answer = answers[Math.min(attempts.length, answers.length) - 1] ?? { outcome: 'done' as const };
      if (answer instanceof Error) throw answer;
      return answer;
    },
    async expired(failures, source) {
      for (const { entry: one, reply } of failures) {
        expired.push({ id: one.id, code: reply.code, text: reply.text, length: source.length });
      }
    },
  };
  return { attempts, expired, handlers };
}
async function until(holds: () => boolean, what = 'it'): Promise<void> {
  const end = Date.now() + 30_000;
  while (!holds()) {
    assert.ok(Date.now() < end, `waited half a minute for ${what}`);
    await sleep(5);
  }
}
const empty = (queue: Queue) => () => Object.values(queue.count()).every((count) => count === 0);
const messageFiles = (directory: string) => readdirSync(join(directory, 'messages'));

test('an entry comes back as it went in, with the message octet for octet', async () => {
  const queue = open();
  const given = entry('T1/r1/0', { lastError: 'disk full' });
  await queue.enqueue([given], memory());
  const { entry: found, source } = queue.get('T1/r1/0')!;
  const want: QueueEntry = {
    ...given,
    lastError: 'disk full',
    status: 'waiting',
    attempts: 0,
    nextAttemptAt: found.nextAttemptAt,
    expiresAt: given.createdAt + 1_000_000,
    length: bytes.length,
    destination: '',
  };
  assert.deepEqual(found, want);
  assert.deepEqual(read(source), bytes);
  await queue.close();
});

test('one message file for all entries of a transaction, gone with the last', async () => {
  const directory = folder();
  const queue = open({ directory });
  await Promise.all([
    queue.enqueue([entry('T1/r1/0'), entry('T1/r2/0')], memory()),
    queue.enqueue([entry('T1/r3/0')], memory()),
  ]);
  await queue.enqueue([entry('T1/r4/0')], memory());
  assert.deepEqual(messageFiles(directory), ['T1.eml']);
  assert.equal(statSync(join(directory, 'messages/T1.eml')).mode & 0o777, 0o600);
  for (const id of ['T1/r1/0', 'T1/r2/0', 'T1/r3/0']) assert.equal(await queue.remove(id), true);
  assert.deepEqual(messageFiles(directory), ['T1.eml']);
  assert.equal(await queue.remove('T1/r4/0'), true);
  assert.equal(await queue.remove('T1/r4/0'), false);
  assert.deepEqual(messageFiles(directory), []);
  await queue.close();
});

test('an entry never shows envelope or edits of a message that was there before it', async () => {
  const queue = open();
  const seen: string[] = [];
  queue.start({
    ...recorder({ outcome: 'done' }).handlers,
    attempt: async ({ id, envelope }) => {
      seen.push(`${id} ${envelope.sender}`);
      return { outcome: 'done' };
    },
  });
  for (const name of ['first', 'second', 'third']) {
    const { envelope } = entry(name);
    await queue.enqueue([entry(`${name}/1`, { envelope: { ...envelope, sender: name } })], memory());
    await until(() => seen.includes(`${name}/1 ${name}`));
    await until(() => queue.list().length === 0);
  }
  assert.deepEqual(seen, ['first/1 first', 'second/1 second', 'third/1 third']);
});

test('a spool file is kept though its first name goes', async () => {
  const directory = folder();
  const queue = open({ directory });
  const path = join(root, 'spool-file');
  writeFileSync(path, bytes);
  const source: MessageSource = { kind: 'file', path, length: bytes.length };
  await queue.enqueue([entry('T1/r1/0')], source);
  await queue.remove('T1/r1/0');
  assert.ok(existsSync(path), 'the spool file is not ours to remove');
  await queue.enqueue([entry('T2/r1/0')], source);
  unlinkSync(path);
  assert.deepEqual(read(queue.get('T2/r1/0')!.source), bytes);
  await queue.close();
});

test('a transaction id that is no file name', async () => {
  const directory = folder();
  const queue = open({ directory });
  await queue.enqueue([entry('x', { transactionId: '../../etc/passwd' })], memory());
  assert.match(messageFiles(directory)[0]!, /^[0-9a-f]{64}\.hash\.eml$/);
  assert.deepEqual(read(queue.get('x')!.source), bytes);
  await queue.close();
});

test('the same id again does nothing: while it waits, and after it is done', async () => {
  const directory = folder();
  let queue = open({ directory });
  const { attempts, handlers } = recorder();
  await queue.enqueue([entry('T1/r1/0')], memory());
  await Promise.all([
    queue.enqueue([entry('T1/r1/0')], memory()),
    queue.enqueue([entry('T1/r1/0')], memory()),
  ]);
  assert.equal(queue.list().length, 1);
  queue.start(handlers);
  await until(empty(queue));
  await queue.enqueue([entry('T1/r1/0')], memory());
  await queue.close();
  queue = open({ directory });
  queue.start(handlers);
  await queue.enqueue([entry('T1/r1/0')], memory());
  await sleep(30);
  assert.equal(attempts.length, 1);
  assert.deepEqual(messageFiles(directory), []);
  await queue.close();
});

test('done ids are forgotten after days, not before', () => {
  const database = openDatabase({ path: join(folder(), 'queue.db'), steps, synchronous: 'normal' });
  const entries = new Entries(database);
  entries.add([entry('T1/r1/0'), entry('T2/r1/0')], { length: 1 }, 1000, 0);
  entries.finish('T1/r1/0', 1000);
  entries.finish('T2/r1/0', 2000);
  assert.equal(entries.forgetDone(2000, 10), 1);
  assert.deepEqual([entries.rows.isKnown('T1/r1/0'), entries.rows.isKnown('T2/r1/0')], [false, true]);
  database.close();
});

test('what is due is found through an index, and nothing is sorted, whatever the number of entries', () => {
  const asked: string[] = [];
  const database = openDatabase({ path: join(folder(), 'queue.db'), steps, synchronous: 'normal' });
  const prepare = database.prepare.bind(database);
  database.prepare = (sql) => {
    asked.push(sql);
    return prepare(sql);
  };
  const entries = new Entries(database);
  entries.rows.first('', '');
  entries.rows.dueFor('', 0, 1);
  for (const _ of entries.rows.lanes()) assert.fail('an empty queue has no lane');
  assert.equal(asked.length, 3);
  for (const sql of asked) {
    const plan = prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    assert.match(String(plan[0]?.detail), /USING (COVERING )?INDEX entries_lane/);
    assert.equal(plan.length, 1, JSON.stringify(plan));
  }
  database.close();
});

test('an entry has its own envelope, though the database gives numbers of what is gone again', async () => {
  const queue = open();
  for (const sender of ['first@a.test', 'second@b.test']) {
    const id = `${sender}/r1/0`;
    const envelope = { ...entry(id).envelope, sender };
    await queue.enqueue([{ ...entry(id), transactionId: sender, envelope }], memory());
    assert.equal(queue.get(id)?.entry.envelope.sender, sender);
    await queue.remove(id);
  }
});

test('entries of two transactions in one call are a bug', async () => {
  const queue = open();
  await assert.rejects(queue.enqueue([entry('T1/r1/0'), entry('T2/r1/0')], memory()), TypeError);
  await queue.enqueue([], memory());
  assert.deepEqual(queue.list(), []);
  await queue.close();
});

test('retries until it is done; a handler that throws counts as a retry', async () => {
  const queue = open();
  const { attempts, expired, handlers } = recorder({ outcome: 'retry', reason: 'busy' }, new Error('bug'), {
    outcome: 'done',
  });
  await queue.enqueue([entry('T1/r1/0')], memory());
  queue.start(handlers);
  await until(() => attempts.length === 1 && queue.list()[0]?.status === 'waiting');
  assert.equal(queue.list()[0]!.lastError, 'busy');
  await until(empty(queue));
  assert.deepEqual(
    attempts.map((one) => one.attempts),
    [1, 2, 3],
  );
  assert.deepEqual(new Set(attempts.map((one) => one.content)), new Set([bytes.toString('latin1')]));
  assert.deepEqual(expired, []);
  await queue.close();
});

test('what failed is told, once it could be told, and then gone', async () => {
  const directory = folder();
  const queue = open({ directory });
  const { attempts, expired, handlers } = recorder({
    outcome: 'failed',
    reply: { code: 550, enhanced: '5.1.1', text: 'nobody' },
  });
  let refusals = 2;
  const told = handlers.expired;
  handlers.expired = async (...what) => {
    if (refusals-- > 0) throw new Error('cannot bounce now');
    return told(...what);
  };
  await queue.enqueue([entry('T1/r1/0')], memory());
  queue.start(handlers);
  await until(() => queue.list()[0]?.status === 'failed' && refusals < 2);
  await until(empty(queue));
  assert.equal(attempts.length, 1, 'it is not attempted again');
  assert.deepEqual(expired, [{ id: 'T1/r1/0', code: 550, text: 'nobody', length: bytes.length }]);
  await until(() => messageFiles(directory).length === 0);
  await queue.close();
});

test('given up, and nobody can be told: held with the reason, until an operator lets it go on', async () => {
  const queue = open({ directory: folder() });
  const { attempts, handlers } = recorder(
    { outcome: 'failed', reply: { code: 550, enhanced: '5.1.1', text: 'nobody' } },
    { outcome: 'done' },
  );
  handlers.expired = async () => ({ hold: 'nobody to tell' });
  await queue.enqueue([entry('T1/r1/0')], memory());
  queue.start(handlers);
  await until(() => queue.list()[0]?.status === 'held');
  assert.equal(queue.list()[0]?.lastError, 'nobody to tell');
  assert.equal(await queue.release('T1/r1/0'), true);
  await until(empty(queue));
  assert.equal(attempts.length, 2);
  await queue.close();
});

test('an entry past its time gets one more attempt, and is then given up with 5.4.7', async () => {
  const queue = open({ expireSeconds: 10 });
  const { attempts, expired, handlers } = recorder({ outcome: 'retry', reason: 'no route' });
  await queue.enqueue([entry('T1/r1/0', { createdAt: Date.now() - 60_000 })], memory());
  queue.start(handlers);
  await until(empty(queue));
  assert.equal(attempts.length, 1);
  assert.deepEqual(expired, [
    { id: 'T1/r1/0', code: 554, text: 'delivery time expired: no route', length: bytes.length },
  ]);
  await queue.close();
});

for (const concurrency of [1, 3]) {
  test(`no more than ${concurrency} at once, and in the order they are due`, async () => {
    const queue = open({ concurrency });
    let now = 0;
    let most = 0;
    const order: string[] = [];
    const ids = Array.from({ length: 12 }, (_, index) => `T${index}/r1/0`);
    for (const [index, id] of ids.entries()) {
      await queue.enqueue([entry(id, { notBefore: Date.now() - 1000 + index })], memory());
    }
    queue.start({
      async attempt(one) {
        order.push(one.id);
        most = Math.max(most, ++now);
        await sleep(5);
        now--;
        return { outcome: 'done' };
      },
      async expired() {},
    });
    await until(empty(queue));
    assert.equal(most, concurrency);
    // Several at once may overtake each other on their way to the handler.
    assert.deepEqual(concurrency === 1 ? order : order.toSorted(), concurrency === 1 ? ids : ids.toSorted());
    await queue.close();
  });
}

test('nothing before its time', async () => {
  const queue = open();
  const { attempts, handlers } = recorder();
  await queue.enqueue([entry('T1/r1/0', { notBefore: Date.now() + 200 })], memory());
  queue.start(handlers);
  await sleep(100);
  assert.equal(attempts.length, 0);
  await until(() => attempts.length === 1);
  await queue.close();
});

test('held mail waits for release; hold, retry and remove do what they say', async () => {
  const queue = open({ retrySeconds: [3600] });
  const { attempts, handlers } = recorder({ outcome: 'retry', reason: 'later' }, { outcome: 'done' });
  const held = { kind: 'held', reason: 'virus', recipients: [], context: {} } as const;
  await queue.enqueue([entry('H1/r1/0', { work: held, createdAt: 1000 })], memory());
  queue.start(handlers);
  await sleep(30);
  assert.deepEqual([attempts.length, queue.list({ status: 'held' }).length], [0, 1]);
  assert.equal(await queue.retry('H1/r1/0'), false);
  assert.equal(await queue.hold('H1/r1/0', 'again'), false);
  assert.equal(await queue.release('H1/r1/0'), true);
  assert.ok(queue.get('H1/r1/0')!.entry.expiresAt > Date.now(), 'months in quarantine do not expire it');
  await until(() => queue.list({ status: 'waiting' }).length === 1 && attempts.length === 1);
  assert.equal(await queue.hold('H1/r1/0', 'operator'), true);
  assert.deepEqual([queue.list()[0]!.status, queue.list()[0]!.lastError], ['held', 'operator']);
  await queue.release('H1/r1/0');
  await until(empty(queue));
  for (const change of [
    queue.retry('H1/r1/0'),
    queue.release('none'),
    queue.hold('none', ''),
    queue.remove('none'),
  ]) {
    assert.equal(await change, false);
  }
  await queue.close();
});

test('an entry held, or removed, while an attempt runs', async () => {
  const queue = open();
  const gates = new Map<string, PromiseWithResolvers<Attempt>>();
  queue.start({
    attempt(one) {
      const gate = Promise.withResolvers<Attempt>();
      gates.set(one.id, gate);
      return gate.promise;
    },
    async expired() {},
  });
  await queue.enqueue([entry('T1/r1/0')], memory());
  await queue.enqueue([entry('T2/r1/0')], memory());
  await queue.enqueue([entry('T3/r1/0')], memory());
  await until(() => gates.size === 3);
  await queue.hold('T1/r1/0', 'operator');
  await queue.hold('T2/r1/0', 'operator');
  await queue.remove('T3/r1/0');
  gates.get('T1/r1/0')!.resolve({ outcome: 'retry', reason: 'later' });
  gates.get('T2/r1/0')!.resolve({ outcome: 'done' });
  gates.get('T3/r1/0')!.resolve({ outcome: 'retry', reason: 'later' });
  await until(() => queue.list().length === 1);
  assert.deepEqual([queue.list()[0]!.id, queue.list()[0]!.status], ['T1/r1/0', 'held']);
  await queue.close();
});

test('lists by state and transaction, in pages', async () => {
  const queue = open();
  for (const id of ['A/r1/0', 'B/r1/0', 'A/r2/0', 'C/r1/0']) await queue.enqueue([entry(id)], memory());
  await queue.hold('B/r1/0', 'x');
  const ids = (filter: Parameters<Queue['list']>[0]) => queue.list(filter).map(({ id }) => id);
  assert.deepEqual(ids({ transactionId: 'A' }), ['A/r1/0', 'A/r2/0']);
  assert.deepEqual(ids({ status: 'held' }), ['B/r1/0']);
  assert.deepEqual(ids({ limit: 2 }), ['A/r1/0', 'B/r1/0']);
  assert.deepEqual(ids({ after: 'B/r1/0', limit: 1 }), ['A/r2/0']);
  assert.deepEqual(queue.count(), { waiting: 3, active: 0, held: 1, failed: 0 });
  await queue.close();
});

test('another process may look', async () => {
  const directory = folder();
  assert.throws(() => readQueue(directory), { code: 'database-unreadable' });
  const queue = open({ directory });
  await queue.enqueue([entry('A/r1/0')], memory());
  const reader = readQueue(directory);
  assert.equal(reader.list()[0]!.id, 'A/r1/0');
  // What the entries of one message share has a number that goes to the next message's.
  await queue.remove('A/r1/0');
  const envelope = { ...entry('B/r1/0').envelope, sender: 'other@b.test' };
  await queue.enqueue([entry('B/r1/0', { envelope })], memory());
  assert.equal(reader.list()[0]!.envelope.sender, 'other@b.test');
  assert.equal(reader.get('A/r1/0'), undefined);
  reader.close();
  await queue.close();
});

test('a message file that is gone: said loudly, and the sender is told', async () => {
  const directory = folder();
  const lines: string[] = [];
  const log = createLog({ level: 'info', write: (line) => lines.push(line) });
  const first = open({ directory });
  await first.enqueue([entry('T1/r1/0')], memory());
  await first.enqueue([entry('T2/r1/0')], memory());
  await first.close();
  unlinkSync(join(directory, 'messages/T1.eml'));
  writeFileSync(join(directory, 'messages/T2.eml'), 'short');
  const queue = open({ directory, log });
  const { attempts, expired, handlers } = recorder();
  queue.start(handlers);
  assert.equal(lines.filter((line) => line.includes('queue-message-missing')).length, 1);
  await until(empty(queue));
  assert.deepEqual(attempts, []);
  assert.deepEqual(expired.map(({ id, code, length }) => [id, code, length]).sort(), [
    ['T1/r1/0', 554, 0],
    ['T2/r1/0', 554, 0],
  ]);
  await queue.close();
});

test('a message whose file cannot be read is tried again, and given up no sooner than others', async () => {
  const directory = folder();
  const first = open({ directory });
  await first.enqueue([entry('T1/r1/0')], memory());
  await first.close();
  const file = join(directory, 'messages/T1.eml');
  const text = readFileSync(file);
  unlinkSync(file);
  // Neither there nor not there: ELOOP.
  symlinkSync(file, file);
  const queue = open({ directory });
  const { attempts, handlers } = recorder();
  queue.start(handlers);
  await until(() => queue.list()[0]?.lastError.includes('ELOOP') === true);
  assert.deepEqual(attempts, []);
  writeFileSync(`${file}.whole`, text);
  renameSync(`${file}.whole`, file);
  await until(empty(queue));
  assert.equal(attempts.length, 1);
  await queue.close();
});

test('files of no entry are removed at start, but kept when the database itself was lost', async () => {
  const directory = folder();
  await open({ directory }).close();
  writeFileSync(join(directory, 'messages/STRAY.eml'), 'x');
  writeFileSync(join(directory, 'messages/T9.eml.tmp'), 'x');
  const queue = open({ directory });
  assert.deepEqual(messageFiles(directory), []);
  await queue.enqueue([entry('T1/r1/0')], memory());
  await queue.close();
  for (const name of readdirSync(directory))
    if (name.startsWith('queue.db')) unlinkSync(join(directory, name));
  await open({ directory }).close();
  assert.deepEqual(readdirSync(join(directory, 'lost')), ['T1.eml']);
});

test('a damaged database is not begun anew: it holds mail', async () => {
  const directory = folder();
  mkdirSync(directory);
  writeFileSync(join(directory, 'queue.db'), 'x'.repeat(5000));
  assert.throws(() => open({ directory }), { code: 'queue-corrupt', message: /\.recover/ });
});

test('a message that cannot be written is refused, and leaves nothing', async () => {
  const directory = folder();
  const queue = open({ directory });
  const gone: MessageSource = { kind: 'file', path: join(root, 'gone'), length: 5 };
  await assert.rejects(queue.enqueue([entry('T1/r1/0')], gone), { temporary: true, code: 'storage-failed' });
  assert.deepEqual([queue.list(), messageFiles(directory)], [[], []]);
  const path = join(root, 'linked');
  writeFileSync(path, bytes);
  linkSync(path, join(directory, 'messages/T1.eml.tmp'));
  await queue.enqueue([entry('T1/r1/0')], { kind: 'file', path, length: bytes.length });
  assert.deepEqual(messageFiles(directory), ['T1.eml']);
  await queue.close();
});

test('a clock set back does not make mail wait for the date it had', async () => {
  const clock = new TestClock();
  const directory = folder();
  const hour = 3_600_000;
  clock.offset = 10 * hour;
  let queue = open({ directory, clock, retrySeconds: [0.2] });
  const { attempts, handlers } = recorder({ outcome: 'retry', reason: 'x' }, { outcome: 'done' });
  await queue.enqueue([entry('T1/r1/0', { createdAt: clock.now() })], memory());
  queue.start(handlers);
  await until(() => attempts.length === 1 && queue.list()[0]?.status === 'waiting');
  clock.offset = 0;
  await queue.retry('none');
  await until(() => (queue.get('T1/r1/0')?.entry.expiresAt ?? 0) < Date.now() + hour, 'the new dates');
  await until(empty(queue));
  clock.offset = 10 * hour;
  await queue.enqueue([entry('T2/r1/0', { createdAt: clock.now(), notBefore: clock.now() + 300 })], memory());
  await queue.close();
  clock.offset = -10 * hour;
  queue = open({ directory, clock });
  queue.start(handlers);
  await until(empty(queue));
  assert.equal(attempts.length, 3);
  await queue.close();
});

test('a clock set ahead brings an attempt forward, and gives nothing up without one', async () => {
  const clock = new TestClock();
  const queue = open({ clock, retrySeconds: [3600], expireSeconds: 432_000 });
  const { attempts, expired, handlers } = recorder({ outcome: 'retry', reason: 'x' }, { outcome: 'done' });
  await queue.enqueue([entry('T1/r1/0')], memory());
  queue.start(handlers);
  await until(() => attempts.length === 1 && queue.list()[0]?.status === 'waiting');
  clock.offset = 1e10;
  await queue.enqueue([], memory());
  await queue.enqueue([entry('T2/r1/0')], memory());
  await until(empty(queue));
  assert.deepEqual(expired, []);
  await queue.close();
});

test('a large queue is opened and worked on without being loaded', async () => {
  const directory = folder();
  await open({ directory }).close();
  const count = 100_000;
  const database = new DatabaseSync(join(directory, 'queue.db'));
  const { serialize } = await import('node:v8');
  const context = serialize({ envelope: { sender: '', recipients: [] }, edits: [] });
  const work = serialize({ kind: 'store', store: {} });
  database.exec('BEGIN');
  database.prepare('INSERT INTO messages VALUES (?, ?, 1)').run('BIG', bytes.length);
  database.prepare('INSERT INTO contexts VALUES (1, ?, ?)').run('BIG', context);
  const insert = database.prepare(
    `INSERT INTO entries (id, message, context, status, attempts, created_at, next_attempt_at, scheduled_at, expires_at, last_error, work)
     VALUES (?, 'BIG', 1, 'waiting', 0, 0, ?, 0, 9e15, '', ?)`,
  );
  for (let index = 0; index < count; index++) insert.run(`BIG/r${index}/0`, index, work);
  database.exec('COMMIT');
  database.close();
  writeFileSync(join(directory, 'messages/BIG.eml'), bytes);
  const before = process.memoryUsage().heapUsed;
  const queue = open({ directory });
  const { attempts, handlers } = recorder();
  queue.start(handlers);
  await until(() => attempts.length >= 50);
  const grown = process.memoryUsage().heapUsed - before;
  await queue.close();
  assert.ok(grown < 30e6, `heap grew by ${grown}`);
  const places = attempts.slice(0, 10).map(({ id }) => Number(/\d+/.exec(id)![0]));
  assert.ok(Math.max(...places) < 30, 'the longest due come first');
});

test('mail that comes when the queue has emptied has its own envelope and edits, not those of the mail before', async () => {
  const queue = open();
  const seen: QueueEntry[] = [];
  const { handlers } = recorder();
  queue.start({
    ...handlers,
    async attempt(one) {
      seen.push(one);
      return { outcome: 'done' };
    },
  });
  const letters = ['first', 'second', 'third'].map((name) =>
    entry(`${name}/r1/0`, {
      envelope: { ...entry('').envelope, sender: `${name}@b.test` },
      edits: [{ type: 'insertHeader', index: 0, name: 'X-Letter', value: name }],
    }),
  );
  for (const [index, letter] of letters.entries()) {
    await queue.enqueue([letter], memory());
    await until(() => seen.length === index + 1 && queue.list().length === 0, letter.id);
  }
  assert.deepEqual(
    seen.map(({ envelope, edits }) => ({ envelope, edits })),
    letters.map(({ envelope, edits }) => ({ envelope, edits })),
  );
});
