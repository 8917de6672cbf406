/**
 * DNS with the resolver's word on authenticity (the AD bit), which node:dns does not tell: for DANE. A stub resolver that
 * trusts its servers. RFC 4035 section 4.9.3, RFC 6840 section 5.7; EDNS RFC 6891.
 */
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import { dnsLimits } from '../base/limits/dns.ts';
import { askedName, type DnsAnswers, DnsError } from './dns-question.ts';
import { type DnsResponse, encodeQuery, readResponse, type WireType } from './dns-wire.ts';

export interface SecureAnswer<Type extends WireType> {
  readonly records: readonly DnsAnswers[Type][];
  /** The resolver validated it; also of an answer that says that there is nothing. */
  readonly secure: boolean;
}

/** Answers as Dns does, and rejects as it does. */
export interface SecureDns {
  ask<Type extends WireType>(type: Type, name: string): Promise<SecureAnswer<Type>>;
}

export interface SecureDnsInit {
  /** `ip`, `ip:port` or `[v6]:port`; empty: those of the system. */
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
}

interface Kept {
  readonly until: number;
  readonly answer: Promise<DnsResponse>;
}

export function createSecureDns(init: SecureDnsInit): SecureDns {
  const servers = (init.servers.length > 0 ? init.servers : getServers()).map(readServer);
  const kept = new Map<string, Kept>();

  function remembered(type: WireType, name: string): Promise<DnsResponse> {
    const key = `${type} ${name}`;
    const now = init.clock.monotonicMs();
    const found = kept.get(key);
    if (found !== undefined && found.until > now) return found.answer;
    const answer = askServers(servers, type, name, init.timeoutMs);
    keep(key, { until: now + init.timeoutMs, answer });
    answer.then(
      ({ records, ttlSeconds }) => {
        const seconds = records.length === 0 ? dnsLimits.absentSeconds : (ttlSeconds ?? 0);
        const heldMs = Math.min(seconds, dnsLimits.heldSecondsMax) * 1000;
        keep(key, { until: init.clock.monotonicMs() + heldMs, answer });
      },
      () => keep(key, { until: init.clock.monotonicMs() + dnsLimits.failureSeconds * 1000, answer }),
    );
    return answer;
  }

  function keep(key: string, value: Kept): void {
    kept.delete(key);
    const oldest = kept.size >= dnsLimits.cacheEntriesMax ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, value);
  }

  return {
    async ask<Type extends WireType>(type: Type, name: string) {
      const { records, secure } = await remembered(type, askedName(type, name));
      return { records: records as DnsAnswers[Type][], secure };
    },
  };
}

interface Server {
  readonly host: string;
  readonly port: number;
}

function readServer(text: string): Server {
  const [, v6, bare, port] = /^(?:\[([^\]]+)\]|([0-9.]+))(?::([0-9]+))?$/.exec(text) ?? [];
  return { host: v6 ?? bare ?? text, port: Number(port ?? 53) };
}

/** Each server in turn, twice at most, within the time. */
async function askServers(
  servers: readonly Server[],
  type: WireType,
  name: string,
  timeoutMs: number,
): Promise<DnsResponse> {
  const tries = [...servers, ...servers];
  const eachMs = Math.max(100, Math.floor(timeoutMs / Math.max(1, tries.length)));
  let failure: unknown;
  for (const server of tries) {
    try {
      return await askServer(server, type, name, eachMs);
    } catch (error) {
      failure = error;
      // What a server said of the name itself another would say as well.
      if (error instanceof DnsError && error.code === 'dns-servfail') break;
    }
  }
  if (failure instanceof DnsError) throw failure;
  throw new DnsError('timeout', type, name, failure);
}

async function askServer(
  server: Server,
  type: WireType,
  name: string,
  timeoutMs: number,
): Promise<DnsResponse> {
  const id = Math.floor(Math.random() * 65_536);
  const query = encodeQuery(id, type, name);
  const short = await overUdp(server, query, timeoutMs, (octets) => readResponse(octets, id, type, name));
  if (!short.truncated) return short;
  return readResponse(await overTcp(server, query, timeoutMs), id, type, name);
}

/** A datagram that is no answer to the question, as a forger sends it, is passed over. RFC 5452 section 9.1. */
function overUdp(
  { host, port }: Server,
  query: Buffer,
  timeoutMs: number,
  read: (octets: Buffer) => DnsResponse,
): Promise<DnsResponse> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const end = (outcome: () => void) => {
      clearTimeout(timer);
      socket.close();
      outcome();
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer in time'))), timeoutMs);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (octets) => {
      try {
        const response = read(octets);
        end(() => resolve(response));
      } catch (error) {
        if (error instanceof DnsError) end(() => reject(error));
      }
    });
    // Connected: the kernel hands on datagrams of that server alone, from a port of its own choice.
    socket.connect(port, host, (error?: Error) => {
      if (error === undefined || error === null) socket.send(query);
    });
  });
}

/** RFC 1035 section 4.2.2: the message after its length. */
function overTcp({ host, port }: Server, query: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let octets = Buffer.alloc(0);
    const end = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutMs, () => end(new Error('no answer in time')));
    socket.on('error', (error) => end(new Error(describeError(error))));
    socket.on('close', () => end(new Error('closed')));
    socket.on('data', (chunk: Buffer) => {
      octets = Buffer.concat([octets, chunk]);
      if (octets.length < 2 || octets.length < 2 + octets.readUInt16BE(0)) return;
      resolve(octets.subarray(2, 2 + octets.readUInt16BE(0)));
      socket.destroy();
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}
