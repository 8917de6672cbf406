/** The queue and its destinations: recipients that go together, dead domains among many, one report for all, and a hundred thousand that wait. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { serialize } from 'node:v8';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import type { DsnNotify } from '../../core/mail/envelope.ts';
import { openQueue } from '../../src/queue/open.ts';
import type { Attempt, Failure, NewQueueEntry, QueueEntry, RelayAttempt } from '../../src/queue/queue.ts';
import { memorySource } from '../kit/message-source.ts';
import { until } from '../kit/server.ts';

const message = Buffer.from('Subject: x\r\n\r\nx\r\n');

function open(t: TestContext, more: Partial<Parameters<typeof openQueue>[0]> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'queue-destinations-'));
  const queue = openQueue({
    directory,
    retrySeconds: [0.2],
    expireSeconds: 1000,
    clock: systemClock,
    log: silentLog,
    ...more,
  });
  t.after(async () => {
    await queue.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { queue, directory };
}

/** One relay for each address, of one message. */
function relays(
  id: string,
  addresses: readonly string[],
  notify: readonly DsnNotify[] = [],
): NewQueueEntry[] {
  const envelope = {
    sender: 'a@ours.test',
    recipients: [],
    body: '7bit',
    smtputf8: false,
    requireTls: false,
  } as const;
  return addresses.map((address, index) => ({
    id: `${id}/r${index}/0`,
    transactionId: id,
    work: { kind: 'relay', via: 'mx', recipients: [{ id: `r${index}`, address, original: address, notify }] },
    envelope,
    edits: [],
    createdAt: Date.now(),
  }));
}

const addressOf = ({ work }: QueueEntry) => (work.kind === 'relay' ? work.recipients[0]!.address : '');

/** Handlers that say done, but for what `answer` knows better. */
function handlers(answer: (address: string) => Attempt | 'down' | undefined = () => undefined) {
  const groups: string[][] = [];
  const told: Failure[][] = [];
  const own: QueueEntry[] = [];
  return {
    groups,
    told,
    own,
    async attempt(entry: QueueEntry): Promise<Attempt> {
      own.push(entry);
      return { outcome: 'done' };
    },
    async relay(entries: readonly QueueEntry[]): Promise<RelayAttempt> {
      const addresses = entries.map(addressOf);
      groups.push(addresses);
      const answers = addresses.map(answer);
      const attempts = answers.map((each): Attempt => {
        if (each === 'down') return { outcome: 'retry', reason: 'no connection' };
        return each ?? { outcome: 'done' };
      });
      return { attempts, destination: answers.includes('down') ? 'down' : 'up' };
    },
    async expired(failures: readonly Failure[]): Promise<void> {
      told.push([...failures]);
    },
  };
}

test('10,000 recipients over 500 domains, one of them dead: each domain in one attempt, nobody waits for the dead', async (t) => {
  const { queue } = open(t);
  const addresses = Array.from({ length: 10_000 }, (_, index) => `u${index}@d${index % 500}.test`);
  await queue.enqueue(relays('BIG', addresses), memorySource(message));
  const asked = handlers((address) => (address.endsWith('@d7.test') ? 'down' : undefined));
  queue.start(asked);
  await until('all but the dead', () => queue.count().waiting + queue.count().active <= 20, 60_000);
  const alive = asked.groups.filter(([first]) => !first!.endsWith('@d7.test'));
  assert.equal(alive.length, 499);
  for (const group of alive) assert.equal(group.length, 20);
  await until('the dead to rest', () => queue.resting().length === 1);
  assert.equal(queue.resting()[0]?.destination, 'd7.test');
});

test('what fails together is told together; what was delivered is not', async (t) => {
  const { queue } = open(t);
  const addresses = ['a@x.test', 'b@x.test', 'c@y.test', 'd@y.test'];
  await queue.enqueue(relays('T1', addresses), memorySource(message));
  const failed: Attempt = { outcome: 'failed', reply: { code: 550, enhanced: '5.1.1', text: 'no' } };
  const asked = handlers((address) =>
    address.startsWith('a') || address.startsWith('c') ? failed : undefined,
  );
  queue.start(asked);
  await until('an empty queue', () => Object.values(queue.count()).every((count) => count === 0));
  assert.deepEqual(
    asked.told.map((failures) => failures.map(({ entry }) => addressOf(entry)).sort()),
    [['a@x.test', 'c@y.test']],
  );
});

test('a handler that answers for each recipient: later ones wait, alone', async (t) => {
  const { queue } = open(t);
  await queue.enqueue(relays('T1', ['a@x.test', 'b@x.test']), memorySource(message));
  let turns = 0;
  const later: Attempt = { outcome: 'retry', reason: '451 later' };
  const asked = handlers((address) => (address.startsWith('b') && turns++ === 0 ? later : undefined));
  queue.start(asked);
  await until('an empty queue', () => Object.values(queue.count()).every((count) => count === 0));
  assert.deepEqual(asked.groups, [['a@x.test', 'b@x.test'], ['b@x.test']]);
});

