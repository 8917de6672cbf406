/** What a later version wrote on disk is refused at start with a word about it, and left as it is for that version. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { startServer, until } from '../kit/server.ts';
import { openServer, queueOf } from '../server/observe.ts';
import { judge, Load, loadConfig } from './server-load.ts';

interface Newer {
  readonly file: string;
  /** Makes the file one of a later version. */
  alter(path: string): void;
  restore(path: string): void;
  readonly said: RegExp;
}

const cases: readonly Newer[] = [
  ...['queue/queue.db', 'state/state.db', 'state/trace.db'].map((file) => ({
    file,
    alter: (path: string) => raiseVersion(path, 90),
    restore: (path: string) => raiseVersion(path, -90),
    said: /version 9\d; this program knows \d: run the newer program/,
  })),
  {
    file: 'queue/queue.db',
    alter: (path) => inDatabase(path, "INSERT INTO messages VALUES ('later', 1, 2)"),
    restore: (path) => inDatabase(path, "DELETE FROM messages WHERE id = 'later'"),
    said: /queue\.db holds messages in the format of a newer version/,
  },
  {
    file: '../users.json',
    alter: (path) => replaceIn(path, '"version":1', '"version":2'),
    restore: (path) => replaceIn(path, '"version":2', '"version":1'),
    said: /users\.json.*\/version/s,
  },
  {
    file: 'journal',
    alter: (path) => setRecordVersion(segmentIn(path), 2),
    restore: (path) => setRecordVersion(segmentIn(path), 1),
    said: /\.segment holds accepted mail in the format of a newer version/,
  },
  {
    file: 'journal',
    alter: (path) => replacePlan(segmentIn(path), '{"accepted":{"version":1', '{"accepted":{"version":2'),
    restore: (path) => replacePlan(segmentIn(path), '{"accepted":{"version":2', '{"accepted":{"version":1'),
    said: /\.segment holds accepted mail in the format of a newer version/,
  },
];

test('files of a later version are refused by name, and nothing is lost by it', async () => {
  const config = { ...loadConfig(), journal: { segmentBytes: 4 * 1024 * 1024, checkpointMs: 5000 } };
  await using server = await openServer({ config });
  const { directory } = server;
  const load = new Load();
  await load.run(server.ports, { count: 6, clients: 1 });
  await server.kill();
  for (const { file, alter, restore, said } of cases) {
    const path = join(directory, 'data', file);
    alter(path);
    await assert.rejects(startServer({ directory }), said, file);
    restore(path);
  }
  const next = await startServer({ directory });
  try {
    await until('an empty queue', () => queueOf(next).length === 0);
    assert.deepEqual(judge(next, load.letters), []);
    assert.equal(load.acknowledged.length, 6);
  } finally {
    await next.stop();
  }
});

function raiseVersion(path: string, by: number): void {
  const database = new DatabaseSync(path);
  const version = Number(Object.values(database.prepare('PRAGMA user_version').get()!)[0]);
  database.exec(`PRAGMA user_version = ${version + by}`);
  database.close();
}

function inDatabase(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

function replaceIn(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'latin1');
  assert.ok(text.includes(from), `${path} holds no ${from}`);
  writeFileSync(path, text.replace(from, to), 'latin1');
}

/** The one that holds records. */
function segmentIn(directory: string): string {
  const segments = readdirSync(directory).filter((name) => name.endsWith('.segment'));
  const used = segments.find((name) => readFileSync(join(directory, name)).includes('MFJ1'));
  assert.ok(used, 'the journal is empty');
  return join(directory, used);
}

/** Of the first record, with the checksum of its head. */
function setRecordVersion(path: string, version: number): void {
  changeSegment(path, (octets) => {
    octets.writeUInt16LE(version, 4);
  });
}

/** In the first record, with the checksums of plan and head. */
function replacePlan(path: string, from: string, to: string): void {
  changeSegment(path, (octets) => {
    const plan = octets.subarray(64, 64 + octets.readUInt32LE(32));
    assert.ok(plan.includes(from) && from.length === to.length, `the plan holds no ${from}`);
    plan.write(to, plan.indexOf(from), 'latin1');
    octets.writeUInt32LE(crc32(plan), 44);
  });
}

function changeSegment(path: string, change: (octets: Buffer) => void): void {
  const octets = readFileSync(path);
  change(octets);
  octets.writeUInt32LE(crc32(octets.subarray(0, 52)), 52);
  writeFileSync(path, octets);
}
