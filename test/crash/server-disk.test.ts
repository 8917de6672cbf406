/**
 * Disks that are full or fail, under a whole server: on the journal nothing is acknowledged, on a mailbox the copy waits;
 * service resumes by itself, and nothing that was acknowledged is lost or doubled.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { requirePeer, requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { MailClient } from '../server/mail-client.ts';
import { queueOf } from '../server/observe.ts';
import {
  type Durability,
  type Format,
  judge,
  type Letter,
  letterOf,
  loadConfig,
  send,
} from './server-load.ts';
import { fill, smallDisk } from './small-disk.ts';

test('the journal is full: 452, and nothing acknowledged is lost', async (t) => {
  const place = serverWithSmall(t, 24 * 1024, 'data');
  if (place === undefined) return;
  const { directory, disk } = place;
  const config = { ...loadConfig(), journal: { segmentBytes: 4 * 1024 * 1024, checkpointMs: 5000 } };
  const server = await startServer({ directory, config });
  try {
    // While access starts, which has a pid file to write, and a reload, which tells how it ended.
    const filler = fill(disk);
    server.process.kill('SIGHUP');
    // Letters of 40 KB: more than the segments that are there hold until a checkpoint lets go of one.
    const parts = range(0, 4).map((part) => sendAll(server, range(100 * part, 100 * part + 100).map(medium)));
    const letters = (await Promise.all(parts)).flat();
    letters.push(...(await sendAll(server, [5])));
    const refused = letters.filter((letter) => letter.refused.size > 0);
    for (const letter of refused) assert.match([...letter.refused.values()].join(), /^452 4\.3\.1 /);
    assert.ok(server.output().includes('journal-failed'), 'the journal was not full');
    assert.ok(refused.includes(letters.at(-1)!), 'the spool was not full');
    assert.ok(server.output().includes('"event":"reloaded"'));
    t.diagnostic(`${letters.length - refused.length} taken, ${refused.length} refused`);
    rmSync(filler);
    letters.push(...(await sendUntilTaken(server, 5000)));
    await restartAndJudge(server, letters);
  } finally {
    await server.kill();
  }
});

for (const format of ['maildir', 'mbox'] as const) {
  test(`a mailbox is full after the 250: its mail waits and new mail for it is put off: ${format}`, async (t) => {
    const place = serverWithSmall(t, 600, `mail/example.test${format === 'maildir' ? '/alice' : ''}`);
    if (place === undefined) return;
    const { directory, disk } = place;
    const server = await startServer({ directory, config: loadConfig(format) });
    try {
      const before = await sendAll(server, [0, 4], toAlice);
      const filler = fill(disk);
      const waiting = await sendAll(server, [1], toAlice);
      assert.deepEqual(waiting.map(isTaken), [true]);
      await until('the letter in the queue', () => queueOf(server).length === 1);
      const putOff = await sendAll(server, [2], toAlice);
      assert.match(putOff[0]!.refused.get('alice')!, /^452 4\./);
      assert.deepEqual(judge(server, [...before, ...putOff], format), []);
      rmSync(filler);
      await until('the queue to be empty', () => queueOf(server).length === 0);
      const after = await sendUntilTaken(server, 10, toAlice);
      await restartAndJudge(server, [...before, ...waiting, ...putOff, ...after], format);
    } finally {
      await server.kill();
    }
  });
}

test('a mailbox is full with a sync for each file: 452', async (t) => {
  const place = serverWithSmall(t, 600, 'mail/example.test/alice');
  if (place === undefined) return;
  const { directory, disk } = place;
  const server = await startServer({ directory, config: loadConfig('maildir', 'file') });
  try {
    const before = await sendAll(server, [0, 4], toAlice);
    const filler = fill(disk);
    const refused = await sendAll(server, [1], toAlice);
    assert.match(refused[0]!.refused.get('alice')!, /^452 4\.3\.1 /);
    rmSync(filler);
    const after = await sendAll(server, [2], toAlice);
    assert.deepEqual(after.map(isTaken), [true]);
    await restartAndJudge(server, [...before, ...refused, ...after]);
  } finally {
    await server.kill();
  }
});

const failures: { durability: Durability; calls: string }[] = [
  { durability: 'journal', calls: 'fdatasync' },
  { durability: 'journal', calls: 'pwritev' },
  { durability: 'file', calls: 'fsync,fdatasync' },
];
for (const { durability, calls } of failures) {
  test(`EIO of ${calls} (${durability}): 451, and nothing acknowledged is lost`, async (t) => {
    if (!requireProgram(t, 'strace')) return;
    const server = await startServer({
      directory: serverDirectory(t),
      config: loadConfig('maildir', durability),
    });
    try {
      const letters = await sendAll(server, range(0, 10));
      const heal = await failCalls(t, server, calls);
      if (!heal) return;
      const refused = await sendAll(server, range(10, 20));
      await heal();
      for (const letter of refused) assert.match([...letter.refused.values()].join(), /^451 4\.3\.0 /);
      const after = await sendUntilTaken(server, 20);
      assert.deepEqual(letters.filter(isTaken).length, 10);
      await restartAndJudge(server, [...letters, ...refused, ...after]);
    } finally {
      await server.kill();
    }
  });
}

test('EIO of the checkpoint: the journal keeps what is not known to be on disk', async (t) => {
  if (!requireProgram(t, 'strace')) return;
  const server = await startServer({ directory: serverDirectory(t), config: loadConfig() });
  try {
    const heal = await failCalls(t, server, 'syncfs');
    if (!heal) return;
    const letters = await sendAll(server, range(0, 20));
    assert.deepEqual(letters.filter(isTaken).length, 20);
    await until('a failed checkpoint', () => server.output().includes('checkpoint-failed'));
    await heal();
    await restartAndJudge(server, letters);
  } finally {
    await server.kill();
  }
});

/** A server's folder, which goes with the test. */
function serverDirectory(t: TestContext, parent = newParent()): string {
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'server');
}

