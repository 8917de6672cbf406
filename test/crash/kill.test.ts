/** kill -9 at random moments: every acknowledged message is there, whole, once; what was not acknowledged at most once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openAcceptance } from '../flow/acceptance-kit.ts';
import { completeLines } from '../kit/complete-lines.ts';
import { durableQueue, queuedIn } from './durable-queue.ts';
import { countCopies, idOf, storesOf } from './mail.ts';

const rounds = Number(process.env.KILL_ROUNDS ?? 4);

for (const durability of ['journal', 'file'] as const) {
  test(`killed ${rounds} times under load (${durability})`, async () => {
    const parent = mkdtempSync(join(tmpdir(), 'kill-'));
    const root = join(parent, 'data');
    mkdirSync(root);
    try {
      const heard = new Set<number>();
      for (let round = 0; round < rounds; round += 1) {
        for (const number of await runAndKill(root, durability, round * 1000)) heard.add(number);
      }
      const { acceptance } = openAcceptance(root, { durability, queue: durableQueue(root) });
      await acceptance.recover();
      await acceptance.close();
      const { whole, partial } = countCopies(root, rounds * 1000);
      assert.deepEqual(partial, []);
      // An mbox that stays locked: what is for it waits in the queue.
      const queued = queuedIn(root);
      assert.ok(heard.size > rounds, `only ${heard.size} messages were acknowledged`);
      for (let number = 0; number < rounds * 1000; number += 1) {
        const wanted = storesOf(number, root).length;
        const found = (whole.get(number) ?? 0) + queued.filter((id) => id.startsWith(idOf(number))).length;
        if (heard.has(number)) assert.equal(found, wanted, idOf(number));
        else assert.ok(found <= wanted, `${idOf(number)} was not acknowledged and has ${found} copies`);
      }
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });
}

/** Numbers that were acknowledged before the end. */
async function runAndKill(root: string, durability: string, first: number): Promise<number[]> {
  const workload = fileURLToPath(new URL('workload.ts', import.meta.url));
  const child = spawn(process.execPath, [workload, root, durability, String(first), '1000', '8'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const heard: number[] = [];
  // From when it serves, or from its first answer, for a busy machine may take long to that: a random number of milliseconds.
  const from = Math.random() < 0.3 ? 'ready' : '250';
  let isTimed = false;
  for await (const line of completeLines(child.stdout)) {
    if (!isTimed && line.startsWith(from)) {
      isTimed = true;
      setTimeout(() => child.kill('SIGKILL'), Math.random() * 150);
    }
    if (line !== 'ready') heard.push(Number(line.slice('250 '.length)));
  }
  return heard;
}
