/** SORT and UID SORT. RFC 5256, RFC 5267 section 3, RFC 5957. */
import type { SortCriterion, SortKey } from '../../../mailbox/search-query.ts';
import { type Call, command, type Done } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';
import type { SearchKey } from '../parse/search-key.ts';
import { readSearchReturn, type SearchReturn } from '../parse/search-return.ts';
import { bad } from '../refusal.ts';
import {
  asksForModseq,
  highestModseq,
  queryOf,
  readKeysOf,
  resultText,
  savedResult,
  saves,
} from '../search.ts';
import type { Session } from '../session.ts';
import { keepContext } from './search.ts';

interface SortArguments {
  readonly returns: SearchReturn | undefined;
  readonly criteria: readonly SortCriterion[];
  readonly key: SearchKey;
}

const sortKeys: Readonly<Record<string, SortKey>> = {
  ARRIVAL: 'arrival',
  CC: 'cc',
  DATE: 'date',
  DISPLAYFROM: 'displayFrom',
  DISPLAYTO: 'displayTo',
  FROM: 'from',
  SIZE: 'size',
  SUBJECT: 'subject',
  TO: 'to',
};

export const sort = command({
  name: 'SORT',
  in: 'selected',
  hasUidForm: true,
  keepsNumbers: true,
  parse(input): SortArguments {
    const returns = readSearchReturn(input);
    input.space();
    const criteria = readCriteria(input);
    input.space();
    const charset = input.astring();
    input.space();
    return { returns, criteria, key: readKeysOf(returns, input, charset) };
  },
  run: sortMessages,
});

function readCriteria(input: Cursor): SortCriterion[] {
  return input.list(() => {
    let name = input.word();
    const reverse = name === 'REVERSE';
    if (reverse) {
      input.space();
      name = input.word();
    }
    // RFC 6203 section 5: all matches are equally good.
    if (name === 'RELEVANCY') return { by: 'arrival' as const, reverse };
    const by = sortKeys[name];
    if (!by) throw bad(`nothing can be sorted by ${name.slice(0, 40)}`);
    return { by, reverse };
  });
}

async function sortMessages(session: Session, given: SortArguments, call: Call): Promise<Done | undefined> {
  const { selected } = session;
  const { returns, criteria } = given;
  const modseq = asksForModseq(given.key);
  if (modseq) session.enableCondstore();
  const query = queryOf(session, selected, given.key);
  // A search that fails from here on saves nothing.
  if (saves(given.returns)) selected.forgetSaved();
  const uids = await selected.folder.sort(selected.view, query, criteria);
  if (!returns) {
    const numbers = call.uid ? uids : uids.map((uid) => selected.view.seqOf(uid));
    const highest = modseq && uids.length > 0 ? ` (MODSEQ ${highestModseq(selected, uids)})` : '';
    session.untagged(`SORT${numbers.length > 0 ? ' ' : ''}${numbers.join(' ')}${highest}`);
    return undefined;
  }
  if (saves(returns)) selected.saved = savedResult(uids, returns);
  session.untagged(resultText(session, { call, selected, uids, returns, modseq }));
  return keepContext(session, returns, uids, {
    tag: call.tag,
    uid: call.uid,
    isSorted: true,
    find: () => selected.folder.sort(selected.view, query, criteria),
  });
}
