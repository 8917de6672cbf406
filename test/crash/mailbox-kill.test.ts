/** kill -9 in the middle of work on folders: nothing that was answered is lost, and no UID comes to mean another message. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { completeLines } from '../kit/complete-lines.ts';
import { randomSource } from '../kit/random.ts';
import { projectRoot } from '../kit/require.ts';
import { type Format, TestAccount } from '../mailbox/test-account.ts';
import type { Report } from './mailbox-worker.ts';

const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 60 : 5;

for (const format of ['maildir', 'mbox'] satisfies Format[]) {
  test(`${format}: killed ${rounds} times`, async (t) => {
    const { below } = randomSource(`mailbox-kill ${format}`);
    const first = new TestAccount(format);
    const { directory } = first;
    await first.engine.close();
    /** Text by folder, UIDVALIDITY and UID, of all that was ever told. */
    const told = new Map<string, string>();
    for (let round = 0; round < rounds; round += 1) {
      const last = await runAndKill(format, directory, round * 100_000, 300 + below(400), told);
      const account = new TestAccount(format, { directory });
      await compare(account, last, told);
      await account.reopen();
      if (round === rounds - 1) await account.close();
      else await account.engine.close();
    }
    t.diagnostic(`${told.size} messages were told of`);
    assert.ok(told.size > rounds, 'it worked between the kills');
  });
}

async function runAndKill(
  format: Format,
  directory: string,
  begin: number,
  afterMs: number,
  told: Map<string, string>,
): Promise<Report> {
  const child = spawn(
    process.execPath,
    [join(projectRoot, 'test/crash/mailbox-worker.ts'), format, directory, String(begin)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines: Report[] = [];
  for await (const line of completeLines(child.stdout)) {
    if (!line.startsWith('{')) continue;
    // The time runs from the first work on: starting takes longer than that.
    if (lines.length === 0) setTimeout(() => child.kill('SIGKILL'), afterMs);
    lines.push(JSON.parse(line) as Report);
    for (const [folder, messages] of Object.entries(lines.at(-1)!.state)) {
      for (const { uid, text } of messages) {
        const known = told.get(`${folder} ${uid}`);
        assert.ok(known === undefined || known === text, `UID ${uid} of ${folder} was another message`);
        told.set(`${folder} ${uid}`, text);
      }
    }
  }
  return lines.at(-1)!;
}

/** What was not being worked on is as it was told; what was is there once, or may have gone. */
async function compare(account: TestAccount, last: Report, told: ReadonlyMap<string, string>): Promise<void> {
  const touched = new Set(last.touches);
  const found = new Map<string, number>();
  for (const folder of Object.keys(last.state)) {
    const seen = await account.look(folder);
    for (const { uid, text } of seen) {
      const known = told.get(`${folder} ${uid}`);
      assert.ok(known === undefined || known === text, `UID ${uid} of ${folder} is another message now`);
      found.set(text, (found.get(text) ?? 0) + 1);
    }
    const untouched = ({ text }: { text: string }) => !touched.has(text);
    assert.deepEqual(seen.filter(untouched), last.state[folder]!.filter(untouched), folder);
  }
  if (last.mayGo) return;
  for (const text of touched) assert.ok(found.has(text), 'a message that was flagged or moved is there');
}
