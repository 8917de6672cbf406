/** A list of links as configured, and what of a message it is asked about. */

import { isIP } from 'node:net';
import { hasPublicSuffix, registeredDomain } from 'mailfilter/auth';
import { reverseIp } from 'mailfilter/plugin';
import {
  domainTestEntries,
  ipv4TestEntries,
  ipv6TestEntries,
  type Question,
} from '../../rules/dns-lists/ask.ts';
import { type DnsList, type ListDefaults, type ListOptions, readList } from '../../rules/dns-lists/list.ts';
import { isPrivateAddress } from '../../rules/dns-lists/private-address.ts';

/** How a list spells names: what was registered below a public suffix, the host as it stands in the link, or either. */
export const forms = ['registered', 'host', 'both'] as const;
export type Form = (typeof forms)[number];

export interface LinkZone extends DnsList {
  readonly form: Form;
  /** It lists addresses, reversed, besides domains. */
  readonly addresses: boolean;
}

export interface LinkQuestion extends Question {
  readonly list: LinkZone;
  /** The domain or address, as people write it. */
  readonly of: string;
}

/** @throws Error for settings that cannot be */
export function readZones(
  options: readonly unknown[],
  { action, score }: { readonly action: string; readonly score: number },
): readonly LinkZone[] {
  // The schema has seen to the words.
  const defaults = { action, score, prefix: 'URIBL' } as ListDefaults;
  return options.map((option) => {
    const given = (typeof option === 'string' ? { zone: option } : option) as ListOptions & {
      readonly form?: Form;
      readonly addresses?: boolean;
    };
    return {
      ...readList(given, defaults),
      form: given.form ?? 'registered',
      addresses: given.addresses ?? true,
    };
  });
}

/**
 * Each name once for each list; hosts that say the same to a list count as one.
 * @param namesMax names of one list: of more, the first and the last
 * @returns what is asked, and whether there would have been more
 */
export function linkQuestions(
  zones: readonly LinkZone[],
  hosts: readonly string[],
  namesMax: number,
): { questions: LinkQuestion[]; cut: boolean } {
  let cut = false;
  const questions = zones.flatMap((list) => {
    const names = [...new Set(hosts.flatMap((host) => namesFor(list, host)))];
    cut ||= names.length > namesMax;
    return bothEnds(names, namesMax).map((name) => questionOf(list, name));
  });
  return { questions, cut };
}

/** A harmless beginning hides nothing then that stands at the end. */
function bothEnds(names: readonly string[], max: number): readonly string[] {
  if (names.length <= max) return names;
  const last = Math.floor(max / 2);
  return [...names.slice(0, max - last), ...names.slice(names.length - last)];
}

function namesFor({ form, addresses }: LinkZone, host: string): string[] {
  if (isIP(host) !== 0) return addresses && !isPrivateAddress(host) ? [host] : [];
  const registered = registeredDomain(host);
  // A public suffix itself, such as that of a hoster: nobody registered it, but it may have a page.
  if (registered === null) return hasPublicSuffix(host) && host.includes('.') ? [host] : [];
  return { registered: [registered], host: [host], both: [registered, host] }[form];
}

function questionOf(list: LinkZone, name: string): LinkQuestion {
  if (isIP(name) === 0) return { list, of: name, key: name, tests: domainTestEntries };
  const key = reverseIp(name);
  const tests = key.length > '255.255.255.255'.length ? ipv6TestEntries : ipv4TestEntries;
  return { list, of: name, key, tests };
}
