/** What no schema can say: that names exist, files are there, sockets are free of each other, routes can be reached. */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { nearest } from '../base/nearest.ts';
import { ipMatcher } from '../net/ip.ts';
import { bundledPlugins } from '../plugin/bundled.ts';
import type { Config, ListenerConfig } from './config.ts';
import { canonicalDomain } from './domain.ts';
import type { FileConfig } from './file-config.ts';
import { type Finding, show } from './findings.ts';
import { pointerStep } from './jsonc.ts';
import {
  isLocalAddress,
  listenAddressForms,
  parseListenAddress,
  parseNextServer,
  sameSocket,
} from './listen-address.ts';
import { checkRoutes } from './route-check.ts';

/** `config` is what `written` was made into; values that did not parse stand in it as they are. */
export function crossCheck(written: FileConfig, config: Config): Finding[] {
  return [
    ...checkNames(written),
    ...checkPipelines(written, config),
    ...config.listeners.flatMap((listener) => checkListener(listener, written, config)),
    ...checkSockets(config.listeners),
    ...checkRoutes(written, config),
    ...checkMailbox(written, config),
    ...checkTls(config),
    ...checkNetworks(written),
    ...checkDns(written),
    ...checkOutbound(config),
  ];
}

function checkNames(written: FileConfig): Finding[] {
  const expected = 'a domain name such as mx.example.org';
  const findings: Finding[] = [];
  if (canonicalDomain(written.hostname) === undefined) {
    findings.push({ pointer: '/hostname', found: show(written.hostname), expected });
  }
  const seen = new Set<string>();
  written.domains.forEach((domain, index) => {
    const canonical = canonicalDomain(domain);
    const pointer = `/domains/${index}`;
    if (canonical === undefined) findings.push({ pointer, found: show(domain), expected });
    else if (seen.has(canonical))
      findings.push({ pointer, found: show(domain), expected: 'each domain once' });
    else seen.add(canonical);
  });
  return findings;
}

function checkPipelines(written: FileConfig, config: Config): Finding[] {
  const findings: Finding[] = [];
  // The default names a pipeline that need not exist; a name that was written has to.
  if (written.sendPipeline !== 'outbound' && !Object.hasOwn(config.pipelines, written.sendPipeline)) {
    findings.push(unknownPipeline('/sendPipeline', written.sendPipeline, config));
  }
  for (const [name, entries] of Object.entries(config.pipelines)) {
    entries.forEach(({ plugin }, index) => {
      const found = pluginFinding(plugin);
      if (found === undefined) return;
      const entry = `/pipelines${pointerStep(name)}/${index}`;
      const isText = typeof written.pipelines[name]?.[index] === 'string';
      findings.push({ ...found, pointer: isText ? entry : `${entry}/plugin` });
    });
  }
  return findings;
}

