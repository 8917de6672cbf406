/** Verifies the DKIM signatures of a message. RFC 6376 section 6, RFC 8301, RFC 8463. */
import { dkimLimits } from '../../base/limits/auth.ts';
import { normaliseDomain } from '../../mail/address.ts';
import type { AuthResult } from '../../mail/authentication-results.ts';
import type { Message } from '../../mail/message.ts';
import type { AuthDns } from '../dns.ts';
import {
  checkBodies,
  checkHeader,
  type HeaderVerified,
  type Judgement,
  type SignaturePolicy,
} from './check-signature.ts';
import { type DkimSignature, parseDkimSignature } from './signature.ts';
import { type SignedField, SignedHeader } from './signed-header.ts';

/** What is needed of a message: plugins' messages have it. */
export type AuthMessage = Pick<Message, 'headers' | 'body'>;

/** One signature. What could not be read of it is `''`. */
export interface DkimResult extends Judgement {
  /** d= in lower case with A-labels. */
  readonly domain: string;
  readonly selector: string;
  readonly identity: string;
  readonly algorithm: string;
  /** Of the public key; 0 where there was none. */
  readonly keyBits: number;
  /** The owner says that it is testing (t=y). */
  readonly testing: boolean;
  /** Names that it covers, in lower case. */
  readonly signedNames: readonly string[];
  /** Octets of the body that it covers, where not all (l=). */
  readonly bodyLength?: number;
  /** The first characters of b=. RFC 6008. */
  readonly signatureStart: string;
}

export interface DkimOptions extends Partial<Omit<SignaturePolicy, 'now'>> {
  /** Epoch milliseconds. */
  readonly now: number;
  /** Signatures that are looked at, from the top; each costs a DNS question. Default 10. */
  readonly signaturesMax?: number;
}

/** The policy that options leave open. */
export function signaturePolicy(options: DkimOptions): SignaturePolicy {
  return {
    rsaBitsMin: options.rsaBitsMin ?? 1024,
    allowSha1: options.allowSha1 ?? false,
    allowPartialBody: options.allowPartialBody ?? true,
    clockSkewSeconds: options.clockSkewSeconds ?? dkimLimits.clockSkewSeconds,
    now: Math.floor(options.now / 1000),
  };
}

/** The signatures from the top down; none: the message is not signed. The body is read only where it decides. */
export async function verifyDkim(
  message: AuthMessage,
  dns: AuthDns,
  options: DkimOptions,
): Promise<DkimResult[]> {
  if (!message.headers.has('DKIM-Signature')) return [];
  const header = new SignedHeader(message.headers);
  const policy = signaturePolicy(options);
  const fields = header.all('dkim-signature').slice(0, options.signaturesMax ?? dkimLimits.signaturesMax);
  const checks = await Promise.all(fields.map((field) => checkField(header, field, dns)));
  const verified = checks.flatMap(({ outcome }) => ('key' in outcome ? [outcome] : []));
  const bodies = (await checkBodies(verified, () => message.body(), policy)).values();
  return checks.map(({ signature, outcome }) =>
    describe(signature, 'key' in outcome ? { ...bodies.next().value!, key: outcome.key } : outcome),
  );
}

/** In the words of RFC 8601 section 2.7.1; one `none` for a message without signatures. */
export function dkimAuthResults(results: readonly DkimResult[]): AuthResult[] {
  if (results.length === 0) return [{ method: 'dkim', result: 'none' }];
  return results.map(({ result, reason, domain, selector, identity, algorithm, signatureStart }) => ({
    method: 'dkim',
    result,
    ...(reason !== '' && { reason }),
    properties: Object.fromEntries(
      Object.entries({
        'header.d': domain,
        'header.i': identity === `@${domain}` ? '' : identity,
        'header.s': selector,
        'header.a': algorithm,
        'header.b': signatureStart,
      }).filter(([, value]) => value !== '' && !/[\0-\x1f\x7f]/.test(value)),
    ),
  }));
}

interface Check {
  readonly signature?: DkimSignature;
  readonly outcome: HeaderVerified | Judgement;
}

async function checkField(header: SignedHeader, field: SignedField, dns: AuthDns): Promise<Check> {
  const signature = parseDkimSignature(field.value);
  if (!('domain' in signature)) return { outcome: signature };
  // RFC 6376 section 5.4: From is always signed.
  if (!signature.signedNames.some((name) => name.toLowerCase() === 'from'))
    return { signature, outcome: { result: 'permerror', reason: 'From is not signed' } };
  const { timestamp, expires } = signature;
  if (timestamp !== undefined && expires !== undefined && expires <= timestamp)
    return { signature, outcome: { result: 'permerror', reason: 'x= is not after t=' } };
  const outcome = await checkHeader(header, field, signature, dns);
  if ('key' in outcome && outcome.key.strict && domainOf(signature.identity) !== signature.domain)
    return { signature, outcome: { result: 'permerror', reason: 'key is not for subdomains' } };
  return { signature, outcome };
}

function domainOf(identity: string): string {
  return normaliseDomain(identity.slice(identity.lastIndexOf('@') + 1));
}

function describe(
  signature: DkimSignature | undefined,
  { result, reason, key }: Judgement & Partial<Pick<HeaderVerified, 'key'>>,
): DkimResult {
  return {
    result,
    reason,
    domain: signature?.domain ?? '',
    selector: signature?.selector ?? '',
    identity: signature?.identity ?? '',
    algorithm: signature?.algorithm ?? '',
    keyBits: key?.bits ?? 0,
    testing: key?.testing ?? false,
    signedNames: signature?.signedNames.map((name) => name.toLowerCase()) ?? [],
    ...(signature?.bodyLength !== undefined && { bodyLength: signature.bodyLength }),
    signatureStart: signature?.signature.toString('base64').slice(0, 8) ?? '',
  };
}
