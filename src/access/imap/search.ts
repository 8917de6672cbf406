/** Carries out searches and tells their results. RFC 9051 sections 6.4.4 and 7.3.4, RFC 4731, 5182, 5267, 7162. */
import type { Folder } from '../../mailbox/mailbox.ts';
import type { SearchQuery } from '../../mailbox/search-query.ts';
import type { Call } from './command.ts';
import type { Cursor } from './parse/cursor.ts';
import { takePartial } from './parse/partial.ts';
import { readSearchKeys, type SearchKey } from './parse/search-key.ts';
import type { SearchReturn } from './parse/search-return.ts';
import { rangesOf, resolveSet } from './parse/sequence-set.ts';
import { bad, Refusal } from './refusal.ts';
import { Selected } from './selected.ts';
import type { Session } from './session.ts';
import { setText } from './write/text.ts';

/** The key as the mailbox understands it: sets resolved, `\Recent` as the UIDs that are it. @throws Refusal */
export function queryOf(session: Session, selected: Selected, key: SearchKey): SearchQuery {
  switch (key.key) {
    case 'and':
    case 'or':
      return { key: key.key, of: key.of.map((each) => queryOf(session, selected, each)) };
    case 'not':
      return { key: 'not', of: queryOf(session, selected, key.of) };
    case 'recent':
      return { key: 'uid', ranges: selected.recentRanges };
    case 'set': {
      if (key.set === 'saved') return { key: 'uid', ranges: rangesOf(selected.saved) };
      if (key.uid) return { key: 'uid', ranges: resolveSet(key.set, selected.view.uids.at(-1) ?? 0) };
      // RFC 9586 section 3.2.
      if (session.has('UIDONLY')) throw bad('message numbers are not used here', 'UIDREQUIRED');
      return { key: 'sequence', ranges: resolveSet(key.set, selected.view.count) };
    }
    default:
      return key;
  }
}

/** True when the key asks for modseqs: then the result tells the highest. RFC 7162 section 3.1.5. */
export function asksForModseq(key: SearchKey): boolean {
  if (key.key === 'and' || key.key === 'or') return key.of.some(asksForModseq);
  return key.key === 'not' ? asksForModseq(key.of) : key.key === 'modseq';
}

/** A folder that need not be selected, as a session would see it now; to be closed. */
export async function lookInto(folder: Folder): Promise<Selected> {
  await folder.refresh();
  return new Selected(folder);
}

/** The keys of a search; where they are refused with NO, what it was to save is empty. RFC 5182 section 2.1. */
export function readKeysOf(returns: SearchReturn | undefined, input: Cursor, charset: string): SearchKey {
  try {
    return readSearchKeys(input, charset);
  } catch (error) {
    if (error instanceof Refusal && error.status === 'NO') error.losesSaved = saves(returns);
    throw error;
  }
}

export function saves(returns: SearchReturn | undefined): boolean {
  return returns?.options.has('SAVE') === true;
}

/** RFC 5182 section 2.1: what SAVE keeps depends on what else is asked. @param uids in the result's order */
export function savedResult(uids: Uint32Array, { options, partial }: SearchReturn): Uint32Array {
  const asked = options.has('ALL') || options.has('COUNT') ? uids : undefined;
  const page = partial && takePartial(uids, partial);
  const ends = options.has('MIN') || options.has('MAX') ? endsOf(uids, options) : undefined;
  return (asked ?? page ?? ends ?? uids).slice().sort();
}

export interface ResultInit {
  readonly call: Call;
  readonly selected: Selected;
  /** In the result's order. */
  readonly uids: Uint32Array;
  readonly returns: SearchReturn;
  readonly modseq: boolean;
  /** Where several mailboxes were searched. RFC 7377 section 2.1. */
  readonly mailbox?: { readonly name: string; readonly uidValidity: number };
}

/** The ESEARCH response. */
export function resultText(session: Session, init: ResultInit): string {
  const { call, selected, uids, returns, modseq, mailbox } = init;
  const { options, partial } = returns;
  const asUids = call.uid || session.has('UIDONLY');
  const told = asUids ? uids : uids.map((uid) => selected.view.seqOf(uid));
  const where = mailbox
    ? ` MAILBOX ${session.mailboxText(mailbox.name)} UIDVALIDITY ${mailbox.uidValidity}`
    : '';
  const parts = [`ESEARCH (TAG "${call.tag}"${where})`];
  if (asUids) parts.push('UID');
  if (told.length > 0) {
    // The first and last in the order asked for. RFC 5267 section 3.
    if (options.has('MIN')) parts.push(`MIN ${told[0]}`);
    if (options.has('MAX')) parts.push(`MAX ${told.at(-1)}`);
    if (options.has('ALL')) parts.push(`ALL ${setText(told)}`);
  }
  if (options.has('COUNT')) parts.push(`COUNT ${told.length}`);
  if (partial) {
    const page = takePartial(told, partial);
    parts.push(`PARTIAL (${partial.written} ${page.length === 0 ? 'NIL' : setText(page)})`);
  }
  // Every match is a whole one. RFC 6203 section 4.
  if (options.has('RELEVANCY') && told.length > 0) {
    parts.push(`RELEVANCY (${Array.from(told, () => '100').join(' ')})`);
  }
  if (modseq && told.length > 0) parts.push(`MODSEQ ${highestModseq(selected, toldUids(uids, returns))}`);
  return parts.join(' ');
}

/** RFC 4731 section 3.2: where MIN and MAX alone are asked for, it is the modseq of those. */
function toldUids(uids: Uint32Array, { options, partial }: SearchReturn): Uint32Array {
  if (options.has('ALL') || options.has('COUNT') || partial) return uids;
  return options.has('MIN') || options.has('MAX') ? endsOf(uids, options) : uids;
}

/** The first, the last, or both. */
function endsOf(uids: Uint32Array, options: SearchReturn['options']): Uint32Array {
  const ends = [options.has('MIN') ? uids[0] : undefined, options.has('MAX') ? uids.at(-1) : undefined];
  return Uint32Array.from(new Set(ends.filter((uid) => uid !== undefined)));
}

export function highestModseq(selected: Selected, uids: Uint32Array): number {
  let highest = 0;
  for (const uid of uids) highest = Math.max(highest, selected.modseqOf(selected.view.seqOf(uid)));
  return highest;
}
