/** Reads an SPF record: all of it, before any of it is carried out. RFC 7208 sections 4.5, 4.6.1 and 12. */
import { isIPv4, isIPv6 } from 'node:net';
import { type IpOctets, ipv6Octets } from './ip-address.ts';
import { isDomainSpec, isMacroString } from './macro.ts';

export type Qualifier = 'pass' | 'fail' | 'softfail' | 'neutral';

/** What a mechanism compares with; the domain-spec is absent where the current domain is meant. */
export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly domainSpec: string }
  | {
      readonly kind: 'a' | 'mx';
      readonly domainSpec?: string;
      readonly bits4: number;
      readonly bits6: number;
    }
  | { readonly kind: 'ptr'; readonly domainSpec?: string }
  | { readonly kind: 'network'; readonly network: IpOctets; readonly bits: number };

export interface Directive {
  /** As written, for those who ask why. */
  readonly text: string;
  readonly qualifier: Qualifier;
  readonly mechanism: Mechanism;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  /** Domain-specs of the two modifiers. */
  readonly redirect?: string;
  readonly exp?: string;
}

/** True for a TXT record that claims to be an SPF record. RFC 7208 section 4.5. */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** The record, or the term that breaks the grammar. */
export function parseSpfRecord(text: string): SpfRecord | { readonly problem: string } {
  if (/[^\x20-\x7e]/.test(text)) return { problem: 'record holds characters that are no printable US-ASCII' };
  const directives: Directive[] = [];
  const modifiers: { redirect?: string; exp?: string } = {};
  for (const term of text.slice('v=spf1'.length).split(' ')) {
    if (term === '') continue;
    const modifier = /^([A-Za-z][A-Za-z0-9._-]*)=(.*)$/.exec(term);
    if (modifier) {
      const name = modifier[1]!.toLowerCase();
      const value = modifier[2]!;
      if (name === 'redirect' || name === 'exp') {
        if (modifiers[name] !== undefined || !isDomainSpec(value)) return wrong(term);
        modifiers[name] = value;
      } else if (!isMacroString(value)) return wrong(term);
      continue;
    }
    const directive = parseDirective(term);
    if (!directive) return wrong(term);
    directives.push(directive);
  }
  return { directives, ...modifiers };
}

const qualifiers: Readonly<Record<string, Qualifier>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
};

function parseDirective(term: string): Directive | undefined {
  const match = /^([-+~?]?)([A-Za-z0-9]+)([:/].*)?$/.exec(term);
  if (!match) return undefined;
  const mechanism = parseMechanism(match[2]!.toLowerCase(), match[3] ?? '');
  return mechanism && { text: term, qualifier: qualifiers[match[1] || '+']!, mechanism };
}

/** @param rest what follows the name: nothing, or from the colon or slash on */
function parseMechanism(name: string, rest: string): Mechanism | undefined {
  switch (name) {
    case 'all':
      return rest === '' ? { kind: 'all' } : undefined;
    case 'include':
    case 'exists': {
      const domainSpec = rest.slice(1);
      return rest.startsWith(':') && isDomainSpec(domainSpec) ? { kind: name, domainSpec } : undefined;
    }
    case 'ptr':
      if (rest === '') return { kind: 'ptr' };
      return rest.startsWith(':') && isDomainSpec(rest.slice(1))
        ? { kind: 'ptr', domainSpec: rest.slice(1) }
        : undefined;
    case 'a':
    case 'mx':
      return parseHosts(name, rest);
    case 'ip4':
    case 'ip6':
      return parseNetwork(name, rest);
    default:
      return undefined;
  }
}

/** A domain may hold slashes; the lengths of prefixes are what the end looks like. */
const dualCidr = /^(.*?)(?:\/(0|[1-9]\d?))?(?:\/\/(0|[1-9]\d{0,2}))?$/;

function parseHosts(kind: 'a' | 'mx', rest: string): Mechanism | undefined {
  const [, domain = '', four = '32', six = '128'] = dualCidr.exec(rest)!;
  const [bits4, bits6] = [Number(four), Number(six)];
  if (bits4 > 32 || bits6 > 128) return undefined;
  if (domain === '') return { kind, bits4, bits6 };
  const domainSpec = domain.slice(1);
  return domain.startsWith(':') && isDomainSpec(domainSpec) ? { kind, domainSpec, bits4, bits6 } : undefined;
}

function parseNetwork(name: 'ip4' | 'ip6', rest: string): Mechanism | undefined {
  const match = /^:([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(rest);
  const address = match?.[1];
  if (address === undefined || address.includes('%')) return undefined;
  const width = name === 'ip4' ? 32 : 128;
  const bits = Number(match?.[2] ?? width);
  if (bits > width || !(name === 'ip4' ? isIPv4(address) : isIPv6(address))) return undefined;
  const network = name === 'ip4' ? address.split('.').map(Number) : ipv6Octets(address);
  return { kind: 'network', network, bits };
}

function wrong(term: string): { problem: string } {
  return { problem: `"${term.length > 60 ? `${term.slice(0, 60)}...` : term}" is no term` };
}
