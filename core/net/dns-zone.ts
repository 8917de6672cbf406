/** DNS out of a table in memory: for tests and replays, with the failures that the real one has. */
import { isIP } from 'node:net';
import {
  askedName,
  type Dns,
  type DnsAnswers,
  DnsError,
  type DnsType,
  dnsOf,
  pointerName,
  type RecordType,
} from './dns-question.ts';

/** `NXDOMAIN` is the same as leaving it out; the others are the failures of that name. */
export type ZoneFailure = 'SERVFAIL' | 'TIMEOUT' | 'REFUSED' | 'NXDOMAIN';

/** Records of one name by type; a word in place of a list makes that type fail. */
export type ZoneRecords = { readonly [Type in RecordType]?: readonly DnsAnswers[Type][] | ZoneFailure };

/** Name (any case, U-labels allowed) to its records, or to a failure of every type. An IP address stands for its PTR name. */
export type ZoneData = Readonly<Record<string, ZoneRecords | ZoneFailure>>;

export interface ZoneAnswer {
  readonly outcome: 'answer' | 'nodata' | 'nxdomain' | 'servfail' | 'timeout' | 'refused';
  /** The names that led to the answer, each an alias of the next. */
  readonly aliases: readonly { readonly name: string; readonly target: string }[];
  /** The name that has the records. */
  readonly name: string;
  readonly records: readonly DnsAnswers[RecordType][];
}

/** RFC 1034 section 5.2.2 asks for a bound; loops are as long as it. */
const aliasesMax = 10;

const failed: Readonly<Record<ZoneFailure, ZoneAnswer['outcome']>> = {
  SERVFAIL: 'servfail',
  TIMEOUT: 'timeout',
  REFUSED: 'refused',
  NXDOMAIN: 'nxdomain',
};

export class Zone {
  readonly #names = new Map<string, ZoneRecords | ZoneFailure>();

  /** Throws DnsError `dns-bad-name` for a name that cannot be asked for. */
  constructor(data: ZoneData) {
    for (const [name, records] of Object.entries(data)) {
      this.#names.set(isIP(name) ? pointerName(name) : askedName('A', name), records);
    }
  }

  /** What a resolver would say, aliases followed. RFC 1034 section 4.3.2. */
  lookup(type: RecordType, asked: string): ZoneAnswer {
    const aliases: { name: string; target: string }[] = [];
    let name = askedName(type, asked);
    for (;;) {
      const found = this.#names.get(name);
      const nothing = { aliases, name, records: [] };
      if (found === undefined) return { outcome: this.#hasBelow(name) ? 'nodata' : 'nxdomain', ...nothing };
      if (typeof found === 'string') return { outcome: failed[found], ...nothing };
      const records = found[type];
      if (typeof records === 'string') return { outcome: failed[records], ...nothing };
      if (records !== undefined && records.length > 0) return { outcome: 'answer', aliases, name, records };
      const target = type === 'CNAME' || typeof found.CNAME === 'string' ? undefined : found.CNAME?.[0];
      if (target === undefined) return { outcome: 'nodata', ...nothing };
      if (aliases.length === aliasesMax) return { outcome: 'servfail', ...nothing };
      aliases.push({ name, target });
      name = askedName(type, target);
    }
  }

  /** A name that others lie below exists, without records. RFC 8020. */
  #hasBelow(name: string): boolean {
    return [...this.#names.keys()].some((other) => other.endsWith(`.${name}`));
  }
}

/** A Dns that answers from the table alone. */
export function memoryDns(data: ZoneData): Dns {
  const zone = new Zone(data);
  return dnsOf(async <Type extends DnsType>(type: Type, name: string) => {
    const { outcome, records } = zone.lookup(type === 'NAME' ? 'A' : type, name);
    switch (outcome) {
      case 'servfail':
      case 'timeout':
      case 'refused':
        throw new DnsError(outcome, type, name);
      case 'nxdomain':
        return [];
      case 'nodata':
        return (type === 'NAME' ? [true] : []) as DnsAnswers[Type][];
      case 'answer':
        if (type === 'NAME') return [true] as DnsAnswers[Type][];
        return structuredClone(records) as DnsAnswers[Type][];
    }
  });
}
