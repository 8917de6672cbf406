/** DNS as outbound mail asks it: with the word on authenticity where DANE is followed, without it otherwise. */
import type { Dns, DnsAnswers } from '../../core/net/dns-question.ts';
import type { SecureDns } from '../../core/net/dns-secure.ts';

export type LookupType = 'A' | 'AAAA' | 'MX' | 'TLSA';

export interface Found<Type extends LookupType> {
  readonly records: readonly DnsAnswers[Type][];
  /** Validated by DNSSEC. */
  readonly secure: boolean;
}

/** Rejects with a DnsError; an empty list where there is nothing. */
export type Lookup = <Type extends LookupType>(type: Type, name: string) => Promise<Found<Type>>;

/** @param secureDns where the config trusts the resolver's AD bit */
export function createLookup(dns: Dns, secureDns: SecureDns | undefined): Lookup {
  if (secureDns !== undefined) return (type, name) => secureDns.ask(type, name);
  const plain = {
    A: (name: string) => dns.a(name),
    AAAA: (name: string) => dns.aaaa(name),
    MX: (name: string) => dns.mx(name),
    TLSA: (name: string) => dns.tlsa(name),
  };
  return async <Type extends LookupType>(type: Type, name: string) => ({
    records: (await plain[type](name)) as DnsAnswers[Type][],
    secure: false,
  });
}
