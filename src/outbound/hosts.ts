/** Which hosts take the mail of a domain, in which order, at which addresses. RFC 5321 section 5, RFC 7505, RFC 2181 section 10.3. */
import { isIP } from 'node:net';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { Lookup } from './lookup.ts';

/** One host to try; `secure` when the way from the domain to this name is validated. */
export interface MailHost {
  readonly name: string;
  readonly preference: number;
  readonly secure: boolean;
}

/** A host cannot be tried: why, as a reply of ours. 4yz: not now. */
export class RoutingError extends OperationalError {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super('routing', reply.text, { temporary: reply.code < 500, clientText: reply.text });
    this.reply = reply;
  }
}

/** True for an address and port at which this very server listens. */
export type IsOwn = (ip: string, port: number) => boolean;

/**
 * The hosts of a domain, the preferred first, equals in random order; those that lead back here are left out, and those
 * that are preferred less. @throws RoutingError
 */
export async function mailHosts(
  domain: string,
  lookup: Lookup,
  own: { readonly name: string; readonly port: number; readonly is: IsOwn },
  random: () => number = Math.random,
): Promise<MailHost[]> {
  const literal = literalAddress(domain);
  if (literal !== undefined) {
    return withoutSelf(domain, [{ name: literal, preference: 0, secure: false }], lookup, own);
  }
  const { records, secure } = await asked(() => lookup('MX', domain));
  // RFC 5321 section 5.1: without an MX the domain is its own host.
  if (records.length === 0)
    return withoutSelf(domain, [{ name: domain, preference: 0, secure }], lookup, own);
  // RFC 7505: one record of the root; together with others it means nothing.
  if (records.every(({ exchange }) => exchange === '')) {
    throw new RoutingError({ code: 556, enhanced: '5.1.10', text: `${domain} takes no mail (null MX)` });
  }
  const hosts = records
    .filter(({ exchange }) => exchange !== '')
    .map(({ exchange, preference }) => ({
      name: exchange.toLowerCase(),
      preference,
      secure,
      order: random(),
    }))
    .sort((left, right) => left.preference - right.preference || left.order - right.order)
    .slice(0, outboundLimits.hostsMax);
  return withoutSelf(domain, hosts, lookup, own);
}

/** RFC 5321 section 5.1: who finds himself among the hosts goes on with those preferred more, and with none of the others. */
async function withoutSelf(
  domain: string,
  hosts: readonly MailHost[],
  lookup: Lookup,
  own: { readonly name: string; readonly port: number; readonly is: IsOwn },
): Promise<MailHost[]> {
  let selfAt = Number.POSITIVE_INFINITY;
  for (const host of hosts) {
    if (host.preference >= selfAt) break;
    const addresses = await addressesOf(host.name, lookup).catch(() => ({ ips: [] }));
    const isSelf = host.name === own.name.toLowerCase() || addresses.ips.some((ip) => own.is(ip, own.port));
    if (isSelf) selfAt = host.preference;
  }
  const before = hosts.filter(({ preference }) => preference < selfAt);
  if (before.length > 0) return before;
  // RFC 3463 X.4.6: routing loop detected.
  throw new RoutingError({
    code: 554,
    enhanced: '5.4.6',
    text: `mail for ${domain} leads back to this server`,
  });
}

/**
 * Addresses of a host in the order they are tried: both families in turn, each in random order.
 * @throws RoutingError
 */
export async function addressesOf(
  name: string,
  lookup: Lookup,
  random: () => number = Math.random,
): Promise<{ ips: string[]; secure: boolean }> {
  if (isIP(name) !== 0) return { ips: [name], secure: false };
  // RFC 6761 section 6.3: no server is asked for it.
  if (name === 'localhost') return { ips: ['127.0.0.1', '::1'], secure: false };
  const [v6, v4] = await Promise.allSettled([lookup('AAAA', name), lookup('A', name)]);
  const found = [v6, v4].map((each) =>
    each.status === 'fulfilled' ? shuffled(each.value.records, random) : [],
  );
  const [first = [], second = []] = found;
  const ips = Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [
    first[index],
    second[index],
  ])
    .flat()
    .filter((ip): ip is string => ip !== undefined && !isUnspecified(ip));
  const answered = [v6, v4].filter((each) => each.status === 'fulfilled');
  const failed = [v6, v4].find((each) => each.status === 'rejected');
  // RFC 7672 section 2.1.2: a forged failure of one family must not turn DANE off.
  if (failed && (ips.length === 0 || answered.some(({ value }) => value.secure)))
    throw lookupFailed(failed.reason);
  if (ips.length > 0) return { ips, secure: answered.every(({ value }) => value.secure) };
  return { ips: [], secure: false };
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw lookupFailed(error);
  }
}

/** RFC 3463 X.4.3: directory server failure; X.1.2: bad destination system address. */
function lookupFailed(error: unknown): unknown {
  if (!(error instanceof OperationalError)) return error;
  const text = `name lookup failed: ${describeError(error)}`;
  return new RoutingError(
    error.temporary ? { code: 451, enhanced: '4.4.3', text } : { code: 550, enhanced: '5.1.2', text },
  );
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]`. RFC 5321 section 4.1.3. */
function literalAddress(domain: string): string | undefined {
  const [, literal] = /^\[(?:IPv6:)?([0-9a-f.:]+)\]$/i.exec(domain) ?? [];
  return literal !== undefined && isIP(literal) !== 0 ? literal : undefined;
}

function isUnspecified(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((left, right) => left.order - right.order)
    .map(({ item }) => item);
}
