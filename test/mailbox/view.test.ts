/** A session's numbers change only when it may be told; random folders against a plain list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emptyColumns, Snapshot } from '../../src/mailbox/snapshot.ts';
import { FolderView } from '../../src/mailbox/view.ts';

interface Message {
  readonly uid: number;
  readonly flags: number;
  readonly modseq: number;
}

function snapshotOf(messages: readonly Message[], version: number): Snapshot {
  const columns = emptyColumns(messages.length);
  messages.forEach(({ uid, flags, modseq }, index) => {
    columns.uid[index] = uid;
    columns.flags[index] = flags;
    columns.modseq[index] = modseq;
  });
  const uidNext = (messages.at(-1)?.uid ?? 0) + 1;
  const base = { uidValidity: 1, uidNext, highestModseq: 1, firstRecentUid: 1, keywords: [] };
  return new Snapshot({ ...base, version, count: messages.length, columns });
}

const step = fc.record({
  gone: fc.array(fc.nat(20), { maxLength: 4 }),
  flagged: fc.array(fc.nat(20), { maxLength: 4 }),
  added: fc.nat(3),
  expunge: fc.boolean(),
});

test('a client that follows what it is told has the view, and numbers hold while nothing is expunged', () => {
  fc.assert(
    fc.property(fc.nat(10), fc.array(step, { maxLength: 12 }), (begin, steps) => {
      let nextUid = 1;
      let modseq = 1;
      const fresh = (): Message => ({ uid: nextUid++, flags: 0, modseq: modseq++ });
      let store = Array.from({ length: begin }, fresh);
      const view = new FolderView(snapshotOf(store, 0));
      const client = store.map(({ uid, flags }) => ({ uid, flags }));
      steps.forEach(({ gone, flagged, added, expunge }, version) => {
        store = store.filter((_, index) => !gone.includes(index));
        store = store.map((message, index) =>
          flagged.includes(index) ? { ...message, flags: message.flags ^ 8, modseq: modseq++ } : message,
        );
        for (let n = 0; n < added; n += 1) store.push(fresh());
        const changes = view.update(snapshotOf(store, version + 1), { expunge });
        if (!expunge) assert.deepEqual(changes.expunged, []);
        for (const { seq, uid } of changes.expunged) {
          assert.equal(client[seq - 1]!.uid, uid);
          client.splice(seq - 1, 1);
        }
        for (let n = 0; n < changes.added; n += 1) {
          const seq = client.length + 1;
          client.push({ uid: view.uidAt(seq), flags: view.flagBits(seq) });
        }
        for (const uid of changes.changed) {
          const known = client.find((each) => each.uid === uid)!;
          known.flags = view.flagBits(view.seqOf(uid));
        }
        assert.equal(view.count, client.length);
        assert.deepEqual(
          client.map((_, index) => ({ uid: view.uidAt(index + 1), flags: view.flagBits(index + 1) })),
          client,
        );
        if (expunge) assert.deepEqual([...view.uids], [...store.map(({ uid }) => uid)]);
      });
    }),
  );
});

test('a view that holds nothing back shares the memory of its snapshot', () => {
  const snapshot = snapshotOf([{ uid: 1, flags: 0, modseq: 1 }], 0);
  const view = new FolderView(snapshot);
  assert.equal(view.uids.buffer, snapshot.data.columns.uid.buffer);
});
