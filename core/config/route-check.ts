/** Checks of `routes`: patterns, one action each, and no line that an earlier one hides. */
import type { Config } from './config.ts';
import { canonicalDomain } from './domain.ts';
import type { FileConfig, FileRoute } from './file-config.ts';
import { type Finding, show } from './findings.ts';
import { listenAddressForms, parseListenAddress } from './listen-address.ts';

export function checkRoutes(written: FileConfig, config: Config): Finding[] {
  const routes = written.routes ?? [];
  return routes.flatMap((route, index) => [
    ...checkRoute(route, `/routes/${index}`, config),
    ...checkReach(routes, index),
  ]);
}

const actions = ['deliver', 'relay', 'lmtp', 'reject'] as const;

function checkRoute(route: FileRoute, pointer: string, config: Config): Finding[] {
  const findings: Finding[] = [];
  const given = actions.filter((action) => route[action] !== undefined);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none of them' : given.join(' and ');
    findings.push({ pointer, found, expected: `exactly one of ${actions.join(', ')}` });
  }
  if (!isPattern(route.to)) {
    findings.push({ pointer: `${pointer}/to`, found: show(route.to), expected: patternForms });
  }
  if (route.from !== 'any' && route.from !== 'authenticated' && !isPattern(route.from)) {
    findings.push({
      pointer: `${pointer}/from`,
      found: show(route.from),
      expected: `any, authenticated, ${patternForms}`,
    });
  }
  // Mail that no part of this version carries further must be refused at start, not after it was accepted.
  if (route.relay !== undefined) {
    findings.push({ pointer: `${pointer}/relay`, found: show(route.relay), expected: noOutbound });
  }
  if (route.lmtp !== undefined) {
    const parses = parseListenAddress(route.lmtp, config.baseDirectory) !== undefined;
    findings.push({
      pointer: `${pointer}/lmtp`,
      found: show(route.lmtp),
      expected: parses ? noOutbound : listenAddressForms,
    });
  }
  if (route.deliver !== undefined && config.users === undefined) {
    findings.push({
      pointer: `${pointer}/deliver`,
      found: '"mailbox" without users',
      expected: 'the section "users" with the file that says who has a mailbox',
    });
  }
  return findings;
}

const noOutbound =
  'deliver or reject: outbound delivery is not part of this version; let the mail system that sends your mail take it';

const patternForms = '*, @domain, @.domain or local@domain';

function isPattern(text: string): boolean {
  if (text === '*') return true;
  const at = text.lastIndexOf('@');
  if (at === -1 || /[\s<>]/.test(text)) return false;
  const domain = text.slice(at + 1);
  return canonicalDomain(at === 0 && domain.startsWith('.') ? domain.slice(1) : domain) !== undefined;
}

/** A line is out of reach when an earlier one takes every sender and at least the same recipients. */
function checkReach(routes: readonly FileRoute[], index: number): Finding[] {
  const route = routes[index]!;
  const hiding = routes
    .slice(0, index)
    .findIndex((earlier) => coversSender(earlier.from, route.from) && covers(earlier.to, route.to));
  if (hiding === -1) return [];
  return [
    {
      pointer: `/routes/${index}`,
      found: `a line that line ${hiding + 1} (to ${show(routes[hiding]!.to)}) leaves no mail for`,
      expected: 'the narrower line first',
    },
  ];
}

function coversSender(earlier: string, later: string): boolean {
  if (earlier === 'any' || earlier === '*') return true;
  if (earlier === 'authenticated' || later === 'authenticated' || later === 'any') return earlier === later;
  return covers(earlier, later);
}

function covers(earlier: string, later: string): boolean {
  if (earlier === '*') return true;
  if (later === '*') return false;
  const wide = earlier.toLowerCase();
  const narrow = later.toLowerCase();
  if (wide === narrow) return true;
  if (!wide.startsWith('@')) return false;
  const domain = wide.slice(1);
  const target = narrow.slice(narrow.lastIndexOf('@') + 1);
  if (domain.startsWith('.')) return `.${target.replace(/^\./, '')}`.endsWith(domain);
  return domain === target;
}
