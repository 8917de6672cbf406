/** Limits as configured, and whom each counts in a transaction. */
import { createHash } from 'node:crypto';
import { networkKey, type TransactionInput } from 'mailfilter/plugin';

export interface Limit {
  readonly per: 'address' | 'network' | 'user' | 'senderDomain';
  readonly count: 'messages' | 'recipients';
  readonly max: number;
  readonly seconds: number;
  readonly action: 'tempfail' | 'reject' | 'score' | 'mark';
  readonly score: number;
  /** Whoever is over the limit is stopped for so long, whatever the window says; 0: until there is room again. */
  readonly stopSeconds: number;
  /** `100 messages per user in 3600 s`: unlike that of any other limit. */
  readonly name: string;
  readonly symbol: string;
  readonly bits: Bits;
}
interface Bits {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Whom a limit counts: what its counter goes by, and what the client is told. */
export interface Subject {
  readonly key: string;
  readonly name: string;
  /** For the operator's log: the address, network, user or domain. */
  readonly who: string;
}

/** @throws Error where two limits count the same */
export function readLimits(
  options: readonly unknown[],
  { ipv4Prefix, ipv6Prefix }: { readonly ipv4Prefix: number; readonly ipv6Prefix: number },
): readonly Limit[] {
  const limits = options.map((option): Limit => {
    const given = option as Pick<Limit, 'per' | 'max' | 'seconds'> & Partial<Limit>;
    const { per, max, seconds, count = 'messages', action = 'tempfail', score = 3, stopSeconds = 0 } = given;
    const name = `${max} ${count} per ${per} in ${seconds} s`;
    const symbol = `RATE_${per === 'senderDomain' ? 'SENDER_DOMAIN' : per.toUpperCase()}`;
    return {
      per,
      count,
      max,
      seconds,
      action,
      score,
      stopSeconds,
      name,
      symbol,
      bits: { ipv4: ipv4Prefix, ipv6: ipv6Prefix },
    };
  });
  const twice = limits.find(({ name }, index) => limits.findIndex((other) => other.name === name) !== index);
  if (twice) throw new Error(`limits: "${twice.name}" stands there twice`);
  return limits;
}

/** Undefined where there is none such: nobody has authenticated, the sender is null, the client has no address. */
export function subjectOf(
  limit: Limit,
  { connection, session, envelope }: TransactionInput,
): Subject | undefined {
  switch (limit.per) {
    case 'address': {
      const address = networkKey(connection.remoteIp, { ipv4: 32, ipv6: 128 });
      return address === '' ? undefined : subject(limit, address, connection.remoteIp, connection.remoteIp);
    }
    case 'network': {
      const network = networkKey(connection.remoteIp, limit.bits);
      const name = `the network of ${connection.remoteIp}`;
      return network === '' ? undefined : subject(limit, network, name, name);
    }
    case 'user':
      return session.user === undefined ? undefined : subject(limit, session.user.toLowerCase(), 'this user');
    case 'senderDomain': {
      const domain = envelope.sender.slice(envelope.sender.lastIndexOf('@') + 1).toLowerCase();
      return domain === '' ? undefined : subject(limit, domain, 'this sender domain');
    }
  }
}

function subject({ name: limit }: Limit, key: string, name: string, who = key): Subject {
  return {
    key: createHash('sha256')
      .update(JSON.stringify([limit, key]))
      .digest('base64url'),
    name,
    who,
  };
}
