/** A sync that failed, and a process that died before the copies were written again: the next one doubts them too. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreAction } from '../../src/delivery/store.ts';
import { createFileSystems, type FileSystems } from '../../src/flow/file-systems.ts';
import { memorySource } from '../kit/message-source.ts';
import { maildirTexts, messageText, openAcceptance, planOf, storedText } from './acceptance-kit.ts';

const bootId = 'same';

function failing(): FileSystems {
  return {
    ...createFileSystems(),
    sync: async () => {
      throw Object.assign(new Error('input/output error'), { code: 'EIO' });
    },
  };
}

/** A house that took one message in and was killed. */
async function killed(t: TestContext, fileSystems?: FileSystems, store: Partial<StoreAction> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'doubt-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const { acceptance, log } = openAcceptance(root, { bootId, ...(fileSystems && { fileSystems }) });
  await acceptance.recover();
  const accepted = planOf('ONE', root, [store]);
  await acceptance.accept({ accepted, source: memorySource(messageText('ONE')) });
  // Marks are written at the end of a turn.
  await sleep(5);
  return { root, acceptance, log, mail: join(root, 'mail', 'alice'), doubt: join(root, 'journal', 'doubt') };
}

function only(mail: string): string {
  return join(mail, 'new', readdirSync(join(mail, 'new'))[0]!);
}

test('after a failed sync the marks are not believed: what was lost is delivered again', async (t) => {
  const { root, acceptance, mail, doubt } = await killed(t, failing());
  await acceptance.drain();
  assert.ok(existsSync(doubt));
  writeFileSync(only(mail), Buffer.alloc(statSync(only(mail)).size));
  const next = openAcceptance(root, { bootId });
  const report = await next.acceptance.recover();
  assert.deepEqual([report.alreadyDone, report.replayed], [0, 1]);
  assert.deepEqual(maildirTexts(mail), [storedText('ONE')]);
});

test('what seems whole is written again before the next sync, and then the doubt is over', async (t) => {
  const { root, acceptance, mail, doubt } = await killed(t, failing());
  await acceptance.drain();
  const before = statSync(only(mail), { bigint: true }).ctimeNs;
  await sleep(20);
  const real = createFileSystems();
  let atSync: bigint | undefined;
  const fileSystems: FileSystems = {
    ...real,
    sync: async (written) => {
      assert.ok(existsSync(doubt), 'it lasts until the sync is over');
      atSync = statSync(only(mail), { bigint: true }).ctimeNs;
      return real.sync(written);
    },
  };
  const next = openAcceptance(root, { bootId, fileSystems });
  await next.acceptance.recover();
  await next.acceptance.drain();
  assert.ok(atSync !== undefined && atSync > before);
  assert.ok(!existsSync(doubt));
  assert.deepEqual(maildirTexts(mail), [storedText('ONE')]);
  await next.acceptance.close();
});

test('where the doubt cannot be kept the marks go', async (t) => {
  const { root, acceptance, log, doubt } = await killed(t, failing());
  mkdirSync(doubt);
  await acceptance.drain();
  assert.ok(log.lines.some(({ event }) => event === 'doubt-not-kept'));
  assert.deepEqual(
    readdirSync(join(root, 'journal')).filter((name) => name.endsWith('.done')),
    [],
  );
});

for (const format of ['maildir', 'mbox'] as const) {
  for (const byPath of [false, true]) {
    test(`what an earlier process stored in ${format} is in the next checkpoint, by path: ${byPath}`, async (t) => {
      const { root, mail } = await killed(t, undefined, { format });
      const real = createFileSystems(byPath ? null : undefined);
      const covered: string[] = [];
      const written: string[] = [];
      const fileSystems: FileSystems = {
        ...real,
        cover: (directory) => {
          covered.push(directory);
          real.cover(directory);
        },
        sync: async (copies) => {
          written.push(...[...copies].map(({ action, path }) => `${action.name} ${path}`));
          return real.sync(copies);
        },
      };
      const next = openAcceptance(root, { bootId, fileSystems });
      assert.equal((await next.acceptance.recover()).alreadyDone, 1);
      await next.acceptance.drain();
      await next.acceptance.close();
      assert.deepEqual(covered, [root, format === 'mbox' ? join(root, 'mail') : mail]);
      const name = format === 'maildir' && byPath ? basename(only(mail)).split(',')[0] : undefined;
      if (!byPath) assert.deepEqual(written, []);
      else if (name !== undefined) assert.ok(written[0]?.startsWith(`${name} `));
      else assert.ok(written[0]?.endsWith(` ${mail}`));
      assert.equal(written.length, byPath ? 1 : 0);
    });
  }
}
