/** SEARCH and UID SEARCH. RFC 9051 section 6.4.4, RFC 4731, 5182, 5267, 7162. */
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

interface SearchArguments {
  readonly returns: SearchReturn | undefined;
  readonly charset: string | undefined;
  readonly key: SearchKey;
}

export const search = command({
  name: 'SEARCH',
  in: 'selected',
  hasUidForm: true,
  keepsNumbers: true,
  parse: readSearch,
  run: find,
});

/** `[RETURN (...)] [CHARSET name] keys`. */
function readSearch(input: Cursor): SearchArguments {
  const returns = readSearchReturn(input);
  let charset: string | undefined;
  if (input.skip(' CHARSET ')) charset = input.astring();
  input.space();
  return { returns, charset, key: readKeysOf(returns, input, charset ?? 'utf-8') };
}

/** RFC 9755 section 3: strings are UTF-8 then, and nothing else may be said. */
export function checkCharset(session: Session, charset: string | undefined): void {
  if (charset !== undefined && session.has('UTF8=ACCEPT')) throw bad('CHARSET is not used with UTF8=ACCEPT');
}

async function find(session: Session, given: SearchArguments, call: Call): Promise<Done | undefined> {
  checkCharset(session, given.charset);
  const { selected } = session;
  const modseq = asksForModseq(given.key);
  if (modseq) session.enableCondstore();
  const query = queryOf(session, selected, given.key);
  // A search that fails from here on saves nothing.
  if (saves(given.returns)) selected.forgetSaved();
  const uids = await selected.folder.search(selected.view, query);
  // RFC 9051 section 7.3.4: SEARCH responses are of IMAP4rev1.
  const returns = given.returns ?? (session.has('IMAP4REV2') ? allOfThem : undefined);
  if (!returns) {
    const numbers = call.uid ? uids : uids.map((uid) => selected.view.seqOf(uid));
    const highest = modseq && uids.length > 0 ? ` (MODSEQ ${highestModseq(selected, uids)})` : '';
    session.untagged(`SEARCH${numbers.length > 0 ? ' ' : ''}${numbers.join(' ')}${highest}`);
    return undefined;
  }
  if (saves(returns)) selected.saved = savedResult(uids, returns);
  if (!isSaveAlone(returns)) session.untagged(resultText(session, { call, selected, uids, returns, modseq }));
  return keepContext(session, returns, uids, {
    tag: call.tag,
    uid: call.uid,
    isSorted: false,
    find: () => selected.folder.search(selected.view, query),
  });
}

const allOfThem: SearchReturn = { options: new Set(['ALL']), partial: undefined };

/** RFC 5182 section 2.1: nothing is told then. */
function isSaveAlone({ options, partial }: SearchReturn): boolean {
  return (
    !partial &&
    [...options].every((option) => option === 'SAVE' || option === 'CONTEXT' || option === 'UPDATE')
  );
}

/** RFC 5267 section 4.3: a client that asks for more than there is room for is told, and has its result. */
export function keepContext(
  session: Session,
  { options }: SearchReturn,
  uids: Uint32Array,
  context: Parameters<Session['updates']['contexts']['add']>[0],
): Done | undefined {
  if (!options.has('UPDATE')) return undefined;
  if (session.updates.contexts.has(context.tag)) throw bad('this tag names a search already');
  if (session.updates.contexts.add(context, uids)) return undefined;
  session.untagged(`NO [NOUPDATE "${context.tag}"] Too many searches are kept up to date`);
  return undefined;
}
