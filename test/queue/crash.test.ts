/** kill -9 at every step: what was promised is carried out, whole, and what is done or held stays so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { openQueue } from '../../src/queue/open.ts';
import { requireProgram } from '../kit/require.ts';

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'queue-crash-'));
after(() => rmSync(root, { recursive: true }));

const points = [
  'enqueue-0',
  'enqueue-1',
  'enqueue-2',
  'enqueue-4',
  'promised',
  'held',
  'released',
  'hurried',
  'removed',
  'attempt',
  'after-done-0',
  'after-done-1',
  'after-done-3',
  'after-retried-1',
  'after-retried-120',
  'after-failed-0',
  'after-failed-1',
  'after-failed-4',
  'telling',
];

for (const point of points) {
  test(`killed at ${point}`, async () => {
    const directory = join(root, point);
    const { signal, stdout } = spawnSync(process.execPath, [child, directory, point], { encoding: 'utf8' });
    assert.equal(signal, 'SIGKILL');
    const said = (word: string) =>
      stdout
        .split('\n')
        .flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
    const settled = await finish(directory, said('held'));
    for (const id of said('promised')) {
      if (said('removed').includes(id)) assert.ok(!settled.includes(id), `${id} was removed`);
      else assert.ok(settled.includes(id) || said('attempt').includes(id), `${id} was lost`);
    }
    assert.equal(new Set(settled).size, settled.length, 'nothing twice after the restart');
    assert.deepEqual(readdirSync(join(directory, 'messages')), []);
  });
}

/** Opens what the crash left, carries everything out, and answers which entries came to an end. */
async function finish(directory: string, held: readonly string[]): Promise<string[]> {
  const settled: string[] = [];
  const queue = openQueue({
    directory,
    retrySeconds: [0],
    expireSeconds: 1000,
    clock: systemClock,
    log: silentLog,
  });
  queue.start({
    async attempt(entry, source) {
      assert.equal(
        readFileSync((source as { path: string }).path, 'latin1'),
        'Subject: crash\r\n\r\nwhole\r\n',
      );
      settled.push(entry.id);
      return { outcome: 'done' };
    },
    async expired(failures) {
      for (const { entry } of failures) settled.push(entry.id);
    },
  });
  try {
    await until(() => queue.list().length === held.length);
    for (const id of held) {
      assert.equal(queue.get(id)?.entry.status, 'held');
      await queue.release(id);
    }
    await until(() => queue.list().length === 0 && readdirSync(join(directory, 'messages')).length === 0);
  } finally {
    await queue.close();
  }
  return settled;
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 30_000; !holds(); await sleep(5))
    assert.ok(Date.now() < end, 'waited half a minute');
}

test('strace: message, folder and database are synced before the promise', (t) => {
  const strace = requireProgram(t, 'strace');
  if (strace === undefined) return;
  const directory = join(root, 'traced');
  const options = ['-f', '-y', '-s', '40', '-e', 'trace=write,pwrite64,fsync,fdatasync'];
  const { stderr } = spawnSync(strace, [...options, process.execPath, child, directory, 'promised'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const lines = stderr.split('\n');
  // A call that another thread interrupts is shown in two lines; the first names the file, the second its end.
  const ended = (path: string, after = -1) => {
    const begun = lines.findIndex(
      (line, at) => at > after && /f(data)?sync\(/.test(line) && line.includes(`${path}>`),
    );
    assert.ok(begun >= 0, `${path} was synced`);
    if (!lines[begun]!.includes('<unfinished')) return begun;
    const thread = /^\[pid +(\d+)\]/.exec(lines[begun]!)?.[1];
    return lines.findIndex(
      (line, at) => at > begun && line.includes(`pid ${thread}]`) && line.includes('sync resumed'),
    );
  };
  const promised = lines.findIndex((line) => line.includes('promised T1/r1/0'));
  assert.ok(promised > 0, stderr.slice(-2000));
  for (const path of [`${directory}/messages/T1.eml.tmp`, `${directory}/messages`, directory]) {
    assert.ok(ended(path) < promised, `${path} was synced before`);
  }
  const log = `${directory}/queue.db-wal`;
  const committed = lines.findLastIndex(
    (line, at) => at < promised && line.includes('pwrite64(') && line.includes(`${log}>`),
  );
  assert.ok(committed > 0);
  assert.ok(ended(log, committed) < promised, 'the commit was synced before');
});
