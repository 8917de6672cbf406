/** What SEARCH, SORT and THREAD look for, as a tree. RFC 9051 section 6.4.4 with RFC 5032, 6203, 7162, 8474 and 8514. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import type { SearchQuery } from '../../../mailbox/search-query.ts';
import { bad, no } from '../refusal.ts';
import type { Cursor } from './cursor.ts';
import { readDate } from './date.ts';
import { readSet, type SequenceSet } from './sequence-set.ts';

/** A SearchQuery in which sets, and what `\Recent` says, still wait for the session that knows them. */
export type SearchKey =
  | Exclude<SearchQuery, { key: 'and' | 'or' | 'not' | 'sequence' | 'uid' }>
  | { readonly key: 'and' | 'or'; readonly of: readonly SearchKey[] }
  | { readonly key: 'not'; readonly of: SearchKey }
  | { readonly key: 'set'; readonly set: SequenceSet; readonly uid: boolean }
  | { readonly key: 'recent' };

/** `key key ...` up to the end of the command. @param charset in which the strings are */
export function readSearchKeys(input: Cursor, charset: string): SearchKey {
  return new KeyReader(input, charsetDecoder(charset)).keys();
}

/** RFC 9051 section 6.4.4. @throws Refusal BADCHARSET */
function charsetDecoder(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true });
  } catch {
    throw no('this charset is not known', 'BADCHARSET (UTF-8 US-ASCII)');
  }
}

const flagKeys: Readonly<Record<string, string>> = {
  ANSWERED: '\\Answered',
  DELETED: '\\Deleted',
  DRAFT: '\\Draft',
  FLAGGED: '\\Flagged',
  SEEN: '\\Seen',
};
const fieldKeys: ReadonlySet<string> = new Set(['BCC', 'CC', 'FROM', 'SUBJECT', 'TO']);
const dateKeys: Readonly<Record<string, 'internal' | 'sent' | 'saved'>> = {
  '': 'internal',
  SENT: 'sent',
  SAVED: 'saved',
};
const recent: SearchKey = { key: 'recent' };
const unseen: SearchKey = { key: 'not', of: { key: 'flag', flag: '\\Seen' } };
/** RFC 8514 section 4.3: all our mailboxes have save dates. */
const all: SearchKey = { key: 'all' };

class KeyReader {
  readonly #input: Cursor;
  readonly #decoder: InstanceType<typeof TextDecoder>;
  #depth = 0;
  #count = 0;

  constructor(input: Cursor, decoder: InstanceType<typeof TextDecoder>) {
    this.#input = input;
    this.#decoder = decoder;
  }

  keys(): SearchKey {
    const keys: SearchKey[] = [];
    do keys.push(this.#key());
    while (this.#input.skip(' '));
    return keys.length === 1 ? keys[0]! : { key: 'and', of: keys };
  }

  #key(): SearchKey {
    this.#count += 1;
    if (this.#count > imapLimits.searchKeysMax) throw bad('too many search keys', 'LIMIT');
    this.#depth += 1;
    if (this.#depth > imapLimits.searchDepthMax) throw bad('search keys are nested too deep', 'LIMIT');
    const key = this.#read();
    this.#depth -= 1;
    return key;
  }

  #read(): SearchKey {
    const input = this.#input;
    if (input.skip('(')) {
      const keys = this.keys();
      input.expect(')');
      return keys;
    }
    if (/[0-9*$]/.test(input.next)) return { key: 'set', set: readSet(input), uid: false };
    const name = input.word();
    if (name.startsWith('UN') && flagKeys[name.slice(2)]) {
      return { key: 'not', of: { key: 'flag', flag: flagKeys[name.slice(2)]! } };
    }
    if (flagKeys[name]) return { key: 'flag', flag: flagKeys[name] };
    if (fieldKeys.has(name)) return { key: 'header', name: name.toLowerCase(), value: this.#string() };
    const date = /^(|SENT|SAVED)(BEFORE|ON|SINCE)$/.exec(name);
    if (date) {
      input.space();
      const key = date[2]!.toLowerCase() as 'before' | 'on' | 'since';
      return { key, of: dateKeys[date[1]!]!, day: readDate(input) };
    }
    return this.#others(name);
  }

  #others(name: string): SearchKey {
    const input = this.#input;
    switch (name) {
      case 'ALL':
      case 'SAVEDATESUPPORTED':
        return all;
      case 'NEW':
        return { key: 'and', of: [recent, unseen] };
      case 'OLD':
        return { key: 'not', of: recent };
      case 'RECENT':
        return recent;
      case 'KEYWORD':
        input.space();
        return { key: 'flag', flag: input.flag() };
      case 'UNKEYWORD':
        input.space();
        return { key: 'not', of: { key: 'flag', flag: input.flag() } };
      case 'NOT':
        input.space();
        return { key: 'not', of: this.#key() };
      case 'FUZZY':
        // RFC 6203 section 3: how fuzzy is ours to say; every match here is a whole one.
        input.space();
        return this.#key();
      case 'OR':
        return { key: 'or', of: [this.#spaceKey(), this.#spaceKey()] };
      case 'UID':
        input.space();
        return { key: 'set', set: readSet(input), uid: true };
      case 'BODY':
      case 'TEXT':
        return { key: name === 'BODY' ? 'body' : 'text', value: this.#string() };
      case 'HEADER':
        input.space();
        return { key: 'header', name: input.astring().toLowerCase(), value: this.#string() };
      case 'LARGER':
      case 'SMALLER':
        input.space();
        return { key: name === 'LARGER' ? 'larger' : 'smaller', octets: input.modseq() };
      case 'OLDER':
      case 'YOUNGER':
        input.space();
        return { key: name === 'OLDER' ? 'older' : 'younger', seconds: input.nonZeroNumber() };
      case 'MODSEQ':
        return this.#modseq();
      case 'EMAILID':
      case 'THREADID':
        input.space();
        return { key: name === 'EMAILID' ? 'emailId' : 'threadId', value: input.astring() };
      default:
        throw bad(`there is no search key ${name.slice(0, 40)}`);
    }
  }

  #spaceKey(): SearchKey {
    this.#input.space();
    return this.#key();
  }

  /** RFC 7162 section 3.1.5: an entry may be named; all flags share one modseq. */
  #modseq(): SearchKey {
    const input = this.#input;
    input.space();
    if (input.next === '"') {
      input.string();
      input.space();
      if (!['PRIV', 'SHARED', 'ALL'].includes(input.word())) throw bad('priv, shared or all was expected');
      input.space();
    }
    return { key: 'modseq', least: input.modseq() };
  }

  /** A string after a space, in the charset. */
  #string(): string {
    this.#input.space();
    const octets = this.#input.astring();
    try {
      return this.#decoder.decode(Buffer.from(octets, 'latin1'));
    } catch {
      throw bad('the string is not in the charset');
    }
  }
}
