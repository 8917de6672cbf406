/** How a host must be spoken to: what its domain published (DANE, MTA-STS), the message asks for (REQUIRETLS) and the config says. */
import { isIP } from 'node:net';
import { OperationalError } from '../../core/base/errors.ts';
import type { TlsLevel } from '../../core/config/relay-target.ts';
import type { TlsaRecord } from '../../core/net/dns-question.ts';
import type { SmtpPeer } from '../../core/net/smtp-channel.ts';
import { usableRecords, verifyDane } from './dane.ts';
import { type MailHost, RoutingError } from './hosts.ts';
import type { Lookup } from './lookup.ts';
import { policyNames, type StsPolicy } from './mta-sts.ts';

/** By which rule: the words of RFC 8460 section 4.2, and our own. */
export type PolicySource = 'tlsa' | 'sts' | 'no-policy-found' | 'config';

export interface TlsPolicy {
  /** `dane`: as `required`, judged by `verifyPeer`. */
  readonly level: TlsLevel | 'dane';
  readonly source: PolicySource;
  /** Judges the certificate; absent: any is taken. */
  readonly verifyPeer?: (peer: SmtpPeer) => void;
  /** What the policy is in words, for reports. */
  readonly policyStrings: readonly string[];
}

export interface PolicyQuestion {
  /** Domain of the recipients; undefined for a host that a route names. */
  readonly domain?: string;
  readonly host: MailHost;
  readonly port: number;
  /** The host's addresses are validated. */
  readonly addressesSecure: boolean;
  /** The domain's policy, where it has one. */
  readonly sts?: StsPolicy;
  readonly requireTls: boolean;
  /** The message asks that what the domain published be passed over: `TLS-Required: No`. */
  readonly passOver: boolean;
  /** What the config asks for. */
  readonly level: TlsLevel;
  readonly dane: boolean;
}

/**
 * The strictest that applies; DANE comes before MTA-STS (RFC 8461 section 2).
 * @throws RoutingError when the host must not be used at all
 */
export async function tlsPolicy(question: PolicyQuestion, lookup: Lookup): Promise<TlsPolicy> {
  // RFC 8689 section 4.3: TLS is then used where it works, and what the operator asks for stands.
  const found = question.passOver ? undefined : ((await danePolicy(question, lookup)) ?? stsPolicy(question));
  const policy = found ?? configPolicy(question);
  return question.requireTls ? requiringTls(question, policy) : policy;
}

/** RFC 7672 section 2.2: only where every step from the domain to the records is validated. */
async function danePolicy(question: PolicyQuestion, lookup: Lookup): Promise<TlsPolicy | undefined> {
  const { dane, domain, host, port, addressesSecure, level } = question;
  if (!dane || !addressesSecure || level === 'none' || (domain !== undefined && !host.secure))
    return undefined;
  const records = await tlsaRecords(`_${port}._tcp.${host.name}`, host.name, lookup);
  if (records === undefined) return undefined;
  const usable = usableRecords(records);
  const policyStrings = records.map(
    ({ usage, selector, matchingType, data }) =>
      `${usage} ${selector} ${matchingType} ${Buffer.from(data).toString('hex')}`,
  );
  // RFC 7672 section 2.2: records of which none is usable still say that there is TLS.
  if (usable.length === 0) return { level: 'required', source: 'tlsa', policyStrings };
  const names = [host.name, ...(domain === undefined ? [] : [domain])];
  return {
    level: 'dane',
    source: 'tlsa',
    policyStrings,
    verifyPeer: (peer) => verifyDane(peer, usable, names),
  };
}

/** Undefined where there are none, or none to be trusted. RFC 7672 section 2.1.2: a failing lookup is not "none". */
async function tlsaRecords(
  name: string,
  host: string,
  lookup: Lookup,
): Promise<readonly TlsaRecord[] | undefined> {
  try {
    const { records, secure } = await lookup('TLSA', name);
    return secure && records.length > 0 ? records : undefined;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    throw new RoutingError({
      code: 451,
      enhanced: '4.7.5',
      text: `TLSA lookup for ${host} failed: ${error.message}`,
    });
  }
}

function stsPolicy({ sts, host, level }: PolicyQuestion): TlsPolicy | undefined {
  if (sts === undefined || sts.mode !== 'enforce' || level === 'none') return undefined;
  if (!policyNames(sts, host.name)) {
    throw new RoutingError({
      code: 451,
      enhanced: '4.7.5',
      text: `${host.name} is not among the hosts of the domain's MTA-STS policy`,
    });
  }
  return {
    level: 'verify',
    source: 'sts',
    policyStrings: policyLines(sts),
    verifyPeer: (peer) => verifyName(peer, [host.name]),
  };
}

export function policyLines(sts: StsPolicy): string[] {
  return sts.text.split(/\r?\n/).filter((line) => line !== '');
}

function configPolicy({ level, host, domain }: PolicyQuestion): TlsPolicy {
  const names = [host.name, ...(domain === undefined ? [] : [domain])];
  return {
    level,
    source: level === 'opportunistic' ? 'no-policy-found' : 'config',
    policyStrings: [],
    ...(level === 'verify' ? { verifyPeer: (peer: SmtpPeer) => verifyName(peer, names) } : {}),
  };
}

/** RFC 8689 section 4.2.1: the way to the host must be validated, by DNSSEC or MTA-STS, and so must its certificate. */
function requiringTls({ domain, host }: PolicyQuestion, policy: TlsPolicy): TlsPolicy {
  if (policy.level === 'dane' || policy.source === 'sts') return policy;
  if (domain !== undefined && !host.secure) {
    throw new RoutingError({
      code: 550,
      enhanced: '5.7.30',
      text: `REQUIRETLS needed, and the MX of ${domain} is validated by neither DNSSEC nor MTA-STS`,
    });
  }
  return { ...policy, level: 'verify', verifyPeer: (peer) => verifyName(peer, [host.name]) };
}

/** @throws OperationalError `smtp-tls` */
export function verifyName({ chain, distrust }: SmtpPeer, names: readonly string[]): void {
  if (distrust !== undefined) {
    const result = distrust === 'CERT_HAS_EXPIRED' ? 'certificate-expired' : 'certificate-not-trusted';
    throw new OperationalError('smtp-tls', `the certificate is not trusted: ${distrust}`, {
      temporary: true,
      facts: { result },
    });
  }
  const [leaf] = chain;
  const holds = (name: string) =>
    leaf !== undefined && (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name));
  if (names.some(holds)) return;
  throw new OperationalError('smtp-tls', `the certificate is not for ${names.join(' or ')}`, {
    temporary: true,
    facts: { result: 'certificate-host-mismatch' },
  });
}
