/** What a client expunged, moved or deleted with its folder stays so when the journal is replayed after a power cut. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock as clock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { createSpool } from '../../src/flow/spool.ts';
import { AccountEngine } from '../../src/mailbox/account-engine.ts';
import { createDirectorySync } from '../../src/mailbox/directory-sync.ts';
import { FolderIndex } from '../../src/mailbox/index/folder-index.ts';
import { createQuotaLedger } from '../../src/mailbox/quota.ts';
import { octetsAt } from '../../src/mailbox/read-place.ts';
import { openAcceptance, planOf } from '../flow/acceptance-kit.ts';

const limits = { memoryMessageBytesMax: 64 * 1024, memoryTotalBytesMax: 1024 * 1024 };

for (const format of ['maildir', 'mbox'] as const) {
  test(`${format}: a replay brings nothing back and doubles nothing`, async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'removed-'));
    t.after(() => rmSync(root, { recursive: true, force: true }));
    const path = join(root, 'mail', 'alice');
    const { acceptance } = openAcceptance(root);
    await acceptance.recover();
    const deliver = async (id: string, folder: string) => {
      const sink = createSpool({ directory: join(root, 'spool'), limits }).open();
      await sink.write(Buffer.from(`Subject: ${id}\r\n\r\nbody\r\n`));
      const message = await sink.finish();
      const accepted = planOf(id, root, [{ format, path, folder, create: true }]);
      await acceptance.accept({ accepted, source: message.source, spooled: message });
    };
    for (const id of ['kept', 'flagged', 'expunged', 'moved', 'copied']) await deliver(id, 'INBOX');
    await deliver('deleted', 'Doomed');
    const index = new FolderIndex(join(root, 'index', 'folders.db'), silentLog);
    const engine = new AccountEngine({
      account: { user: 'alice@example.test', format, path, quotaBytes: 0 },
      context: {
        ...{ path, index, clock, log: silentLog, directorySync: createDirectorySync() },
        tombstones: join(root, 'journal', 'tombstones'),
      },
      ledger: createQuotaLedger({ format, clock }),
    });
    const look = async (folder: string) => {
      const held = await engine.hold(folder);
      const { state } = held.book;
      const subjects = Array.from({ length: state.count }, (_, at) => {
        const text = Buffer.from(octetsAt(held.placeOf(state.uidAt(at))!)!).toString();
        return /^Subject: (.*)$/m.exec(text)![1]!;
      });
      engine.release(held);
      return subjects;
    };
    const inbox = await engine.hold('INBOX');
    const uids = new Map((await look('INBOX')).map((subject, at) => [subject, inbox.book.state.uidAt(at)]));
    const uidOf = (subject: string) => uids.get(subject)!;
    await engine.create('Other');
    await engine.store(inbox, [uidOf('flagged')], { how: 'add', flags: ['\\Seen', 'x'] }, undefined);
    await engine.expunge(inbox, [uidOf('expunged')], true);
    await engine.transfer(inbox, [uidOf('copied')], 'Other', 'copy');
    await engine.transfer(inbox, [uidOf('moved')], 'Other', 'move');
    await engine.delete('Doomed');
    const before = [await look('INBOX'), await look('Other')];
    // As after a power cut: nothing that was marked as done is believed.
    const next = openAcceptance(root, { bootId: 'another' });
    const report = await next.acceptance.recover();
    assert.equal(report.records, 6);
    assert.deepEqual([await look('INBOX'), await look('Other')], before);
    assert.deepEqual(
      before.map((folder) => folder.toSorted()),
      [
        ['copied', 'flagged', 'kept'],
        ['copied', 'moved'],
      ],
    );
    assert.ok(!engine.layout.exists('Doomed'));
    await next.acceptance.close();
    await engine.close();
    index.close();
  });
}
