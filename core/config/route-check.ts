/** Checks of `routes`: patterns, one action each, and no line that an earlier one hides. */
import type { Config } from './config.ts';
import { canonicalDomain } from './domain.ts';
import type { FileConfig, FileRoute } from './file-config.ts';
import { type Finding, show } from './findings.ts';
import { listenAddressForms, parseListenAddress } from './listen-address.ts';
import { parseRelay, relayForms } from './relay-target.ts';

export function checkRoutes(written: FileConfig, config: Config): Finding[] {
  const routes = written.routes ?? [];
  return routes.flatMap((route, index) => [
    ...checkRoute(route, `/routes/${index}`, config),
    ...checkReach(routes, index),
  ]);
}

const actions = ['deliver', 'relay', 'lmtp', 'pipe', 'reject'] as const;

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
  if (route.relay !== undefined) findings.push(...checkRelay(route, pointer));
  else if (route.password !== undefined) {
    findings.push({
      pointer: `${pointer}/password`,
      found: 'a password',
      expected: '"relay" that names a user',
    });
  }
  const lmtp = route.lmtp ?? /^lmtp:(.*)$/.exec(route.deliver ?? '')?.[1];
  if (lmtp !== undefined && parseListenAddress(lmtp, config.baseDirectory) === undefined) {
    const key = route.lmtp === undefined ? 'deliver' : 'lmtp';
    findings.push({ pointer: `${pointer}/${key}`, found: show(lmtp), expected: listenAddressForms });
  }
  if (route.pipe !== undefined && !route.pipe[0]?.startsWith('/')) {
    findings.push({ pointer: `${pointer}/pipe/0`, found: show(route.pipe[0]), expected: 'an absolute path' });
  }
  findings.push(...checkOpenRelay(route, pointer));
  if (route.deliver !== undefined && route.deliver !== 'mailbox' && lmtp === undefined) {
    const expected = 'mailbox, or lmtp: and an address';
    findings.push({ pointer: `${pointer}/deliver`, found: show(route.deliver), expected });
  }
  if (route.deliver === 'mailbox' && config.users === undefined) {
    findings.push({
      pointer: `${pointer}/deliver`,
      found: '"mailbox" without users',
      expected: 'the section "users" with the file that says who has a mailbox',
    });
  }
  return findings;
}

function checkRelay(route: FileRoute, pointer: string): Finding[] {
  const target = parseRelay(route.relay!);
  if (target === undefined) {
    return [{ pointer: `${pointer}/relay`, found: show(route.relay), expected: relayForms }];
  }
  const user = target.kind === 'host' ? target.user : undefined;
  if (user !== undefined && route.password === undefined) {
    const expected = 'the key "password", such as { "file": "relay.password" }';
    return [{ pointer: `${pointer}/relay`, found: `the user ${show(user)} without a password`, expected }];
  }
  if (user === undefined && route.password !== undefined) {
    const expected = 'a user in "relay", such as smtp://ann%40example.org@smtp.example.net';
    return [{ pointer: `${pointer}/password`, found: 'a password without a user', expected }];
  }
  return [];
}

/** RFC 5321 section 3.6: whoever may send to everybody must be known. A route by sender serves known clients alone. */
function checkOpenRelay({ to, from, relay, lmtp, pipe }: FileRoute, pointer: string): Finding[] {
  if (to !== '*' || (from !== 'any' && from !== '*')) return [];
  if (relay === undefined && lmtp === undefined && pipe === undefined) return [];
  const found = 'a route that sends on for anybody to everybody';
  return [{ pointer, found, expected: '"from": "authenticated", or a narrower "to"' }];
}

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
