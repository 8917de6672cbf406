/** Facts of messages as they are kept: apart by what it takes to read them, and begun anew where an older file lies. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { Log } from '../../core/base/log.ts';
import { silentLog } from '../../core/base/log.ts';
import { FactStore } from '../../src/mailbox/index/fact-store.ts';

const octets = (text: string) => Buffer.from(text);

function head(key: number) {
  const sort = { subject: `subject ${key}` };
  return { key, values: { envelope: `(${key})`, sort }, octets: octets(`subject: ${key}\n`) };
}

function open(t: TestContext, prepare: (path: string) => void = () => {}, log: Log = silentLog): FactStore {
  const directory = mkdtempSync(join(tmpdir(), 'facts-'));
  const path = join(directory, 'texts.db');
  prepare(path);
  const store = new FactStore(path, log);
  t.after(() => {
    store.close();
    rmSync(directory, { recursive: true });
  });
  return store;
}

test('what the header tells is there without structure and text', (t) => {
  const store = open(t);
  store.add(
    'folder',
    'head',
    Array.from({ length: 200 }, (_, key) => head(key)),
  );
  assert.deepEqual(store.facts([199, 7, 500], ['envelope']), [
    { envelope: '(199)' },
    { envelope: '(7)' },
    undefined,
  ]);
  assert.deepEqual(store.facts([7], ['envelope', 'bodyStructure']), [undefined]);
  assert.deepEqual(store.missing(Float64Array.of(7, 500), 'head'), [500]);
  assert.deepEqual(store.missing(Float64Array.of(7), 'text'), [7]);
  assert.equal(store.header(64)!.toString(), 'subject: 64\n');
  assert.equal(store.sort(65)!.subject, 'subject 65');
});

test('messages that come one by one lie together, and each is found', (t) => {
  const store = open(t);
  for (let key = 0; key < 130; key += 1) store.add('folder', 'head', [head(key)]);
  for (let key = 0; key < 130; key += 1) assert.equal(store.header(key)!.toString(), `subject: ${key}\n`);
});

test('what no message of the folder needs any more goes', (t) => {
  const store = open(t);
  store.add(
    'folder',
    'head',
    Array.from({ length: 128 }, (_, key) => head(key)),
  );
  store.add('other', 'head', [head(1000)]);
  store.sweep('folder', Float64Array.of(3));
  assert.deepEqual(store.missing(Float64Array.of(3, 100, 1000), 'head'), [100]);
});

test('a file of an earlier version is taken over, and its facts are read anew', (t) => {
  const warned: string[] = [];
  const older = (path: string) => {
    const database = new DatabaseSync(path);
    database.exec(
      `CREATE TABLE pack (id INTEGER PRIMARY KEY, folder TEXT NOT NULL, keys BLOB NOT NULL) STRICT;
       CREATE INDEX pack_folder ON pack (folder); INSERT INTO pack VALUES (1, 'folder', x'00'); PRAGMA user_version = 1`,
    );
    database.close();
  };
  const store = open(t, older, { ...silentLog, warn: (event) => warned.push(event) });
  store.add('folder', 'head', [head(1)]);
  assert.deepEqual(store.facts([1], ['envelope']), [{ envelope: '(1)' }]);
  assert.deepEqual(warned, []);
});
