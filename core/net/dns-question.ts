/** What can be asked of DNS, what an answer and a failure are, and which names may be asked for. RFC 1035. */
import { domainToASCII } from 'node:url';
import { OperationalError } from '../base/errors.ts';
import { reverseIp } from './reverse-ip.ts';

export interface MxRecord {
  /** `''` is the null MX of RFC 7505. */
  readonly exchange: string;
  readonly preference: number;
}
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}
/** RFC 6698 section 2.1. */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Uint8Array;
}

/**
 * Every method answers an empty list where the name, or the type at the name, does not exist, and rejects with a DnsError
 * otherwise. Names may have U-labels and a dot at the end. Answers are the caller's own.
 */
export interface Dns {
  a(name: string): Promise<string[]>;
  aaaa(name: string): Promise<string[]>;
  /** Each TXT record with its strings joined. */
  txt(name: string): Promise<string[]>;
  mx(name: string): Promise<MxRecord[]>;
  /** Names of an IPv4 or IPv6 address. */
  ptr(ip: string): Promise<string[]>;
  ns(name: string): Promise<string[]>;
  cname(name: string): Promise<string[]>;
  srv(name: string): Promise<SrvRecord[]>;
  tlsa(name: string): Promise<TlsaRecord[]>;
  /** False where DNS says that there is no such name, nor any below it: NXDOMAIN. RFC 8020. */
  exists(name: string): Promise<boolean>;
}

/** What each type of question answers. */
export interface DnsAnswers {
  A: string;
  AAAA: string;
  TXT: string;
  MX: MxRecord;
  PTR: string;
  NS: string;
  CNAME: string;
  SRV: SrvRecord;
  TLSA: TlsaRecord;
  /** Of no type: one `true` where the name exists, with records or without. */
  NAME: true;
}
export type DnsType = keyof DnsAnswers;
/** Those that DNS has records of. */
export type RecordType = Exclude<DnsType, 'NAME'>;

export type DnsFailure = 'servfail' | 'timeout' | 'refused' | 'bad-name' | 'busy';

/** A question that got no answer. Only a name that cannot be asked for is permanent. `code` is `dns-` and the failure. */
export class DnsError extends OperationalError {
  constructor(failure: DnsFailure, type: DnsType, name: string, cause?: unknown) {
    super(`dns-${failure}`, `DNS ${type} ${name}: ${failure}`, {
      temporary: failure !== 'bad-name',
      clientText: 'DNS lookup failed',
      facts: { type, name },
      cause,
    });
    this.name = 'DnsError';
  }
}

/** An answer of the world; the time is undefined when the source does not tell it. */
export interface DnsAnswer<Type extends DnsType> {
  readonly records: readonly DnsAnswers[Type][];
  readonly ttlSeconds?: number;
}
/** How questions are put to the world. An empty list where there is nothing; rejects with a DnsError. */
export type DnsSource = <Type extends DnsType>(type: Type, name: string) => Promise<DnsAnswer<Type>>;

/** The methods, over one way to ask; names and addresses are checked before anything is asked. */
export function dnsOf(
  ask: <Type extends DnsType>(type: Type, name: string) => Promise<DnsAnswers[Type][]>,
): Dns {
  const method =
    <Type extends DnsType>(type: Type) =>
    async (name: string) =>
      ask(type, askedName(type, name));
  return {
    a: method('A'),
    aaaa: method('AAAA'),
    txt: method('TXT'),
    mx: method('MX'),
    ns: method('NS'),
    cname: method('CNAME'),
    srv: method('SRV'),
    tlsa: method('TLSA'),
    exists: async (name) => (await ask('NAME', askedName('NAME', name))).length > 0,
    ptr: async (ip) => ask('PTR', pointerName(ip)),
  };
}

/** `1.2.0.192.in-addr.arpa`, or the ip6.arpa name of RFC 3596 section 2.5. Throws DnsError `dns-bad-name`. */
export function pointerName(ip: string): string {
  let reversed: string;
  try {
    reversed = reverseIp(ip);
  } catch (error) {
    throw new DnsError('bad-name', 'PTR', ip, error);
  }
  return `${reversed}.${reversed.length > 15 ? 'ip6' : 'in-addr'}.arpa`;
}

/** Lower case, A-labels, no dot at the end, lengths as RFC 1035 section 2.3.4 bounds them. */
export function askedName(type: DnsType, name: string): string {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  // Only where it is needed: domainToASCII refuses names that exist, such as those with spaces or slashes.
  const ascii = /[^\0-\x7f]/.test(bare) ? domainToASCII(bare) : bare.toLowerCase();
  const fits = ascii.length > 0 && ascii.length <= 253;
  if (!fits || ascii.includes('\0') || ascii.split('.').some((label) => label === '' || label.length > 63)) {
    throw new DnsError('bad-name', type, name.slice(0, 300));
  }
  return ascii;
}
