/** What can be asked of a folder's messages, as values: SEARCH, SORT and THREAD. RFC 9051 section 6.4.4, RFC 5256, RFC 5032. */

/** First and last, both included, first not greater than last. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** Strings are decoded already; they match as substrings whatever their case. RFC 9051 section 6.4.4. */
export type SearchQuery =
  | { readonly key: 'all' }
  | { readonly key: 'and' | 'or'; readonly of: readonly SearchQuery[] }
  | { readonly key: 'not'; readonly of: SearchQuery }
  /** Message numbers of the view; `*` is resolved by the caller. */
  | { readonly key: 'sequence'; readonly ranges: readonly NumberRange[] }
  | { readonly key: 'uid'; readonly ranges: readonly NumberRange[] }
  /** A system flag or a keyword; `\Recent` is the caller's to turn into UIDs. */
  | { readonly key: 'flag'; readonly flag: string }
  /** '' asks for the field alone. */
  | { readonly key: 'header'; readonly name: string; readonly value: string }
  | { readonly key: 'body' | 'text'; readonly value: string }
  /** A day without time zone, `2026-11-21`: that of the message's own zone for `sent`, else this server's. */
  | {
      readonly key: 'before' | 'on' | 'since';
      readonly of: 'internal' | 'sent' | 'saved';
      readonly day: string;
    }
  /** RFC 5032. */
  | { readonly key: 'older' | 'younger'; readonly seconds: number }
  | { readonly key: 'larger' | 'smaller'; readonly octets: number }
  /** That modseq or a higher one. RFC 7162. */
  | { readonly key: 'modseq'; readonly least: number }
  | { readonly key: 'emailId' | 'threadId'; readonly value: string };

export type SortKey =
  | 'arrival'
  | 'cc'
  | 'date'
  | 'displayFrom'
  | 'displayTo'
  | 'from'
  | 'size'
  | 'subject'
  | 'to';

export interface SortCriterion {
  readonly by: SortKey;
  readonly reverse: boolean;
}

export type ThreadAlgorithm = 'orderedSubject' | 'references' | 'refs';

/** A message, or without `uid` the place of one that is not there; its answers follow. */
export interface ThreadNode {
  readonly uid?: number;
  readonly children: readonly ThreadNode[];
}
