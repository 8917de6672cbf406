/** What DNS says of a host that sends and of its domains: where mail for them goes, and whether others will believe theirs. */

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { keyRecord } from '../../core/auth/dkim/private-key.ts';
import { parseDmarcRecord } from '../../core/auth/dmarc/record.ts';
import type { AuthDns } from '../../core/auth/dns.ts';
import { checkHost } from '../../core/auth/index.ts';
import { describeError } from '../../core/base/errors.ts';
import type { Config } from '../../core/config/config.ts';
import { isLoopback } from '../../core/net/ip.ts';
import type { Finding } from './check.ts';

type Severity = Finding['severity'];

/** The host's addresses, and names that lead back to it. RFC 1912 section 2.1; many refuse mail from others. */
export async function checkHostName({ hostname }: Config, dns: AuthDns): Promise<Finding[]> {
  const at = (severity: Severity, what: string): Finding => ({
    severity,
    area: 'host',
    where: hostname,
    what,
  });
  const ips = await addressesOf(hostname, dns);
  if (ips instanceof Error) return [at('error', unasked('address', ips))];
  if (ips.length === 0)
    return [at('error', 'has no address in DNS: other hosts will not find it, nor believe its HELO')];
  const findings: Finding[] = [];
  for (const ip of ips) {
    if (isLoopback(ip)) findings.push(at('warning', `${ip} is an address of this machine alone`));
    else findings.push(await reverse(ip, hostname, dns, at));
  }
  return findings;
}

async function reverse(
  ip: string,
  hostname: string,
  dns: AuthDns,
  at: (severity: Severity, what: string) => Finding,
): Promise<Finding> {
  try {
    const names = (await dns.ptr(ip)).map((name) => name.replace(/\.$/, '').toLowerCase());
    if (names.includes(hostname)) return at('ok', `${ip} leads back to the name`);
    if (names.length === 0)
      return at('error', `${ip} has no name (PTR): large providers refuse mail from it`);
    return at('warning', `${ip} is called ${names.join(', ')}, not ${hostname}`);
  } catch (error) {
    return at('error', unasked(`name of ${ip}`, error));
  }
}

/** MX, SPF, DKIM keys, DMARC, and what others may ask for before they trust TLS. */
export async function checkDomainRecords(domain: string, config: Config, dns: AuthDns): Promise<Finding[]> {
  const findings = await Promise.all([
    checkMx(domain, config, dns),
    checkSpf(domain, config, dns),
    ...signingKeys(domain, config).map((key) => checkKey(domain, key, dns)),
    checkDmarc(domain, dns),
    checkNotes(domain, dns),
  ]);
  const signed = signingKeys(domain, config).length > 0;
  const unsigned = finding(domain, 'warning', 'dkim', 'no dkim-sign of the config has a key for it');
  return [...findings.flat(), ...(signed ? [] : [unsigned])];
}

async function checkMx(domain: string, { hostname }: Config, dns: AuthDns): Promise<Finding[]> {
  const say = (severity: Severity, what: string) => [finding(domain, severity, 'mx', what)];
  try {
    const hosts = (await dns.mx(domain)).map(({ exchange }) => exchange.replace(/\.$/, '').toLowerCase());
    // RFC 7505
    if (hosts.length === 1 && hosts[0] === '') return say('error', 'says that it takes no mail (a null MX)');
    if (hosts.length === 0) {
      const ips = await addressesOf(domain, dns);
      const text = 'no MX record';
      if (ips instanceof Error || ips.length === 0)
        return say('error', `${text} and no address: no mail arrives`);
      return say('warning', `${text}: mail goes to the address of the domain itself`);
    }
    const lost: string[] = [];
    for (const host of hosts) {
      const ips = await addressesOf(host, dns);
      if (ips instanceof Error || ips.length === 0) lost.push(host);
    }
    if (lost.length > 0) return say('error', `${lost.join(', ')} has no address`);
    if (!hosts.includes(hostname))
      return say('warning', `${hosts.join(', ')}: ${hostname} is not among them`);
    return say('ok', hosts.join(', '));
  } catch (error) {
    return say('error', unasked('MX', error));
  }
}

