/** Orders of messages, beside those that comparing two at a time gives. RFC 5256 section 3. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SortFacts } from '../../src/mailbox/index/read-facts.ts';
import { SortRanks, sortMessages } from '../../src/mailbox/search/sort.ts';
import type { SortCriterion } from '../../src/mailbox/search-query.ts';
import { emptyColumns, Snapshot } from '../../src/mailbox/snapshot.ts';

const count = 300;
const columns = emptyColumns(count);
const facts: SortFacts[] = [];
for (let at = 0; at < count; at += 1) {
  columns.uid[at] = 2 * at + 1;
  columns.key[at] = at;
  columns.size[at] = (at * 31) % 17;
  columns.internalDate[at] = 1.7e12 + ((at * 37) % 101) * 1000;
  facts.push({
    ...{ sentDay: undefined, to: '', cc: '', displayFrom: '', displayTo: '', messageId: '', references: [] },
    sentAt: at % 3 === 0 ? undefined : 1.7e12 + ((at * 53) % 97) * 1000,
    subject: `subject ${(at * 71) % 29}`,
    isReplyOrForward: false,
    from: `sender ${(at * 11) % 7}`,
  });
}
const base = { version: 1, uidValidity: 1, uidNext: 999, highestModseq: 1, firstRecentUid: 1, keywords: [] };
const snapshot = new Snapshot({ ...base, count, columns });
const source = {
  sort: (key: number) => facts[key],
  ids: () => undefined,
  header: () => undefined,
  text: () => undefined,
};

function sortValueOf(at: number, by: SortCriterion['by']): string | number {
  if (by === 'arrival') return columns.internalDate[at]!;
  if (by === 'size') return columns.size[at]!;
  return by === 'date' ? (facts[at]!.sentAt ?? columns.internalDate[at]!) : facts[at]![by];
}

function compared(criteria: readonly SortCriterion[], uids: Uint32Array): number[] {
  return [...uids].sort((a, b) => {
    for (const { by, reverse } of criteria) {
      const [first, second] = [sortValueOf((a - 1) / 2, by), sortValueOf((b - 1) / 2, by)];
      if (first !== second) return first < second === reverse ? 1 : -1;
    }
    return a - b;
  });
}

const orders: readonly (readonly SortCriterion[])[] = [
  [{ by: 'subject', reverse: false }],
  [{ by: 'subject', reverse: true }],
  [{ by: 'date', reverse: true }],
  [{ by: 'arrival', reverse: false }],
  [
    { by: 'from', reverse: true },
    { by: 'size', reverse: false },
    { by: 'date', reverse: true },
    { by: 'subject', reverse: false },
  ],
];

for (const criteria of orders) {
  const name = criteria.map(({ by, reverse }) => (reverse ? `reverse ${by}` : by)).join(', ');
  test(`sorted by ${name}`, () => {
    const where = { snapshot, facts: source, ranks: new SortRanks() };
    const some = snapshot.uids.filter((uid) => uid % 3 > 0);
    assert.deepEqual([...sortMessages(some, criteria, where)], compared(criteria, some));
    // More messages than the ranks know of.
    assert.deepEqual([...sortMessages(snapshot.uids, criteria, where)], compared(criteria, snapshot.uids));
    assert.deepEqual([...sortMessages(some, criteria, where)], compared(criteria, some));
  });
}

test('facts that come later are sorted by', () => {
  const ranks = new SortRanks();
  const criteria = [{ by: 'subject', reverse: false }] as const;
  sortMessages(snapshot.uids, criteria, { snapshot, ranks, facts: { ...source, sort: () => undefined } });
  const sorted = sortMessages(snapshot.uids, criteria, { snapshot, ranks, facts: source });
  assert.deepEqual([...sorted], compared(criteria, snapshot.uids));
});
