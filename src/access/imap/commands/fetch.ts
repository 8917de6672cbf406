/** FETCH and UID FETCH. RFC 9051 section 6.4.5, RFC 7162 section 3.1.4, RFC 9394 section 3.3. */
import { command } from '../command.ts';
import { fetchMessages } from '../fetch.ts';
import type { Cursor } from '../parse/cursor.ts';
import { type FetchItem, readFetchItems } from '../parse/fetch-item.ts';
import { type PartialResult, readPartialResult, takePartial } from '../parse/partial.ts';
import { isInRanges, readSet, resolveSet, type SequenceSet } from '../parse/sequence-set.ts';
import { bad } from '../refusal.ts';
import type { Session } from '../session.ts';
import { setText } from '../write/text.ts';

interface FetchArguments {
  readonly set: SequenceSet;
  readonly items: readonly FetchItem[];
  readonly changedSince: number | undefined;
  readonly vanished: boolean;
  readonly partial: PartialResult | undefined;
}

export const fetch = command({
  name: 'FETCH',
  in: 'selected',
  hasUidForm: true,
  keepsNumbers: true,
  parse: readArguments,
  async run(session, given, call) {
    const usesModseq = given.changedSince !== undefined || given.items.some(({ item }) => item === 'modseq');
    if (usesModseq) session.enableCondstore();
    const { selected } = session;
    let uids = selected.uidsOf(given.set, call.uid);
    if (given.changedSince !== undefined) {
      if (given.vanished) await tellVanished(session, given.set, given.changedSince);
      const { changedSince } = given;
      uids = uids.filter((uid) => selected.modseqOf(selected.view.seqOf(uid)) > changedSince);
    }
    if (given.partial) uids = takePartial(uids, given.partial).slice().sort();
    const items = withModseq(given);
    const { missing } = await fetchMessages(session, uids, items, call);
    // RFC 5530: the client hears of it at the next command that may tell.
    return missing === 0 ? undefined : { code: 'EXPUNGEISSUED', text: 'Some of the messages are gone' };
  },
});

function readArguments(input: Cursor, { uid }: { uid: boolean }): FetchArguments {
  input.space();
  const set = readSet(input);
  input.space();
  const items = readFetchItems(input);
  let changedSince: number | undefined;
  let vanished = false;
  let partial: PartialResult | undefined;
  if (input.skip(' ')) {
    input.list(() => {
      const name = input.word();
      if (name === 'VANISHED') {
        vanished = true;
        return;
      }
      input.space();
      if (name === 'CHANGEDSINCE') changedSince = input.modseq();
      else if (name === 'PARTIAL') partial = readPartialResult(input);
      else throw bad(`there is no modifier ${name.slice(0, 40)}`);
    });
  }
  // RFC 7162 section 3.2.6.
  if (vanished && (!uid || changedSince === undefined))
    throw bad('VANISHED needs UID FETCH and CHANGEDSINCE');
  return { set, items, changedSince, vanished, partial };
}

function withModseq({ items, changedSince }: FetchArguments): readonly FetchItem[] {
  if (changedSince === undefined || items.some(({ item }) => item === 'modseq')) return items;
  return [...items, { item: 'modseq' }];
}

async function tellVanished(session: Session, set: SequenceSet, modseq: number): Promise<void> {
  if (!session.has('QRESYNC')) throw bad('enable QRESYNC first');
  const { folder, view } = session.selected;
  const ranges = set === 'saved' ? [] : resolveSet(set, view.snapshot.uidNext - 1);
  const gone = (await folder.vanishedSince(modseq)).filter(
    (uid) => view.seqOf(uid) === 0 && isInRanges(uid, ranges),
  );
  if (gone.length > 0) session.untagged(`VANISHED (EARLIER) ${setText(gone)}`);
}
