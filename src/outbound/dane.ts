/** DANE for SMTP: does the certificate match one of the TLSA records? RFC 7672, RFC 6698, RFC 7671. */
import { createHash, type X509Certificate } from 'node:crypto';
import { OperationalError } from '../../core/base/errors.ts';
import type { TlsaRecord } from '../../core/net/dns-question.ts';
import type { SmtpPeer } from '../../core/net/smtp-channel.ts';

/** RFC 7672 section 3.1: PKIX-TA(0) and PKIX-EE(1) are not for SMTP; unknown selectors and digests serve nobody. */
export function usableRecords(records: readonly TlsaRecord[]): TlsaRecord[] {
  return records.filter(
    ({ usage, selector, matchingType, data }) =>
      (usage === 2 || usage === 3) &&
      (selector === 0 || selector === 1) &&
      (matchingType === 0
        ? data.length > 0
        : matchingType === 1
          ? data.length === 32
          : matchingType === 2 && data.length === 64),
  );
}

/**
 * @param names one of which the certificate must hold, for DANE-TA alone (RFC 7672 section 3.2.3)
 * @throws OperationalError `smtp-tls` when no record matches
 */
export function verifyDane(
  { chain }: SmtpPeer,
  records: readonly TlsaRecord[],
  names: readonly string[],
  now = Date.now(),
): void {
  const [leaf] = chain;
  // RFC 7672 section 3.1.1: neither name nor date of the certificate counts.
  const byKey = records.some((record) => record.usage === 3 && leaf !== undefined && matches(leaf, record));
  if (byKey) return;
  const anchors = records.filter(({ usage }) => usage === 2);
  const anchored = chain.findIndex((each) => anchors.some((record) => matches(each, record)));
  if (leaf === undefined || anchored < 0)
    throw failed('the certificate matches no TLSA record', 'validation-failure');
  if (!isChain(chain.slice(0, anchored + 1))) {
    throw failed('the chain to the TLSA record is broken', 'validation-failure');
  }
  if (chain.slice(0, anchored + 1).some((each) => !isCurrent(each, now))) {
    throw failed('the certificate has expired', 'certificate-expired');
  }
  if (!names.some((name) => leaf.checkHost(name) !== undefined)) {
    throw failed(`the certificate is not for ${names.join(' or ')}`, 'certificate-host-mismatch');
  }
}

function matches(certificate: X509Certificate, { selector, matchingType, data }: TlsaRecord): boolean {
  const octets =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  if (matchingType === 0) return octets.equals(data);
  return createHash(matchingType === 1 ? 'sha256' : 'sha512')
    .update(octets)
    .digest()
    .equals(data);
}

/** Each is signed by the next, which may sign. */
function isChain(chain: readonly X509Certificate[]): boolean {
  return chain.slice(1).every((issuer, index) => issuer.ca && chain[index]!.verify(issuer.publicKey));
}

function isCurrent({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

function failed(message: string, result: string): OperationalError {
  return new OperationalError('smtp-tls', `DANE: ${message}`, { temporary: true, facts: { result } });
}
