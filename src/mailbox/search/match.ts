/**
 * SEARCH: a query becomes a test of one message after the other. What lies in memory is looked at first, what has to be
 * read last, and only for messages that are still in question. RFC 9051 section 6.4.4.
 */
import { flagBit } from '../flags.ts';
import type { FactKind } from '../index/fact-kind.ts';
import { fold } from '../index/fold.ts';
import type { SortFacts } from '../index/read-facts.ts';
import type { FilledColumn } from '../mailbox.ts';
import type { NumberRange, SearchQuery } from '../search-query.ts';
import type { Snapshot } from '../snapshot.ts';

/** What only the index knows; undefined for a message that could not be read. */
export interface FactSource {
  sort(key: number): SortFacts | undefined;
  ids(key: number): readonly [emailId: string, threadId: string] | undefined;
  header(key: number): Buffer | undefined;
  text(key: number): Buffer | undefined;
}

export interface Search {
  readonly snapshot: Snapshot;
  /** UIDs of the view by number - 1. */
  readonly uids: Uint32Array;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly facts: FactSource;
}

/** UIDs of the view's messages that are there and match, ascending. */
export function search(query: SearchQuery, { snapshot, uids, now, facts }: Search): Uint32Array {
  const test = compile(query, { snapshot, now, facts }).test;
  const found = new Uint32Array(uids.length);
  let count = 0;
  for (let at = 0; at < uids.length; at += 1) {
    const uid = uids[at]!;
    // The view's numbers are the snapshot's unless something is held back.
    const index = snapshot.data.columns.uid[at] === uid ? at : snapshot.indexOf(uid);
    if (index < 0 || index >= snapshot.count) continue;
    if (test(index, uid, at + 1)) found[count++] = uid;
  }
  return found.slice(0, count);
}

/** What the index must know before it can be answered. */
export function factsFor(query: SearchQuery): Set<FactKind> {
  switch (query.key) {
    case 'and':
    case 'or':
      return new Set(query.of.flatMap((each) => [...factsFor(each)]));
    case 'not':
      return factsFor(query.of);
    case 'header':
      return new Set(['head']);
    case 'body':
      return new Set(['head', 'text']);
    case 'text':
    case 'emailId':
    case 'threadId':
      return new Set(['text']);
    case 'before':
    case 'on':
    case 'since':
      return new Set(query.of === 'sent' ? ['head'] : []);
    default:
      return new Set();
  }
}

/** Columns that must be filled before it can be answered. */
export function columnsFor(query: SearchQuery): Set<FilledColumn> {
  switch (query.key) {
    case 'and':
    case 'or':
      return new Set(query.of.flatMap((each) => [...columnsFor(each)]));
    case 'not':
      return columnsFor(query.of);
    case 'larger':
    case 'smaller':
      return new Set(['size']);
    case 'older':
    case 'younger':
      return new Set(['internalDate']);
    case 'before':
    case 'on':
    case 'since':
      return new Set(query.of === 'internal' ? ['internalDate'] : query.of === 'saved' ? ['saveDate'] : []);
    default:
      return new Set();
  }
}

type Test = (index: number, uid: number, seq: number) => boolean;

interface Compiled {
  readonly test: Test;
  /** 0 in memory, then what one message costs to read. */
  readonly cost: number;
}

type Context = Omit<Search, 'uids'>;

