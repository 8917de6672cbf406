/** Traces: found by every id, appended to, bounded in time and bytes, readable while they are written. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { createLog, silentLog } from '../../../core/base/log.ts';
import { openTraceStore, type TraceHead } from '../../../core/state/trace-store.ts';

interface Trace extends TraceHead {
  readonly facts?: unknown;
}
const root = mkdtempSync(join(tmpdir(), 'trace-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const day = 86_400_000;

function open(
  more: {
    directory?: string;
    retentionDays?: number;
    retentionBytes?: number;
    readOnly?: boolean;
    now?: () => number;
  } = {},
) {
  const { now = () => 100 * day, ...init } = more;
  const store = openTraceStore<Trace>({
    directory: join(root, String(++folders)),
    retentionDays: 7,
    retentionBytes: 2 ** 30,
    clock: { now, monotonicMs: () => 0 },
    log: silentLog,
    ...init,
  });
  return store;
}
const record = (id: string, more: Partial<Trace> = {}): Trace => ({
  id,
  at: 100 * day,
  messageId: `<${id}@x.test>`,
  ...more,
});

test('found by transaction id, action id, and Message-ID with and without brackets', () => {
  const store = open();
  store.write(record('AB1', { facts: { a: [1, 'ü'] } }));
  store.write(record('AB2', { messageId: 'odd/<id>@x.test' }));
  store.write(record('AB3', { messageId: '' }));
  for (const id of ['AB1', 'ab1', 'AB1/r1/0', '<AB1@x.test>', 'AB1@x.test', ' AB1 ']) {
    assert.deepEqual(store.find(id), { ...record('AB1', { facts: { a: [1, 'ü'] } }), parts: [] }, id);
  }
  assert.equal(store.find('odd/<id>@x.test')?.id, 'AB2');
  for (const id of ['', '<>', 'AB', 'AB4', '%']) assert.equal(store.find(id), undefined, id);
  store.close();
});

test('what happened later is found with the record, in order, wherever it was written from', () => {
  const store = open();
  store.append('AB1/r1/0', { at: 1, event: 'stored', path: '/mail/1' });
  store.write(record('AB1'));
  store.append('AB1', { at: 2, event: 'attempt', outcome: 'done' });
  store.append('AB2/r1/0', { at: 3, event: 'stored' });
  assert.deepEqual(store.find('AB1')?.parts, [
    { at: 1, event: 'stored', path: '/mail/1' },
    { at: 2, event: 'attempt', outcome: 'done' },
  ]);
  store.close();
});

test('what happened before and long after is told in the order of time', () => {
  const store = open();
  store.append('AB1/r1/0', { at: 1, event: 'deferred' });
  store.flush();
  store.write(record('AB1'));
  store.append('AB1/r2/0', { at: 2, event: 'stored' });
  store.flush();
  store.append('AB1/r1/0', { at: 3, event: 'stored' });
  assert.deepEqual(
    store.find('AB1')?.parts.map(({ at }) => at),
    [1, 2, 3],
  );
  store.close();
});

test('a file of the first version is read and goes on', () => {
  const directory = join(root, 'first');
  mkdirSync(directory);
  const first = new DatabaseSync(join(directory, 'trace.db'));
  first.exec(`CREATE TABLE traces (number INTEGER PRIMARY KEY, id TEXT NOT NULL, message_id TEXT NOT NULL,
      at INTEGER NOT NULL, record TEXT NOT NULL);
    CREATE INDEX traces_id ON traces (id);
    CREATE INDEX traces_message_id ON traces (message_id) WHERE message_id <> '';
    CREATE TABLE parts (number INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, part TEXT NOT NULL);
    CREATE INDEX parts_id ON parts (id);
    INSERT INTO traces (id, message_id, at, record) VALUES ('AB1', 'AB1@x.test', 1, '{"id":"AB1","at":1}');
    INSERT INTO parts (id, at, part) VALUES ('AB1', 2, '{"at":2,"event":"stored"}');
    PRAGMA user_version = 1`);
  first.close();
  const store = open({ directory });
  store.append('AB1', { at: 3, event: 'moved' });
  assert.deepEqual(
    store.find('AB1@x.test')?.parts.map(({ event }) => event),
    ['stored', 'moved'],
  );
  store.close();
});

test('the newest of several with one Message-ID, and all of them', () => {
  const store = open();
  for (const id of ['A1', 'A2', 'A3']) store.write(record(id, { messageId: '<same@x.test>' }));
  assert.equal(store.find('same@x.test')?.id, 'A3');
  assert.deepEqual(
    store.findAll('same@x.test', 2).map(({ id }) => id),
    ['A3', 'A2'],
  );
  assert.deepEqual(
    store.recent(2).map(({ id }) => id),
    ['A3', 'A2'],
  );
  store.close();
});

test('another process reads while this one writes', () => {
  const directory = join(root, 'shared');
  const store = open({ directory });
  store.write(record('AB1'));
  store.flush();
  const script = `import { openTraceStore } from ${JSON.stringify(new URL('../../../core/state/trace-store.ts', import.meta.url).href)};
    const store = openTraceStore({ directory: ${JSON.stringify(directory)}, readOnly: true, retentionDays: 0, retentionBytes: 0, clock: { now: Date.now }, log: {} });
    console.log(store.find('AB1')?.id, store.find('AB2'));
    store.close();`;
  const read = () =>
    execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
    }).trim();
  assert.equal(read(), 'AB1 undefined');
  store.write(record('AB3'));
  store.close();
  assert.equal(read(), 'AB1 undefined', 'and after it ended');
});

test('reading what is not there is an error, and makes nothing', () => {
  const directory = join(root, 'none');
  assert.throws(() => open({ directory, readOnly: true }), { code: 'database-unreadable' });
  assert.throws(() => readdirSync(directory));
});

test('what is older than its days goes, a bounded number at a time', () => {
  let now = 100 * day;
  const store = open({ retentionDays: 2, now: () => now });
  for (let index = 0; index < 700; index++) store.write(record(`A${index}`));
  store.append('A0', { at: now, event: 'stored' });
  now += 1.9 * day;
  store.write(record('young', { at: now }));
  store.flush();
  assert.equal(store.prune(), 0);
  now += 0.2 * day;
  assert.deepEqual([store.prune(), store.prune(), store.prune(), store.prune()], [300, 300, 100, 0]);
  assert.equal(store.find('A0'), undefined);
  store.write(record('A0', { at: now }));
  assert.deepEqual(store.find('A0')?.parts, [], 'parts went too');
  assert.equal(store.find('young')?.id, 'young');
  store.close();
});

test('the file stays within its octets, the newest stay', () => {
  const directory = join(root, 'bounded');
  const store = open({ directory, retentionBytes: 1_000_000 });
  for (let index = 0; index < 3000; index++) store.write(record(`A${index}`, { facts: 'x'.repeat(2000) }));
  assert.equal(store.find('A2999')?.id, 'A2999');
  assert.equal(store.find('A0'), undefined);
  assert.ok(store.recent(1000).length > 100);
  store.close();
  assert.ok(statSync(join(directory, 'trace.db')).size < 1_500_000);
});

test('a record that is too large keeps its head', () => {
  const store = open();
  store.write(record('AB1', { facts: 'x'.repeat(1_000_000) }));
  assert.deepEqual(store.find('AB1'), {
    ...record('AB1'),
    facts: '(1000002 characters, too many to keep)',
    parts: [],
  });
  store.close();
});

test('a file that is damaged while in use costs traces, is reported, and is begun anew', () => {
  const directory = join(root, 'damaged');
  const first = open({ directory });
  for (let index = 0; index < 300; index++) first.write(record(`A${index}`, { facts: 'x'.repeat(3000) }));
  first.close();
  writeFileSync(join(directory, 'trace.db'), Buffer.alloc(200_000, 0x55));
  const lines: string[] = [];
  const store = openTraceStore<Trace>({
    directory,
    retentionDays: 7,
    retentionBytes: 2 ** 30,
    clock: { now: () => 100 * day, monotonicMs: () => 0 },
    log: createLog({ level: 'info', write: (line) => lines.push(line) }),
  });
  store.write(record('AB1'));
  assert.equal(store.find('AB1')?.id, 'AB1');
  store.close();
  assert.ok(lines.some((line) => line.includes('database-replaced')));
});