/** One of whose folders lies on a small file system; undefined after skipping. */
function serverWithSmall(
  t: TestContext,
  kibibytes: number,
  folder: string,
): { directory: string; disk: string } | undefined {
  const parent = newParent();
  const disk = smallDisk(t, kibibytes, join(parent, 'server', folder));
  // Once that is unmounted.
  const directory = serverDirectory(t, parent);
  return disk === undefined ? undefined : { directory, disk };
}

function newParent(): string {
  return mkdtempSync(join(tmpdir(), 'disk-'));
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/** The nth letter of 40 KB. */
function medium(nth: number): number {
  return 3 + 7 * nth;
}

function toAlice(): string[] {
  return ['alice'];
}

/** With two recipients every letter shows whether all of them fare alike. */
function toBoth(): string[] {
  return ['alice', 'bob'];
}

function isTaken({ recipients, acknowledged }: Letter): boolean {
  return acknowledged.size === recipients.length;
}

async function sendAll(server: TestServer, numbers: number[], recipients = toBoth): Promise<Letter[]> {
  const client = await MailClient.open(server.ports.smtp!);
  const letters: Letter[] = [];
  for (const number of numbers) {
    const letter = letterOf(number, recipients());
    letters.push(letter);
    await send(client, 'smtp', letter);
  }
  client.destroy();
  return letters;
}

/** Service resumes: a letter is taken within seconds. */
async function sendUntilTaken(server: TestServer, first: number, recipients = toBoth): Promise<Letter[]> {
  const letters: Letter[] = [];
  await until('mail to be taken again', async () => {
    letters.push(...(await sendAll(server, [first + letters.length], recipients)));
    return isTaken(letters.at(-1)!);
  });
  return letters;
}

/** What is there before the server is killed, and what the next one makes of it. */
async function restartAndJudge(
  server: TestServer,
  letters: Letter[],
  format: Format = 'maildir',
): Promise<void> {
  await allRight(server, letters, format);
  await server.kill();
  const next = await startServer({ directory: server.directory });
  try {
    await allRight(next, letters, format);
  } finally {
    await next.stop();
  }
}

/** Copies of large letters follow their 250. */
async function allRight(server: TestServer, letters: Letter[], format: Format): Promise<void> {
  await until('every copy', () => judge(server, letters, format).length === 0).catch(() => undefined);
  assert.deepEqual(judge(server, letters, format), []);
}

/** From now on these calls of the mta fail with EIO, until the answer is called; undefined after skipping. */
async function failCalls(
  t: TestContext,
  server: TestServer,
  calls: string,
): Promise<(() => Promise<void>) | undefined> {
  const pid = server.pidOf('mta');
  const output = join(server.directory, 'failed-calls');
  const tracing = ['-f', '-p', String(pid), '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO`];
  const child = spawn('strace', [...tracing, '-o', output], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until('strace to attach', () => /attached/.test(said) || child.exitCode !== null);
  if (!requirePeer(t, 'the right to trace a process', child.exitCode === null)) return undefined;
  return async () => {
    child.kill('SIGINT');
    await ended;
    assert.ok(existsSync(output) && statSync(output).size > 0, `no ${calls} was seen`);
  };
}