test('recipients that were put off together are tried again together', async (t) => {
  const { queue } = open(t, { retrySeconds: [1] });
  const addresses = Array.from({ length: 50 }, (_, index) => `r${index}@grey.test`);
  const asked: string[][] = [];
  queue.start({
    async attempt() {
      return { outcome: 'done' };
    },
    async expired() {},
    async relay(entries) {
      asked.push(entries.map(addressOf));
      const attempt: Attempt =
        asked.length === 1 ? { outcome: 'retry', reason: '451 come back' } : { outcome: 'done' };
      return { attempts: entries.map(() => attempt), destination: 'up' };
    },
  });
  await queue.enqueue(relays('T1', addresses), memorySource(message));
  await until('an empty queue', () => queue.list().length === 0);
  assert.deepEqual(asked, [addresses, addresses]);
});

test('what the send hooks made is there at the next attempt', async (t) => {
  const { queue } = open(t);
  await queue.enqueue(relays('T1', ['a@x.test']), memorySource(message));
  const seen: unknown[] = [];
  const sent = { sender: 'srs@ours.test', edits: [] };
  queue.start({
    ...handlers(),
    async relay([entry], _source, keep) {
      const { work } = entry!;
      seen.push(work.kind === 'relay' && work.sent);
      if (seen.length === 1) await keep(sent);
      const attempt: Attempt = seen.length === 1 ? { outcome: 'retry', reason: 'x' } : { outcome: 'done' };
      return { attempts: [attempt], destination: 'up' };
    },
  });
  await until('two attempts', () => seen.length === 2);
  assert.deepEqual(seen, [undefined, sent]);
});

const notices: readonly { name: string; notify: DsnNotify[]; seconds: number; want: number }[] = [
  { name: 'nothing said', notify: [], seconds: 1, want: 1 },
  { name: 'nothing said, and turned off', notify: [], seconds: 0, want: 0 },
  { name: 'DELAY', notify: ['delay'], seconds: 1, want: 1 },
  { name: 'FAILURE alone', notify: ['failure'], seconds: 1, want: 0 },
];
for (const { name, notify, seconds, want } of notices) {
  test(`a notice of delay, once for all recipients: ${name}`, async (t) => {
    const { queue } = open(t, { delayNoticeSeconds: seconds });
    const entries = relays('T1', ['a@x.test', 'b@x.test'], notify).map((entry) => ({
      ...entry,
      createdAt: Date.now() - 5000,
    }));
    await queue.enqueue(entries, memorySource(message));
    const asked = handlers(() => ({ outcome: 'retry', reason: '451 later' }));
    queue.start(asked);
    await until('four attempts', () => asked.groups.length >= 4);
    assert.equal(asked.own.length, want);
    const work = asked.own[0]?.work;
    if (want > 0) assert.equal(work?.kind === 'notice' && work.reports.length, 2);
  });
}

test('a hundred thousand messages for a thousand domains wait: open at once, little memory, all domains get their turn', async (t) => {
  const { queue: first, directory } = open(t);
  await first.close();
  const database = new DatabaseSync(join(directory, 'queue.db'));
  const context = serialize({ envelope: relays('x', ['a@b'])[0]!.envelope, edits: [] });
  database.exec('BEGIN');
  database.prepare('INSERT INTO messages VALUES (?, ?, 1)').run('BIG', message.length);
  database.prepare('INSERT INTO contexts VALUES (1, ?, ?)').run('BIG', context);
  const insert = database.prepare(
    `INSERT INTO entries (id, message, context, status, attempts, created_at, next_attempt_at, scheduled_at, expires_at,
       last_error, work, destination, lane, sender) VALUES (?, 'BIG', 1, 'waiting', 0, 0, ?, 0, 9e15, '', ?, ?, ?, ?)`,
  );
  for (let index = 0; index < 100_000; index++) {
    const domain = `d${index % 1000}.test`;
    // Each its own content, so that none shares the attempt of another.
    const edits = [{ type: 'addHeader', name: 'X-N', value: String(index) }];
    const recipient = { id: 'r1', address: `u${index}@${domain}`, original: '', notify: [] };
    const work = serialize({ kind: 'relay', via: 'mx', recipients: [recipient], edits });
    insert.run(`BIG/r${index}/0`, index, work, domain, domain, `s${index % 50}@ours.test`);
  }
  database.exec('COMMIT');
  database.close();
  writeFileSync(join(directory, 'messages/BIG.eml'), message);
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const queue = openQueue({
    directory,
    retrySeconds: [60],
    expireSeconds: 1000,
    clock: systemClock,
    log: silentLog,
  });
  const asked = handlers();
  queue.start(asked);
  await until('300 attempts', () => asked.groups.length >= 300, 60_000);
  const ms = performance.now() - start;
  await queue.close();
  t.diagnostic(
    `300 attempts after ${Math.round(ms)} ms, ${Math.round((process.memoryUsage().rss - before) / 1e6)} MB`,
  );
  assert.ok(process.memoryUsage().rss - before < 300e6);
  const domains = new Set(asked.groups.slice(0, 300).map(([address]) => address!.split('@')[1]));
  assert.ok(domains.size > 250, `${domains.size} domains among the first 300 attempts`);
});
