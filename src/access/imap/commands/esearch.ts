/** ESEARCH: one search over several mailboxes. RFC 7377. */
import { type Call, command } from '../command.ts';
import { filterMatches, type MailboxFilter, readMailboxFilter } from '../mailbox-filter.ts';
import { readSearchKeys, type SearchKey } from '../parse/search-key.ts';
import { readSearchReturn, type SearchReturn } from '../parse/search-return.ts';
import { bad } from '../refusal.ts';
import { asksForModseq, lookInto, queryOf, resultText } from '../search.ts';
import type { Selected } from '../selected.ts';
import type { Session } from '../session.ts';
import { checkCharset } from './search.ts';

interface EsearchArguments {
  readonly filters: readonly MailboxFilter[];
  readonly returns: SearchReturn | undefined;
  readonly charset: string | undefined;
  readonly key: SearchKey;
}

export const esearch = command({
  name: 'ESEARCH',
  in: 'authenticated',
  keepsNumbers: true,
  parse(input): EsearchArguments {
    const filters: MailboxFilter[] = [];
    if (input.skip(' IN (')) {
      do filters.push(readMailboxFilter(input));
      while (input.skip(' '));
      input.expect(')');
    }
    const returns = readSearchReturn(input);
    // RFC 7377 section 2.1: results of several mailboxes cannot be saved, nor kept up to date.
    if (
      filters.length > 0 &&
      returns &&
      ['SAVE', 'UPDATE', 'CONTEXT'].some((name) => returns.options.has(name as 'SAVE'))
    ) {
      throw bad('SAVE and UPDATE are for the selected mailbox');
    }
    let charset: string | undefined;
    if (input.skip(' CHARSET ')) charset = input.astring();
    input.space();
    return { filters, returns, charset, key: readSearchKeys(input, charset ?? 'utf-8') };
  },
  async run(session, given, call) {
    checkCharset(session, given.charset);
    const { filters } = given;
    if (filters.length === 0 || filters.every(({ kind }) => kind.startsWith('selected'))) {
      await tellOne(session, session.selected, given, call);
      return;
    }
    const folders = await session.account.list();
    const matchers = filters.map((filter) => filterMatches(session, filter, folders));
    for (const { name, exists } of folders) {
      if (exists && matchers.some((matcher) => matcher(name))) await tellOther(session, name, given, call);
    }
  },
});

/** A mailbox that is gone by now is passed over. */
async function tellOther(session: Session, name: string, given: EsearchArguments, call: Call): Promise<void> {
  const folder = await session.account.openFolder(name, { readOnly: true }).catch(() => undefined);
  if (!folder) return;
  try {
    await tellOne(session, await lookInto(folder), given, call);
  } finally {
    folder.close();
  }
}

async function tellOne(
  session: Session,
  selected: Selected,
  { returns = all, key }: EsearchArguments,
  call: Call,
): Promise<void> {
  const uids = await selected.folder.search(selected.view, queryOf(session, selected, key));
  // RFC 7377 section 2.1: where nothing was found, nothing is told.
  if (uids.length === 0) return;
  const { name } = selected.folder;
  const { uidValidity } = selected.view.snapshot;
  session.untagged(
    resultText(session, {
      call: { ...call, uid: true },
      selected,
      uids,
      returns,
      modseq: asksForModseq(key),
      mailbox: { name, uidValidity },
    }),
  );
  await session.out.drained();
}

const all: SearchReturn = { options: new Set(['ALL']), partial: undefined };
