/**
 * kill -9 of all processes of a server at random moments, under load and while it starts: every acknowledged letter is
 * there, whole, once; a letter that was cut off comes once for each time it was sent, at most.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launcher } from '../kit/command.ts';
import { type RandomSource, randomSource } from '../kit/random.ts';
import { killAll, startServer, type TestServer, until } from '../kit/server.ts';
import { campaign, queueOf } from '../server/observe.ts';
import { type Durability, type Format, judge, Load, loadConfig } from './server-load.ts';

const cases: { format: Format; durability: Durability; rounds: number }[] = [
  { format: 'maildir', durability: 'journal', rounds: campaign ? 50 : 4 },
  { format: 'mbox', durability: 'journal', rounds: campaign ? 50 : 3 },
  { format: 'maildir', durability: 'file', rounds: campaign ? 50 : 3 },
];

for (const { format, durability, rounds } of cases) {
  test(`killed ${rounds} times: ${format}, ${durability}`, async (t) => {
    const random = randomSource(`kill ${format} ${durability}`);
    const directory = mkdtempSync(join(tmpdir(), 'killed-'));
    const config = loadConfig(format, durability);
    const load = new Load();
    let server: TestServer | undefined;
    try {
      for (let round = 0; round < rounds; round += 1) {
        server = await startServer({ directory, config });
        assert.deepEqual(judge(server, load.letters, format), [], `before round ${round}`);
        const first = load.next;
        const running = load.run(server.ports, { clients: 5 });
        await until('the first answers', () => load.letters.some(isAnsweredFrom(first)));
        await sleep(random.below(250));
        await server.kill();
        await running;
        if (round % 3 === 2) await killWhileStarting(server.configFile, random);
      }
      const last = await startServer({ directory, config });
      server = last;
      await until('an empty queue', () => queueOf(last).length === 0, 60_000);
      // What waits for a lock is in the journal alone; what is wrong for good is told by the assertion.
      await until('each letter', () => judge(last, load.letters, format).length === 0, 60_000).catch(
        () => {},
      );
      assert.deepEqual(judge(last, load.letters, format), []);
      assert.equal(await last.stop(), 0);
      const acknowledged = load.acknowledged.length;
      assert.ok(acknowledged >= rounds, `only ${acknowledged} letters were acknowledged`);
      const cutOff = load.letters.filter(
        ({ acknowledged, refused }) => acknowledged.size + refused.size === 0,
      );
      t.diagnostic(`${acknowledged} acknowledged, ${cutOff.length} cut off`);
    } finally {
      await server?.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

function isAnsweredFrom(first: number): (letter: Load['letters'][number]) => boolean {
  return ({ number, acknowledged }) => number >= first && acknowledged.size > 0;
}

/** Some way into recovery, or before it. */
async function killWhileStarting(configFile: string, random: RandomSource): Promise<void> {
  const child = spawn(process.execPath, [launcher, 'serve', '-c', configFile], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await sleep(300 + random.below(800));
  killAll(child.pid!);
  await ended;
}