function pluginFinding(plugin: string): Omit<Finding, 'pointer'> | undefined {
  if (plugin.startsWith('/')) {
    if (existsSync(plugin)) return undefined;
    return { found: plugin, expected: 'a plugin file that exists' };
  }
  const bundled = bundledPlugins();
  if (bundled.includes(plugin)) return undefined;
  const suggestion = nearest(plugin, bundled);
  return {
    found: show(plugin),
    expected: `a bundled plugin (${bundled.join(', ')}) or a path that begins with . or /`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function unknownPipeline(pointer: string, name: string, config: Config): Finding {
  const known = Object.keys(config.pipelines);
  const suggestion = nearest(name, known);
  return {
    pointer,
    found: show(name),
    expected: known.length === 0 ? 'the name of a pipeline; there is none' : `one of ${known.join(', ')}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

/** Protocols that this version speaks. */
function checkListener(listener: ListenerConfig, written: FileConfig, config: Config): Finding[] {
  const pointer = `/listeners${pointerStep(listener.name)}`;
  const asWritten = written.listeners[listener.name]!;
  const findings: Finding[] = [];
  const add = (key: string, found: string, expected: string): void => {
    findings.push({ pointer: `${pointer}/${key}`, found, expected });
  };
  for (const key of ['address', 'next'] as const) {
    const text = asWritten[key];
    const parse = key === 'next' ? parseNextServer : parseListenAddress;
    if (text !== undefined && parse(text, config.baseDirectory) === undefined) {
      add(
        key,
        show(text),
        key === 'next' ? `${listenAddressForms}, with lmtp: before it for LMTP` : listenAddressForms,
      );
    }
  }
  const needsNext = listener.protocol === 'content-filter' || listener.protocol === 'proxy-filter';
  if (!needsNext && asWritten.next !== undefined) {
    add('next', show(asWritten.next), 'no such key for this protocol');
  }
  if (needsNext && asWritten.next === undefined) {
    findings.push({ pointer, found: 'an object without it', expected: 'the key "next"' });
  }
  const { pipeline } = listener;
  if (pipeline !== undefined && !Object.hasOwn(config.pipelines, pipeline)) {
    findings.push(unknownPipeline(`${pointer}/pipeline`, pipeline, config));
  }
  if (listener.tls !== 'none' && config.tls === undefined) {
    add('tls', show(listener.tls), '"none", or the section "tls" with certFile and keyFile');
  }
  findings.push(...checkAuth(listener, pointer, config));
  findings.push(...checkTimes(listener, pointer));
  if (listener.address.kind === 'tcp') {
    for (const key of ['socketMode', 'socketOwner'] as const) {
      if (asWritten[key] !== undefined) add(key, show(asWritten[key]), 'no such key for a TCP address');
    }
  }
  return findings;
}

/** What depends on our own queue cannot be promised where another server keeps the mail. */
function checkTimes(listener: ListenerConfig, pointer: string): Finding[] {
  const { protocol, futureReleaseSecondsMax, deliverBy, priorities } = listener;
  const takesMail = protocol === 'smtp' || protocol === 'submission' || protocol === 'lmtp';
  const findings: Finding[] = [];
  if (futureReleaseSecondsMax > 0 && protocol !== 'submission') {
    const found = String(futureReleaseSecondsMax);
    findings.push({ pointer: `${pointer}/futureReleaseSecondsMax`, found, expected: '0 but for submission' });
  }
  for (const [key, value] of Object.entries({ deliverBy, priorities })) {
    if (!value || takesMail) continue;
    findings.push({ pointer: `${pointer}/${key}`, found: 'true', expected: 'false for this protocol' });
  }
  return findings;
}

/** A password is asked for only where it can be checked and is not seen on the wire. RFC 4954 section 4. */
function checkAuth(listener: ListenerConfig, pointer: string, config: Config): Finding[] {
  if (!listener.auth) return [];
  const findings: Finding[] = [];
  if (listener.protocol === 'lmtp') {
    findings.push({ pointer: `${pointer}/auth`, found: 'true', expected: 'false: LMTP has no users' });
  }
  if (config.users === undefined) {
    findings.push({
      pointer,
      found: 'a listener with AUTH',
      expected: 'the section "users", or "auth": false',
    });
  }
  if (listener.authWithoutTls && !isLocalAddress(listener.address)) {
    findings.push({
      pointer: `${pointer}/authWithoutTls`,
      found: 'true on an address that others reach',
      expected: 'false, or a loopback address',
    });
  }
  if (listener.tls === 'none' && !listener.authWithoutTls) {
    findings.push({
      pointer,
      found: 'AUTH on a listener without TLS',
      expected:
        '"tls": "starttls" or "implicit" with the section "tls"; on loopback also "authWithoutTls": true',
    });
  }
  return findings;
}

function checkSockets(listeners: readonly ListenerConfig[]): Finding[] {
  return listeners.flatMap((listener, index) => {
    const earlier = listeners.slice(0, index).find((other) => sameSocket(other.address, listener.address));
    if (earlier === undefined) return [];
    return [
      {
        pointer: `/listeners${pointerStep(listener.name)}/address`,
        found: `the address that "${earlier.name}" listens on`,
        expected: 'an address of its own',
      },
    ];
  });
}

function checkMailbox(written: FileConfig, config: Config): Finding[] {
  const { path, pipeline, sieve, procmail } = written.mailbox;
  const findings = [
    ...checkTemplate('/mailbox/path', path, config),
    ...checkTemplate('/mailbox/sieve/directory', sieve.directory, config),
    ...checkTemplate('/mailbox/sieve/active', sieve.active, config),
    ...checkTemplate('/mailbox/procmail/rcfile', procmail.rcfile, config),
  ];
  if (pipeline !== undefined && !Object.hasOwn(config.pipelines, pipeline)) {
    findings.push(unknownPipeline('/mailbox/pipeline', pipeline, config));
  }
  return findings;
}

/** What is one user's alone needs a path that is. */
function checkTemplate(pointer: string, template: string | undefined, config: Config): Finding[] {
  if (template === undefined) return [];
  const placeholders = [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name ?? '');
  const unknown = placeholders.filter((name) => !['domain', 'user', 'address', 'home'].includes(name));
  const findings: Finding[] = unknown.map((name) => ({
    pointer,
    found: `{${name}}`,
    expected: '{domain}, {user}, {address} or {home}',
  }));
  // Whoever has one is served by `mailfilter deliver`, in a process of his own.
  if (placeholders.includes('home')) {
    if (config.users === undefined) return findings;
    return [
      ...findings,
      {
        pointer,
        found: '{home} beside "users"',
        expected: 'a path without {home}: users of the server are no system users',
      },
    ];
  }
  const byUser = placeholders.includes('user') || placeholders.includes('address');
  const byDomain = placeholders.includes('domain') || placeholders.includes('address');
  // Two users in one mailbox would read each other's mail.
  if (!byUser) findings.push({ pointer, found: show(template), expected: 'a path with {user} or {address}' });
  else if (!byDomain && config.domains.length > 1) {
    findings.push({
      pointer,
      found: `${show(template)} for ${config.domains.length} domains`,
      expected: 'a path with {domain} or {address}',
    });
  }
  return findings;
}

function checkTls(config: Config): Finding[] {
  if (config.tls === undefined || config.listeners.every(({ tls }) => tls === 'none')) return [];
  const { certFile, keyFile, clientCaFile } = config.tls;
  return Object.entries({ certFile, keyFile, clientCaFile }).flatMap(([key, path]) =>
    path === undefined || existsSync(path)
      ? []
      : [{ pointer: `/tls/${key}`, found: path, expected: 'a file that exists' }],
  );
}

function checkNetworks(written: FileConfig): Finding[] {
  return (['trustedNetworks', 'proxyFrom', 'xclientFrom'] as const).flatMap((key) =>
    written[key].flatMap((range, index) =>
      isNetwork(range)
        ? []
        : [
            {
              pointer: `/${key}/${index}`,
              found: show(range),
              expected: 'an IP address or range such as 192.0.2.0/24 or 2001:db8::/32',
            },
          ],
    ),
  );
}

function isNetwork(range: string): boolean {
  try {
    ipMatcher([range]);
    return true;
  } catch {
    // It throws for nothing but a text that is no range.
    return false;
  }
}

function checkOutbound({ outbound }: Config): Finding[] {
  const findings = outbound.addresses.flatMap((address, index): Finding[] => {
    const family = isIP(address);
    const again = outbound.addresses.slice(0, index).some((other) => isIP(other) === family);
    if (family !== 0 && !again) return [];
    const expected = 'one IPv4 and one IPv6 address of this host at most';
    return [{ pointer: `/outbound/addresses/${index}`, found: show(address), expected }];
  });
  if (outbound.caFile !== undefined && !existsSync(outbound.caFile)) {
    findings.push({ pointer: '/outbound/caFile', found: outbound.caFile, expected: 'a file that exists' });
  }
  return findings;
}

function checkDns(written: FileConfig): Finding[] {
  return written.dns.servers.flatMap((server, index) => {
    const bare = isIP(server) !== 0;
    const [, host, port] = /^(?:\[([^\]]+)\]|[^:]+):([0-9]{1,5})$/.exec(server) ?? [];
    const withPort = port !== undefined && isIP(host ?? server.slice(0, -port.length - 1)) !== 0;
    if (bare || (withPort && Number(port) >= 1 && Number(port) <= 65_535)) return [];
    return [
      {
        pointer: `/dns/servers/${index}`,
        found: show(server),
        expected: 'an IP address, address:port or [IPv6]:port',
      },
    ];
  });
}