function compile(query: SearchQuery, context: Context): Compiled {
  const { snapshot, facts } = context;
  const { columns, keywords } = snapshot.data;
  switch (query.key) {
    case 'all':
      return { cost: 0, test: () => true };
    case 'and': {
      const parts = query.of.map((each) => compile(each, context)).sort((a, b) => a.cost - b.cost);
      return { cost: costOf(parts), test: (...message) => parts.every(({ test }) => test(...message)) };
    }
    case 'or': {
      const parts = query.of.map((each) => compile(each, context)).sort((a, b) => a.cost - b.cost);
      return { cost: costOf(parts), test: (...message) => parts.some(({ test }) => test(...message)) };
    }
    case 'not': {
      const { test, cost } = compile(query.of, context);
      return { cost, test: (...message) => !test(...message) };
    }
    case 'sequence': {
      const inside = insideOf(query.ranges);
      return { cost: 0, test: (_index, _uid, seq) => inside(seq) };
    }
    case 'uid': {
      const inside = insideOf(query.ranges);
      return { cost: 0, test: (_index, uid) => inside(uid) };
    }
    case 'flag': {
      const bit = flagBit(query.flag, keywords);
      return { cost: 0, test: (index) => (columns.flags[index]! & bit) !== 0 };
    }
    case 'larger':
      return { cost: 0, test: (index) => columns.size[index]! > query.octets };
    case 'smaller':
      return { cost: 0, test: (index) => columns.size[index]! < query.octets };
    case 'modseq':
      return { cost: 0, test: (index) => columns.modseq[index]! >= query.least };
    case 'older':
    case 'younger': {
      const limit = context.now - query.seconds * 1000;
      // RFC 5032 section 2: each takes in the moment itself.
      if (query.key === 'older') return { cost: 0, test: (index) => columns.internalDate[index]! <= limit };
      return { cost: 0, test: (index) => columns.internalDate[index]! >= limit };
    }
    case 'before':
    case 'on':
    case 'since':
      return compileDay(query, context);
    case 'emailId':
      return { cost: 2, test: (index) => facts.ids(columns.key[index]!)?.[0] === query.value };
    case 'threadId':
      return { cost: 2, test: (index) => facts.ids(columns.key[index]!)?.[1] === query.value };
    case 'header':
      return compileHeader(query.name, query.value, context);
    case 'body':
    case 'text':
      return compileText(query, context);
  }
}

function costOf(parts: readonly Compiled[]): number {
  return Math.max(0, ...parts.map(({ cost }) => cost));
}

function insideOf(ranges: readonly NumberRange[]): (value: number) => boolean {
  const sorted = [...ranges].sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of sorted) {
    const open = merged.at(-1);
    if (open && first <= open.last + 1) open.last = Math.max(open.last, last);
    else merged.push({ first, last });
  }
  return (value) => {
    let [low, high] = [0, merged.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const { first, last } = merged[middle]!;
      if (value < first) high = middle - 1;
      else if (value > last) low = middle + 1;
      else return true;
    }
    return false;
  };
}

/** Days compare as texts. */
function compileDay(query: SearchQuery & { key: 'before' | 'on' | 'since' }, context: Context): Compiled {
  const { columns } = context.snapshot.data;
  const { day } = query;
  const holds = {
    before: (other: string) => other < day,
    on: (other: string) => other === day,
    since: (other: string) => other >= day,
  }[query.key];
  if (query.of === 'sent') {
    return {
      cost: 3,
      test: (index) => {
        const sent = context.facts.sort(columns.key[index]!)?.sentDay;
        return sent !== undefined && holds(sent);
      },
    };
  }
  const dates = query.of === 'internal' ? columns.internalDate : columns.saveDate;
  return { cost: 1, test: (index) => !Number.isNaN(dates[index]!) && holds(localDay(dates[index]!)) };
}

/** The day of this server's time zone, as INTERNALDATE is shown. */
function localDay(epochMs: number): string {
  const date = new Date(epochMs);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const LF = 10;

/** Lines of `name: value`. */
function compileHeader(name: string, value: string, { snapshot, facts }: Context): Compiled {
  const start = Buffer.from(`${fold(name)}: `);
  const wanted = Buffer.from(fold(value));
  const { key } = snapshot.data.columns;
  return {
    cost: 4,
    test: (index) => {
      const header = facts.header(key[index]!);
      if (!header || (wanted.length > 0 && !header.includes(wanted))) return false;
      for (let at = header.indexOf(start); at >= 0; at = header.indexOf(start, at + 1)) {
        if (at > 0 && header[at - 1] !== LF) continue;
        const end = header.indexOf(LF, at);
        if (header.subarray(at + start.length, end).includes(wanted)) return true;
      }
      return false;
    },
  };
}

/** The text begins with the message's own header, which BODY leaves out. */
function compileText({ key, value }: SearchQuery & { key: 'body' | 'text' }, context: Context): Compiled {
  // Texts are kept with LF line ends.
  const wanted = Buffer.from(fold(value.replaceAll('\r\n', '\n')));
  const keys = context.snapshot.data.columns.key;
  return {
    cost: 5,
    test: (index) => {
      const text = context.facts.text(keys[index]!);
      if (!text) return false;
      if (key === 'text') return text.includes(wanted);
      const header = context.facts.header(keys[index]!)?.length ?? 0;
      return text.indexOf(wanted, header) >= 0;
    },
  };
}
