/** Answers FETCH: what of each message comes from memory, from the index, or from its octets. RFC 9051 section 6.4.5. */
import { imapLimits } from '../../../core/base/limits/access.ts';
import { seenBit } from '../../mailbox/flags.ts';
import type { FactField, FilledColumn, MessageFacts } from '../../mailbox/mailbox.ts';
import { OpenedMessage } from './body-section.ts';
import { RowWriter } from './fetch-row.ts';
import type { FetchItem } from './parse/fetch-item.ts';
import type { Session } from './session.ts';

export interface Fetched {
  /** Messages of the view that are gone, of which not everything could be told. */
  readonly missing: number;
}

/** What it takes to answer the items. */
interface Needs {
  readonly columns: readonly FilledColumn[];
  readonly facts: readonly FactField[];
  readonly octets: 'all' | 'header' | undefined;
}

/** @param uids ascending, of the view @param call whether the client fetches by UID */
export async function fetchMessages(
  session: Session,
  uids: Uint32Array,
  asked: readonly FetchItem[],
  call: { readonly uid: boolean },
): Promise<Fetched> {
  const items = complete(session, asked, call);
  const seen = await markSeen(session, uids, items);
  const needs = needsOf(items);
  const rows = new RowWriter(session, items, seen);
  let missing = 0;
  let next = load(session, uids.subarray(0, imapLimits.fetchBatch), needs);
  for (let at = 0; at < uids.length; at += imapLimits.fetchBatch) {
    const loaded = await next;
    const end = at + imapLimits.fetchBatch;
    // While one batch is being written the next one is looked up.
    next = load(session, uids.subarray(end, end + imapLimits.fetchBatch), needs);
    next.catch(() => undefined);
    // Columns are filled in the folder's snapshot, which may know more than this view.
    if (needs.columns.length > 0) session.announce(false);
    missing += await writeBatch(session, loaded, needs, rows);
  }
  return { missing };
}

/** UID FETCH tells the UID, whatever is asked; FLAGS come with a MODSEQ where the client keeps it. RFC 7162 section 3.1.4. */
function complete(session: Session, asked: readonly FetchItem[], call: { uid: boolean }): FetchItem[] {
  const items = [...asked];
  const has = (name: FetchItem['item']) => items.some(({ item }) => item === name);
  if (call.uid && !has('uid') && !session.has('UIDONLY')) items.unshift({ item: 'uid' });
  if (session.tellsModseq && has('flags') && !has('modseq')) items.push({ item: 'modseq' });
  return session.has('UIDONLY') ? items.filter(({ item }) => item !== 'uid') : items;
}

/** Messages whose flags the client has to hear of, for this FETCH sets `\Seen`. */
async function markSeen(
  session: Session,
  uids: Uint32Array,
  items: readonly FetchItem[],
): Promise<ReadonlySet<number>> {
  const { selected } = session;
  const { view, folder } = selected;
  const reads = items.some((item) => 'peek' in item && !item.peek);
  if (!reads || folder.readOnly) return new Set();
  const unseen = uids.filter((uid) => !(view.flagBits(view.seqOf(uid)) & seenBit));
  if (unseen.length === 0) return new Set();
  await folder.store(unseen, { how: 'add', flags: ['\\Seen'] });
  session.announce(false, { toldElsewhere: new Set(unseen) });
  return new Set(unseen);
}

const columnOf: Partial<Record<FetchItem['item'], FilledColumn>> = {
  size: 'size',
  internalDate: 'internalDate',
  saveDate: 'saveDate',
};
const factOf: Partial<Record<FetchItem['item'], FactField>> = {
  envelope: 'envelope',
  body: 'body',
  bodyStructure: 'bodyStructure',
  preview: 'preview',
  emailId: 'emailId',
  threadId: 'threadId',
};

function needsOf(items: readonly FetchItem[]): Needs {
  const columns = items.flatMap(({ item }) => columnOf[item] ?? []);
  const facts = items.flatMap(({ item }) => factOf[item] ?? []);
  const sections = items.filter((item) => 'section' in item);
  const inHeader = sections.every(
    ({ item, section: { path, of } }) =>
      item === 'section' && path.length === 0 && (of === 'header' || of === 'fields' || of === 'fieldsNot'),
  );
  return { columns, facts, octets: sections.length === 0 ? undefined : inHeader ? 'header' : 'all' };
}

interface Loaded {
  readonly uids: Uint32Array;
  readonly facts: ReadonlyMap<number, MessageFacts>;
}

/** First the facts: with those that are read now come the sizes. */
async function load(session: Session, uids: Uint32Array, needs: Needs): Promise<Loaded> {
  const { folder } = session.selected;
  const facts = new Map<number, MessageFacts>();
  if (needs.facts.length > 0) {
    for await (const each of folder.facts(uids, needs.facts)) facts.set(each.uid, each);
  }
  if (needs.columns.length > 0) await folder.ensure(uids, needs.columns);
  return { uids, facts };
}

/** @returns how many are gone */
async function writeBatch(
  session: Session,
  { uids, facts }: Loaded,
  needs: Needs,
  rows: RowWriter,
): Promise<number> {
  const { folder } = session.selected;
  const isThere = (uid: number) =>
    hasColumns(session, uid, needs.columns) && (needs.facts.length === 0 || facts.has(uid));
  let told = 0;
  if (needs.octets === undefined) {
    for (const uid of uids) {
      if (!isThere(uid)) continue;
      rows.write(uid, facts.get(uid), undefined);
      told += 1;
    }
    await session.out.drained();
    return uids.length - told;
  }
  for await (const { uid, octets } of folder.messages(uids, needs.octets)) {
    if (!isThere(uid)) continue;
    const whole = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    rows.write(uid, facts.get(uid), new OpenedMessage(whole));
    told += 1;
    await session.out.drained();
  }
  return uids.length - told;
}

/** False for a message that is gone. */
function hasColumns(session: Session, uid: number, wanted: readonly FilledColumn[]): boolean {
  const { view } = session.selected;
  const index = view.indexAt(view.seqOf(uid));
  return index >= 0 && wanted.every((column) => !Number.isNaN(view.snapshot.data.columns[column][index]));
}