/** Asked as a receiver would, for each address of this host. RFC 7208. */
async function checkSpf(domain: string, { hostname }: Config, dns: AuthDns): Promise<Finding[]> {
  const ips = await addressesOf(hostname, dns);
  if (ips instanceof Error) return [finding(domain, 'error', 'spf', unasked(`address of ${hostname}`, ips))];
  const findings: Finding[] = [];
  for (const ip of ips.length === 0 ? ['192.0.2.1'] : ips) {
    const question = {
      ip,
      sender: `postmaster@${domain}`,
      helo: hostname,
      receiver: hostname,
      now: Date.now(),
    };
    const { result, mechanism = '', problem = '' } = await checkHost(question, dns);
    if (result === 'none')
      return [finding(domain, 'error', 'spf', 'no SPF record: others cannot tell its mail from forged mail')];
    if (result === 'permerror') return [finding(domain, 'error', 'spf', `cannot be used: ${problem}`)];
    if (result === 'temperror') return [finding(domain, 'error', 'spf', `could not be asked: ${problem}`)];
    // Without an address of ours there is nothing more to ask.
    if (ips.length === 0) continue;
    findings.push(
      finding(domain, result === 'pass' ? 'ok' : 'error', 'spf', `${result} for ${ip} ${mechanism}`.trim()),
    );
  }
  return findings;
}

interface SigningKey {
  readonly selector: string;
  readonly path: string;
}

function signingKeys(domain: string, { pipelines, file }: Config): SigningKey[] {
  const written = Object.values(pipelines).flatMap((entries) =>
    entries.flatMap(({ plugin, options = {} }) => {
      if (plugin !== 'dkim-sign') return [];
      const { keys = [] } = options as { keys?: readonly Record<string, unknown>[] };
      return [options as Record<string, unknown>, ...keys];
    }),
  );
  const found = new Map<string, SigningKey>();
  for (const { domain: of, selector, keyFile } of written) {
    if (String(of).toLowerCase() !== domain || typeof selector !== 'string' || typeof keyFile !== 'string')
      continue;
    found.set(selector, { selector, path: resolve(file, '..', keyFile) });
  }
  return [...found.values()];
}

/** RFC 6376 section 3.6.2. */
async function checkKey(domain: string, { selector, path }: SigningKey, dns: AuthDns): Promise<Finding[]> {
  const name = `${selector}._domainkey.${domain}`;
  const say = (severity: Severity, what: string) => [finding(name, severity, 'dkim', what)];
  try {
    const own = publicPart(keyRecord(createPrivateKey(readFileSync(path))));
    const records = await dns.txt(name);
    if (records.length === 0) return say('error', 'no record: signatures with that key fail everywhere');
    if (records.some((text) => publicPart(text) === own)) return say('ok', `is the key of ${path}`);
    return say('error', `is not the key of ${path}: signatures fail everywhere`);
  } catch (error) {
    return say('error', `could not be compared with ${path}: ${describeError(error)}`);
  }
}

function publicPart(record: string): string | undefined {
  return /(?:^|;)\s*p\s*=([^;]*)/.exec(record)?.[1]?.replace(/\s/g, '');
}

/** RFC 9989. */
async function checkDmarc(domain: string, dns: AuthDns): Promise<Finding[]> {
  const say = (severity: Severity, what: string) => [finding(domain, severity, 'dmarc', what)];
  try {
    const records = (await dns.txt(`_dmarc.${domain}`))
      .map(parseDmarcRecord)
      .filter((record) => record !== undefined);
    if (records.length === 0) return say('warning', 'no record of its own: large providers ask for one');
    if (records.length > 1) return say('error', 'several records: none of them counts');
    return say('ok', `policy ${records[0]!.policy}`);
  } catch (error) {
    return say('error', unasked('_dmarc', error));
  }
}

/** Nobody has to have these: MTA-STS (RFC 8461) and reports on TLS (RFC 8460). */
async function checkNotes(domain: string, dns: AuthDns): Promise<Finding[]> {
  const notes: Finding[] = [];
  for (const [name, mark, what] of optional) {
    const records = await dns.txt(`${name}.${domain}`).catch(() => []);
    const there = records.some((text) => text.startsWith(mark));
    notes.push(
      finding(domain, there ? 'ok' : 'note', 'tls', there ? `has ${what}` : `has no ${what} (${name})`),
    );
  }
  return notes;
}

const optional = [
  ['_mta-sts', 'v=STSv1', 'MTA-STS policy'],
  ['_smtp._tls', 'v=TLSRPTv1', 'address for TLS reports'],
] as const;

async function addressesOf(name: string, dns: AuthDns): Promise<string[] | Error> {
  const answers = await Promise.allSettled([dns.a(name), dns.aaaa(name)]);
  const ips = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = answers.find((answer) => answer.status === 'rejected');
  return ips.length === 0 && failed ? (failed.reason as Error) : ips;
}

function finding(where: string, severity: Severity, area: string, what: string): Finding {
  return { severity, area, where, what };
}

function unasked(what: string, error: unknown): string {
  return `the ${what} could not be asked for: ${describeError(error)}`;
}
