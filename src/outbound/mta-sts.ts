/** MTA-STS: a domain says which hosts take its mail and that they have certificates; fetched by HTTPS, remembered. RFC 8461. */
import { request } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import type { Dns } from '../../core/net/dns-question.ts';
import type { StateKeys } from '../../core/state/store.ts';

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Names, or `*.domain` for one label more; lower case. */
  readonly mx: readonly string[];
  readonly maxAgeSeconds: number;
  /** Its lines, for reports. */
  readonly text: string;
}

export interface StsInit {
  readonly dns: Dns;
  readonly state: StateKeys;
  readonly clock: Clock;
  readonly log: Log;
  readonly port: number;
  /** PEM of what is trusted besides the roots of Node. */
  readonly ca?: readonly string[];
}

/** What is remembered of a domain. */
interface Kept {
  readonly id: string;
  readonly text: string;
  /** Epoch milliseconds. */
  readonly until: number;
  /** Epoch milliseconds; absent: by an earlier version. */
  readonly fetchedAt?: number;
}

/** Answers the policy of a domain, undefined where it has none; never rejects: what cannot be fetched is as if it were not there. */
export type FindStsPolicy = (domain: string) => Promise<StsPolicy | undefined>;

export function createMtaSts(init: StsInit): FindStsPolicy {
  const { dns, state, clock, log } = init;
  /** Domains whose policy could not be fetched, and when to ask again. */
  const failed = new Map<string, number>();
  /** One look for all who ask within a minute. */
  const found = new Map<string, { policy: Promise<StsPolicy | undefined>; until: number }>();

  async function find(domain: string): Promise<StsPolicy | undefined> {
    const kept = (await state.get(`mta-sts/${domain}`)) as unknown as Kept | undefined;
    const valid = kept !== undefined && kept.until > clock.now() ? kept : undefined;
    const id = await announcedId(dns, domain);
    // RFC 8461 section 5.1: a record that is gone, or a failing lookup, does not end a policy that is remembered.
    if (id === undefined || (valid?.id === id && !isOld(valid))) return valid && parsePolicy(valid.text);
    return (await fetchNew(domain, id)) ?? (valid && parsePolicy(valid.text));
  }

  /** RFC 8461 section 10.2: a policy that is used is fetched again well before its end, so that none is ever missing. */
  function isOld({ fetchedAt = 0 }: Kept): boolean {
    return clock.now() - fetchedAt >= outboundLimits.stsRefreshMs;
  }

  async function fetchNew(domain: string, id: string): Promise<StsPolicy | undefined> {
    if ((failed.get(domain) ?? 0) > clock.now()) return undefined;
    try {
      const text = await fetchPolicy(domain, init);
      const policy = parsePolicy(text);
      if (policy === undefined) throw new Error('the policy cannot be read');
      const fetchedAt = clock.now();
      const until = fetchedAt + policy.maxAgeSeconds * 1000;
      await state.set(
        `mta-sts/${domain}`,
        { id, text, until, fetchedAt },
        { ttlSeconds: Math.max(1, policy.maxAgeSeconds) },
      );
      failed.delete(domain);
      return policy;
    } catch (error) {
      log.warn('mta-sts-unavailable', { domain, error: describeError(error) });
      if (failed.size >= outboundLimits.stsPoliciesMax) failed.clear();
      failed.set(domain, clock.now() + outboundLimits.stsRetryMs);
      return undefined;
    }
  }

  return (domain) => {
    const now = clock.monotonicMs();
    const known = found.get(domain);
    if (known !== undefined && known.until > now) return known.policy;
    if (found.size >= outboundLimits.stsPoliciesMax) found.clear();
    const policy = find(domain);
    found.set(domain, { policy, until: now + outboundLimits.stsFreshMs });
    return policy;
  };
}

/** The id of the TXT record, RFC 8461 section 3.1; undefined without exactly one. */
async function announcedId(dns: Dns, domain: string): Promise<string | undefined> {
  const texts = await dns.txt(`_mta-sts.${domain}`).catch(() => []);
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text));
  if (records.length !== 1) return undefined;
  return /;[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*(?:;|$)/.exec(records[0]!)?.[1];
}

/** RFC 8461 section 3.2. Undefined where it breaks the rules. */
export function parsePolicy(text: string): StsPolicy | undefined {
  const fields = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });
  // Of repeated fields but mx the first counts.
  const one = (name: string) => fields.find(([key]) => key === name)?.[1];
  const mode = one('mode');
  const age = one('max_age') ?? '';
  const mx = fields
    .filter(([key]) => key === 'mx')
    .map(([, value]) => value.toLowerCase().replace(/\.$/, ''));
  if (one('version') !== 'STSv1' || !/^[0-9]{1,10}$/.test(age)) return undefined;
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return undefined;
  if (mode !== 'none' && mx.length === 0) return undefined;
  return { mode, mx, maxAgeSeconds: Math.min(Number(age), outboundLimits.stsAgeSecondsMax), text };
}

/** RFC 8461 section 4.1: a wildcard stands for exactly one label. */
export function policyNames(policy: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return policy.mx.some((pattern) =>
    pattern.startsWith('*.') ? name.slice(name.indexOf('.') + 1) === pattern.slice(2) : name === pattern,
  );
}

/** RFC 8461 section 3.3: the certificate must be right, and no redirect is followed. */
function fetchPolicy(domain: string, { dns, port, ca }: StsInit): Promise<string> {
  const host = `mta-sts.${domain}`;
  return new Promise((resolve, reject) => {
    const asked = request({
      host,
      servername: host,
      port,
      path: '/.well-known/mta-sts.txt',
      lookup: lookupBy(dns),
      ...(ca === undefined ? {} : { ca: [...ca] }),
      agent: false,
      signal: AbortSignal.timeout(outboundLimits.stsFetchMs),
    });
    asked.on('error', reject);
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      let octets = 0;
      const type = response.headers['content-type'] ?? '';
      if (response.statusCode !== 200) asked.destroy(new Error(`HTTP status ${response.statusCode}`));
      else if (!/^text\/plain[ \t]*(?:;|$)/i.test(type)) asked.destroy(new Error(`content type ${type}`));
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        chunks.push(chunk);
        if (octets > outboundLimits.stsBytesMax) asked.destroy(new Error('the policy is too long'));
      });
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    asked.end();
  });
}

/** Names by our own DNS, not that of the system: one installation, one view of the world. */
function lookupBy(dns: Dns): LookupFunction {
  return (name, _options, callback) => {
    Promise.allSettled([dns.a(name), dns.aaaa(name)]).then(([v4, v6]) => {
      const addresses = [
        ...(v4.status === 'fulfilled' ? v4.value.map((address) => ({ address, family: 4 })) : []),
        ...(v6.status === 'fulfilled' ? v6.value.map((address) => ({ address, family: 6 })) : []),
      ];
      if (addresses.length > 0) callback(null, addresses);
      else callback(Object.assign(new Error(`no address of ${name}`), { code: 'ENOTFOUND' }), []);
    });
  };
}
