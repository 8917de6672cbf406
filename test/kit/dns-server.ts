/** A real DNS server for tests, on loopback, UDP and TCP, that answers from a zone. RFC 1035 section 4. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import type { DnsAnswers, RecordType } from '../../core/net/dns-question.ts';
import { Zone, type ZoneAnswer, type ZoneData } from '../../core/net/dns-zone.ts';

export interface DnsServer {
  /** `127.0.0.1:port`, for `dns.servers`. */
  readonly address: string;
  /** Every question so far: `A example.test`. */
  readonly asked: string[];
  /** Takes effect at once. */
  setZone(data: ZoneData): void;
  close(): Promise<void>;
}

export interface DnsServerOptions {
  /** Of every record, in seconds; default 60. */
  readonly ttlSeconds?: number;
  /** Wait before each answer. */
  readonly delayMs?: number;
  /** Names whose answers are marked as authentic (the AD bit), as a validating resolver does. */
  readonly secure?: (name: string) => boolean;
}

const typeNumbers: Readonly<Record<RecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  TLSA: 52,
};
const typeNames = new Map(Object.entries(typeNumbers).map(([name, number]) => [number, name as RecordType]));
const responseCodes: Readonly<Record<Exclude<ZoneAnswer['outcome'], 'timeout'>, number>> = {
  answer: 0,
  nodata: 0,
  servfail: 2,
  nxdomain: 3,
  refused: 5,
};
/** RFC 1035 section 2.3.4: more than this is cut off over UDP, and asked for again over TCP. */
const udpBytesMax = 512;

/** Serves until `close`. A name that fails with TIMEOUT gets no answer at all. */
export async function serveZone(data: ZoneData, options: DnsServerOptions = {}): Promise<DnsServer> {
  let zone = new Zone(data);
  const asked: string[] = [];
  const ttl = options.ttlSeconds ?? 60;

  async function respond(query: Buffer): Promise<Buffer | undefined> {
    const question = readQuestion(query);
    asked.push(`${question.type ?? question.number} ${question.name}`);
    if (options.delayMs) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
    if (question.type === undefined) return response(query, question, 4, []);
    const answer = zone.lookup(question.type, question.name);
    if (answer.outcome === 'timeout') return undefined;
    const records = recordsOf(question.type, answer, ttl);
    const octets = response(query, question, responseCodes[answer.outcome], records);
    if (options.secure?.(question.name)) octets[3]! |= 0x20;
    return octets;
  }

  const { udp, tcp, port, sockets } = await listen();
  udp.on('message', async (query: Buffer, from: RemoteInfo) => {
    const answer = await respond(query);
    if (answer !== undefined)
      udp.send(answer.length > udpBytesMax ? truncated(answer, query) : answer, from.port, from.address);
  });
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    answerStream(socket, respond);
  });
  return {
    address: `127.0.0.1:${port}`,
    asked,
    setZone(changed) {
      zone = new Zone(changed);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
}

/** One port for both; the one that UDP was given may be taken for TCP, so it is tried a few times. */
async function listen() {
  for (let tries = 0; ; tries++) {
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const { port } = udp.address();
    const tcp = createServer();
    try {
      await new Promise<void>((resolve, reject) =>
        tcp.once('error', reject).listen(port, '127.0.0.1', resolve),
      );
      return { udp, tcp, port, sockets: new Set<Socket>() };
    } catch (error) {
      udp.close();
      if (tries === 10) throw error;
    }
  }
}

/** RFC 1035 section 4.2.2: each message after its length. */
function answerStream(socket: Socket, respond: (query: Buffer) => Promise<Buffer | undefined>): void {
  let rest = Buffer.alloc(0);
  socket.on('data', async (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      const query = rest.subarray(2, end);
      rest = rest.subarray(end);
      const answer = await respond(query);
      if (answer !== undefined) socket.write(Buffer.concat([uint16(answer.length), answer]));
    }
  });
}

interface Question {
  readonly name: string;
  readonly number: number;
  readonly type: RecordType | undefined;
  /** Where the question ends in the query. */
  readonly end: number;
}

function readQuestion(query: Buffer): Question {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = query.readUInt16BE(at + 1);
  return { name: labels.join('.').toLowerCase(), number, type: typeNames.get(number), end: at + 5 };
}

function response(query: Buffer, question: Question, code: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  // An authoritative response; recursion as it was desired, and available. RFC 1035 section 4.1.1.
  header[2] = 0x84 | (query[2]! & 1);
  header[3] = 0x80 | code;
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, question.end), ...records]);
}

/** The header and the question alone, marked as cut off. */
function truncated(answer: Buffer, query: Buffer): Buffer {
  const short = Buffer.from(answer.subarray(0, readQuestion(query).end));
  short[2]! |= 0x02;
  short.writeUInt16BE(0, 6);
  return short;
}

function recordsOf(type: RecordType, answer: ZoneAnswer, ttl: number): Buffer[] {
  const aliases = answer.aliases.map(({ name, target }) => record(name, 'CNAME', ttl, nameOctets(target)));
  return [...aliases, ...answer.records.map((each) => record(answer.name, type, ttl, dataOf(type, each)))];
}

function record(name: string, type: RecordType, ttl: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(typeNumbers[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([nameOctets(name), fixed, data]);
}

function dataOf(type: RecordType, value: DnsAnswers[RecordType]): Buffer {
  if (typeof value === 'string') {
    if (type === 'A') return Buffer.from(value.split('.').map(Number));
    if (type === 'AAAA') return ipv6Octets(value);
    return type === 'TXT' ? textOctets(value) : nameOctets(value);
  }
  if ('exchange' in value) return Buffer.concat([uint16(value.preference), nameOctets(value.exchange)]);
  if ('port' in value) {
    return Buffer.concat([
      uint16(value.priority),
      uint16(value.weight),
      uint16(value.port),
      nameOctets(value.name),
    ]);
  }
  return Buffer.concat([Buffer.from([value.usage, value.selector, value.matchingType]), value.data]);
}

/** RFC 1035 section 3.1, without compression. */
function nameOctets(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const octets = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  return Buffer.concat([...octets, Buffer.from([0])]);
}

/** RFC 1035 section 3.3.14: strings of at most 255 octets. */
function textOctets(text: string): Buffer {
  const bytes = Buffer.from(text);
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 255) {
    const part = bytes.subarray(at, at + 255);
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat(parts);
}

/** Full or `::` form, without dotted quads. */
function ipv6Octets(ip: string): Buffer {
  const [left = '', right] = ip.split('::');
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail] = [groups(left), groups(right ?? '')];
  const zeros = new Array<number>(8 - head.length - tail.length).fill(0);
  return Buffer.concat([...head, ...zeros, ...tail].map(uint16));
}

function uint16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value);
  return octets;
}
