/** DNS from servers: questions with a deadline, a cache, and one rule for what a failure is. RFC 1035, RFC 2308. */
import { Resolver } from 'node:dns/promises';
import type { Clock } from '../base/clock.ts';
import { describeError, errnoOf, OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { DnsCache } from './dns-cache.ts';
import {
  type Dns,
  type DnsAnswer,
  DnsError,
  type DnsFailure,
  type DnsSource,
  type DnsType,
  dnsOf,
} from './dns-question.ts';

export interface DnsInit {
  /** `ip`, `ip:port` or `[v6]:port`; empty: those of the system. */
  readonly servers: readonly string[];
  /** For one question, all tries together. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Asks the servers. Throws OperationalError `dns-servers` when one of them is no address. */
export function createDns(init: DnsInit): Dns {
  const cache = new DnsCache(resolverSource(init), init);
  return dnsOf((type, name) => cache.ask(type, name));
}

/** node:dns tries a server twice and then the next; the deadline over all of it is the cache's. */
function resolverSource({ servers, timeoutMs }: DnsInit): DnsSource {
  // The second try waits twice as long as the first.
  const resolver = new Resolver({ tries: 2, timeout: Math.max(100, Math.floor(timeoutMs / 3)) });
  try {
    if (servers.length > 0) resolver.setServers(servers);
  } catch (error) {
    throw new OperationalError('dns-servers', `dns.servers: ${describeError(error)}`, { temporary: false });
  }
  const questions = resolverQuestions(resolver);
  return async (type, name) => {
    try {
      return await questions[type](name);
    } catch (error) {
      if (absent.has(errnoOf(error) ?? '')) return { records: [] };
      throw new DnsError(failures[errnoOf(error) ?? ''] ?? 'servfail', type, name, error);
    }
  };
}

const absent = new Set(['ENOTFOUND', 'ENODATA']);
const failures: Readonly<Record<string, DnsFailure>> = {
  ETIMEOUT: 'timeout',
  EREFUSED: 'refused',
  ECONNREFUSED: 'refused',
  EBADNAME: 'bad-name',
  EBADQUERY: 'bad-name',
};

type Questions = { readonly [Type in DnsType]: (name: string) => Promise<DnsAnswer<Type>> };

function resolverQuestions(resolver: Resolver): Questions {
  const plain = async <Record>(records: Promise<Record[]>) => ({ records: await records });
  return {
    A: async (name) => withTtl(await resolver.resolve4(name, { ttl: true })),
    AAAA: async (name) => withTtl(await resolver.resolve6(name, { ttl: true })),
    TXT: async (name) => ({ records: (await resolver.resolveTxt(name)).map((strings) => strings.join('')) }),
    MX: async (name) => ({
      records: (await resolver.resolveMx(name)).map(({ exchange, priority }) => ({
        exchange,
        preference: priority,
      })),
    }),
    // Whatever type is asked for, the answer to a name that is not there is the same.
    NAME: async (name) => {
      try {
        const { ttlSeconds } = withTtl(await resolver.resolve4(name, { ttl: true }));
        return { records: [true], ttlSeconds };
      } catch (error) {
        if (errnoOf(error) !== 'ENODATA') throw error;
        return { records: [true] };
      }
    },
    PTR: (name) => plain(resolver.resolvePtr(name)),
    NS: (name) => plain(resolver.resolveNs(name)),
    CNAME: (name) => plain(resolver.resolveCname(name)),
    SRV: async (name) => ({
      records: (await resolver.resolveSrv(name)).map(({ name, port, priority, weight }) => ({
        name,
        port,
        priority,
        weight,
      })),
    }),
    TLSA: async (name) => ({
      records: (await resolver.resolveTlsa(name)).map(({ certUsage, selector, match, data }) => ({
        usage: certUsage,
        selector,
        matchingType: match,
        data: new Uint8Array(data),
      })),
    }),
  };
}

/** node:dns tells the time to live of addresses alone. */
function withTtl(records: readonly { address: string; ttl: number }[]): {
  records: string[];
  ttlSeconds: number;
} {
  return {
    records: records.map(({ address }) => address),
    ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
  };
}
