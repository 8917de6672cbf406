/** What is asked of which list: reversed addresses, and domains. RFC 5782 sections 2.1, 2.4 and 3. */
import { registeredDomain } from 'mailfilter/auth';
import { isDomain, normaliseDomain } from 'mailfilter/mail';
import { reverseIp } from 'mailfilter/plugin';
import {
  domainTestEntries,
  ipv4TestEntries,
  ipv6TestEntries,
  type Question,
} from '../../rules/dns-lists/ask.ts';
import type { Ask, Zone } from './zone.ts';

export interface ClientQuestion extends Question {
  readonly list: Zone;
  readonly ask: Ask;
  /** The address or domain, as people write it. */
  readonly of: string;
}

export function addressQuestions(zones: readonly Zone[], ip: string): ClientQuestion[] {
  const key = reverseIp(ip);
  const tests = key.length > '255.255.255.255'.length ? ipv6TestEntries : ipv4TestEntries;
  return zones
    .filter(({ asks }) => asks.has('address'))
    .map((list) => ({ list, ask: 'address', of: ip, key, tests }));
}

/**
 * Lists of domains hold names of hosts, or what their owners registered: both are asked about, each once.
 * @param names by what is asked; what is no domain is left out
 */
export function domainQuestions(
  zones: readonly Zone[],
  names: Readonly<Record<Exclude<Ask, 'address'>, readonly string[]>>,
): ClientQuestion[] {
  const questions: ClientQuestion[] = [];
  for (const ask of ['helo', 'sender', 'reverse'] as const) {
    const domains = new Set(names[ask].flatMap(formsOf));
    for (const list of zones) {
      if (!list.asks.has(ask)) continue;
      for (const domain of domains)
        questions.push({ list, ask, of: domain, key: domain, tests: domainTestEntries });
    }
  }
  return questions;
}

/** A-labels, lower case; none for a literal, an address, and a name without a dot. */
function formsOf(name: string): string[] {
  const bare = name.replace(/\.$/, '');
  if (!bare.includes('.') || !isDomain(bare) || /\.\d+$/.test(bare)) return [];
  const host = normaliseDomain(bare);
  const registered = registeredDomain(host);
  return registered === null ? [] : [...new Set([host, registered])];
}
