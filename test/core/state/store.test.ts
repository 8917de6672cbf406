/** State: the same promises from every engine, and what only the file can do. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../core/base/clock.ts';
import { stateKeysMax, stateSweepRows } from '../../../core/base/limits/state.ts';
import { createLog, silentLog } from '../../../core/base/log.ts';
import type { PluginState } from '../../../core/plugin/hooks.ts';
import { CommitGroup } from '../../../core/state/commit-group.ts';
import { prefixEnd } from '../../../core/state/entry.ts';
import { openDatabase } from '../../../core/state/sqlite-file.ts';
import { openState, type StateStore } from '../../../core/state/store.ts';

const root = mkdtempSync(join(tmpdir(), 'state-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const folder = () => join(root, String(++folders));

class TestClock implements Clock {
  time = 1_000_000;
  now = () => this.time;
  monotonicMs = () => this.time;
}

for (const engine of ['sqlite', 'memory'] as const) {
  const withState = (
    name: string,
    run: (state: PluginState, clock: TestClock, store: StateStore) => Promise<void>,
  ) =>
    test(`${engine}: ${name}`, async () => {
      const clock = new TestClock();
      const store = openState({ engine, directory: folder(), clock, log: silentLog });
      try {
        await run(store.forPlugin('one'), clock, store);
      } finally {
        await store.close();
      }
    });

  withState('what is set is got, until it is deleted', async (state) => {
    for (const value of [null, false, 0, 1.5, '', 'ä\0\u{10ffff}', [1, [2]], { a: { b: null } }]) {
      await state.set('key', value);
      assert.deepEqual(await state.get('key'), value);
    }
    await state.delete('key');
    await state.delete('key');
    assert.equal(await state.get('key'), undefined);
  });

  withState('many keys are read, and raised, in one question', async (state, clock) => {
    await state.set('word', 'x');
    await state.incrementAll(['a', 'b', 'a'], 2, { ttlSeconds: 10 });
    clock.time += 9000;
    await state.incrementAll(['b'], 1, { ttlSeconds: 10 });
    assert.deepEqual(await state.getAll(['a', 'b', 'word', 'absent']), { a: 2, b: 3, word: 'x' });
    const odd = ['12', 'null', '"q\\', 'a\0b', '\u{1f600}', '\uFFFD'];
    await state.incrementAll(odd, 1);
    assert.deepEqual(await state.getAll(odd), Object.fromEntries(odd.map((key) => [key, 1])));
    clock.time += 2000;
    assert.deepEqual(await state.getAll(['a', 'b']), { b: 3 });
    await assert.rejects(state.incrementAll(['b', 'word'], 1), TypeError);
    assert.equal(await state.get('b'), 3);
    const many = Array.from({ length: stateKeysMax + 1 }, (_, n) => String(n));
    await assert.rejects(state.getAll(many), TypeError);
    await assert.rejects(state.incrementAll(many, 1), TypeError);
  });

  withState('plugins do not see each other', async (state, _, store) => {
    const other = store.forPlugin('two');
    await state.set('key', 1);
    assert.equal(await other.get('key'), undefined);
    await other.set('key', 2);
    await other.delete('key');
    assert.equal(await state.get('key'), 1);
    assert.deepEqual(await other.list(''), []);
  });

  withState('a key ends when its time is over, and not before', async (state, clock) => {
    await state.set('key', 1, { ttlSeconds: 10 });
    clock.time += 9999;
    assert.equal(await state.get('key'), 1);
    clock.time += 1;
    assert.equal(await state.get('key'), undefined);
    assert.deepEqual(await state.list(''), []);
    assert.equal(await state.setIfAbsent('key', 2, { ttlSeconds: 10 }), true);
    await state.set('key', 3);
    clock.time += 1e12;
    assert.equal(await state.get('key'), 3);
  });

  withState('a counter starts at 0 and its window is not made longer by raising it', async (state, clock) => {
    assert.equal(await state.increment('count', 2, { ttlSeconds: 10 }), 2);
    clock.time += 9000;
    assert.equal(await state.increment('count', -5, { ttlSeconds: 10 }), -3);
    assert.equal(await state.get('count'), -3);
    clock.time += 1000;
    assert.equal(await state.increment('count'), 1);
    await state.set('text', 'x');
    await assert.rejects(state.increment('text'), TypeError);
    assert.equal(await state.get('text'), 'x');
  });

  withState('a hundred raises at once are a hundred', async (state) => {
    const values = await Promise.all(Array.from({ length: 100 }, () => state.increment('count')));
    assert.deepEqual(
      values,
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });

  withState('one of many sets a key that was absent', async (state) => {
    const set = await Promise.all(Array.from({ length: 20 }, (_, index) => state.setIfAbsent('key', index)));
    assert.deepEqual(set.filter(Boolean).length, 1);
    assert.equal(await state.get('key'), 0);
  });

  withState('answers come in the order of the calls, reads among writes', async (state) => {
    const order: string[] = [];
    const note = (name: string) => (value: unknown) => order.push(`${name} ${JSON.stringify(value)}`);
    await Promise.all([
      state.set('key', 1).then(note('set')),
      state.get('key').then(note('get')),
      state.increment('key').then(note('increment')),
      state.list('').then(note('list')),
      state.delete('key').then(note('delete')),
      state.get('key').then(note('get')),
    ]);
    assert.deepEqual(order, [
      'set undefined',
      'get 1',
      'increment 2',
      'list ["key"]',
      'delete undefined',
      'get undefined',
    ]);
  });

  withState('lists keys of a prefix in order of octets, bounded', async (state) => {
    const keys = ['a', 'a/\u{1f600}', 'a/\uffee', 'a/b', 'a/%_', 'a0', 'b', 'a/\u{10ffff}x', '\u{10ffff}z'];
    for (const key of keys) await state.set(key, 1);
    assert.deepEqual(await state.list('a/'), ['a/%_', 'a/b', 'a/\uffee', 'a/\u{1f600}', 'a/\u{10ffff}x']);
    assert.deepEqual(await state.list('a/', 2), ['a/%_', 'a/b']);
    assert.deepEqual(await state.list('a/\u{10ffff}'), ['a/\u{10ffff}x']);
    assert.deepEqual(await state.list('\u{10ffff}'), ['\u{10ffff}z']);
    assert.equal((await state.list('')).length, keys.length);
    assert.deepEqual(await state.list('nothing'), []);
    assert.deepEqual(await state.list('', 0), []);
  });

  withState('what cannot be kept is a TypeError and leaves nothing', async (state) => {
    await assert.rejects(state.set('k'.repeat(1025), 1), TypeError);
    await assert.rejects(state.set('key', 'v'.repeat(300_000)), TypeError);
    await assert.rejects(state.set('key', undefined as unknown as null), TypeError);
    await assert.rejects(state.set('key', 1, { ttlSeconds: 0 }), TypeError);
    await assert.rejects(state.set('key', 1, { ttlSeconds: Number.NaN }), TypeError);
    await assert.rejects(state.increment('key', Number.POSITIVE_INFINITY), TypeError);
    await assert.rejects(state.list('', -1), TypeError);
    assert.deepEqual(await state.list(''), []);
  });

  withState('the sweep removes what ended, a bounded number at a time', async (state, clock, store) => {
    const count = stateSweepRows + 10;
    await Promise.all(
      Array.from({ length: count }, (_, index) => state.set(`k${index}`, 1, { ttlSeconds: 1 })),
    );
    await state.set('stays', 1);
    assert.equal(await store.sweep(), 0);
    clock.time += 2000;
    let removed = 0;
    for (let run = 0; run < 4; run++) {
      const now = await store.sweep();
      assert.ok(now <= stateSweepRows);
      removed += now;
    }
    assert.equal(removed, count);
    assert.equal(await state.get('stays'), 1);
  });
}

test('prefixEnd is the first text past the prefix', () => {
  for (const [prefix, end] of [
    ['a', 'b'],
    ['a\u{10ffff}', 'b'],
    ['', undefined],
    ['\u{10ffff}', undefined],
    ['\ud7ff', '\ue000'],
  ] as const) {
    assert.equal(prefixEnd(prefix), end);
  }
});

test('sqlite: state outlives the process that wrote it', async () => {
  const init = { engine: 'sqlite', directory: folder(), clock: new TestClock(), log: silentLog } as const;
  const first = openState(init);
  await first.forPlugin('one').set('key', { a: 1 }, { ttlSeconds: 5 });
  await first.close();
  const second = openState(init);
  assert.deepEqual(await second.forPlugin('one').get('key'), { a: 1 });
  await second.close();
});

const damages: { name: string; damage(path: string): void }[] = [
  {
    name: 'text instead of a database',
    damage: (path) => writeFileSync(path, 'this is no database at all, it is text'),
  },
  {
    name: 'a page overwritten',
    damage: (path) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
      writeFileSync(path, Buffer.alloc(4096, 0x55), { flag: 'r+' } as never);
    },
  },
  { name: 'the end cut off', damage: (path) => truncateSync(path, 6000) },
];
for (const { name, damage } of damages) {
  test(`sqlite: ${name}: moved aside, reported, begun anew`, async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', write: (line) => lines.push(line) });
    const init = { engine: 'sqlite', directory: folder(), clock: new TestClock(), log } as const;
    const first = openState(init);
    for (let index = 0; index < 500; index++)
      await first.forPlugin('one').set(`key${index}`, 'x'.repeat(100));
    await first.close();
    damage(join(init.directory, 'state.db'));
    const second = openState(init);
    assert.equal(await second.forPlugin('one').get('key1'), undefined);
    await second.forPlugin('one').set('key1', 2);
    await second.close();
    assert.ok(readdirSync(init.directory).some((file) => file.startsWith('state.db.corrupt-')));
    assert.ok(lines.some((line) => line.includes('database-replaced') && line.includes('"level":"error"')));
  });
}

test('a database is brought up to date step by step, keeping what it holds', () => {
  const path = join(folder(), 'file.db');
  const one = "CREATE TABLE a (x TEXT); INSERT INTO a VALUES ('kept')";
  const two = 'ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7';
  openDatabase({ path, steps: [one], synchronous: 'normal' }).close();
  const upgraded = openDatabase({ path, steps: [one, two], synchronous: 'normal' });
  assert.deepEqual({ ...upgraded.prepare('SELECT x, y FROM a').get() }, { x: 'kept', y: 7 });
  assert.deepEqual({ ...upgraded.prepare('PRAGMA user_version').get() }, { user_version: 2 });
  upgraded.close();
  openDatabase({ path, steps: [one, two], synchronous: 'normal' }).close();
  assert.throws(() => openDatabase({ path, steps: [one], synchronous: 'normal' }), {
    code: 'database-newer',
  });
  assert.throws(() => openDatabase({ path, steps: [one], synchronous: 'normal', readOnly: true }), {
    code: 'database-newer',
  });
});

test('a step that fails leaves the version before it', () => {
  const path = join(folder(), 'file.db');
  const one = 'CREATE TABLE a (x TEXT)';
  openDatabase({ path, steps: [one], synchronous: 'normal' }).close();
  const broken = [one, 'CREATE TABLE b (x TEXT); SELECT nothing FROM nowhere'];
  assert.throws(() => openDatabase({ path, steps: broken, synchronous: 'normal' }), {
    code: 'database-unreadable',
  });
  const whole = openDatabase({ path, steps: [one, 'CREATE TABLE b (x TEXT)'], synchronous: 'normal' });
  assert.deepEqual({ ...whole.prepare('PRAGMA user_version').get() }, { user_version: 2 });
  whole.close();
});

test('a full file fails its writes with store-full, keeps what was there, and recovers', async () => {
  const steps = ['CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT)'];
  const database = openDatabase({
    path: join(folder(), 'file.db'),
    steps,
    synchronous: 'normal',
    bytesMax: 64 * 4096,
  });
  const group = new CommitGroup(database);
  const insert = database.prepare('INSERT INTO a (x) VALUES (?)');
  const settled = await Promise.allSettled(
    Array.from({ length: 50 }, () => group.run(() => void insert.run('x'.repeat(20_000)))),
  );
  const failed = settled.filter((one) => one.status === 'rejected');
  assert.ok(failed.length > 0);
  for (const { reason } of failed) assert.deepEqual([reason.code, reason.temporary], ['store-full', true]);
  const rows = () => Number(database.prepare('SELECT count(*) AS n FROM a').get()!.n);
  assert.equal(rows(), 50 - failed.length, 'what was promised is there, and nothing else');
  await group.run(() => void database.exec('DELETE FROM a'));
  await group.run(() => void insert.run('small'));
  assert.equal(rows(), 1);
  database.close();
});

test('work that throws is taken back alone', async () => {
  const database = openDatabase({
    path: join(folder(), 'file.db'),
    steps: ['CREATE TABLE a (x)'],
    synchronous: 'normal',
  });
  const group = new CommitGroup(database);
  const insert = database.prepare('INSERT INTO a VALUES (?)');
  const settled = await Promise.allSettled([
    group.run(() => void insert.run(1)),
    group.run(() => {
      insert.run(2);
      throw new Error('a bug');
    }),
    group.run(() => void insert.run(3)),
  ]);
  assert.deepEqual(
    settled.map((one) => one.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(
    database
      .prepare('SELECT x FROM a')
      .all()
      .map((row) => row.x),
    [1, 3],
  );
  database.close();
});

test('writes that cannot be made durable are rejected, and wait for the sync', async () => {
  const database = openDatabase({
    path: join(folder(), 'file.db'),
    steps: ['CREATE TABLE a (x)'],
    synchronous: 'normal',
  });
  let sync: PromiseWithResolvers<void> = Promise.withResolvers();
  const group = new CommitGroup(database, () => sync.promise);
  const insert = database.prepare('INSERT INTO a VALUES (1)');
  let settled = false;
  const first = group.run(() => void insert.run()).then(() => (settled = true));
  await sleep(20);
  assert.equal(settled, false);
  sync.resolve();
  await first;
  sync = Promise.withResolvers();
  const second = group.run(() => void insert.run());
  await sleep(5);
  sync.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
  await assert.rejects(second, /EIO/);
  database.close();
});
