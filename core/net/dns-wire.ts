/** DNS messages as octets: one question out, its answer in. RFC 1035 section 4, RFC 6891, RFC 6698. */
import { type DnsAnswers, DnsError } from './dns-question.ts';

/** What can be asked on the wire by ourselves: all that DANE needs. */
export type WireType = 'A' | 'AAAA' | 'CNAME' | 'MX' | 'TLSA';

export interface DnsResponse {
  readonly records: readonly DnsAnswers[WireType][];
  /** The AD bit. */
  readonly secure: boolean;
  /** Cut off: ask again over TCP. */
  readonly truncated: boolean;
  /** The shortest of the answer's records. */
  readonly ttlSeconds?: number;
}

const typeNumbers: Readonly<Record<WireType, number>> = { A: 1, CNAME: 5, MX: 15, AAAA: 28, TLSA: 52 };
/** Fits into one unfragmented packet nearly everywhere (DNS flag day 2020). */
const udpBytes = 1232;
/** Names on the way to an answer; also what bounds pointers within a name. */
const hopsMax = 16;

/** Recursion desired, AD set: tell us whether it is authentic. RFC 6840 section 5.7. */
export function encodeQuery(id: number, type: WireType, name: string): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0120, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const labels = name
    .split('.')
    .flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  const question = Buffer.from([0, 0, typeNumbers[type], 0, 1]);
  // OPT with the DO bit: some resolvers set AD only for who asks so.
  const opt = Buffer.from([0, 0, 41, udpBytes >> 8, udpBytes & 255, 0, 0, 0x80, 0, 0, 0]);
  return Buffer.concat([header, ...labels, question, opt]);
}

/**
 * @throws DnsError for an answer of failure; any other Error for octets that are no answer to that question
 */
export function readResponse(octets: Buffer, id: number, type: WireType, name: string): DnsResponse {
  const reader = new Reader(octets);
  if (octets.length < 12 || octets.readUInt16BE(0) !== id || (octets[2]! & 0x80) === 0)
    throw new Error('no answer');
  reader.at = 12;
  const asked = reader.name();
  if (asked !== name || reader.uint16() !== typeNumbers[type]) throw new Error('an answer to something else');
  reader.at += 2;
  const code = octets[3]! & 15;
  if (code === 5) throw new DnsError('refused', type, name);
  if (code !== 0 && code !== 3) throw new DnsError('servfail', type, name);
  const flags = { secure: (octets[3]! & 0x20) !== 0, truncated: (octets[2]! & 0x02) !== 0 };
  if (flags.truncated) return { ...flags, records: [] };
  return { ...flags, ...answersOf(reader, octets.readUInt16BE(6), type, name) };
}

function answersOf(
  reader: Reader,
  count: number,
  type: WireType,
  name: string,
): Pick<DnsResponse, 'records' | 'ttlSeconds'> {
  const records: DnsAnswers[WireType][] = [];
  let ttlSeconds: number | undefined;
  let owner = name;
  for (let index = 0; index < count; index++) {
    const of = reader.name();
    const number = reader.uint16();
    reader.at += 2;
    const ttl = reader.uint32();
    const length = reader.uint16();
    const end = reader.at + length;
    if (of === owner && number === typeNumbers.CNAME && type !== 'CNAME') owner = reader.name();
    else if (of === owner && number === typeNumbers[type]) records.push(dataOf(reader, type, end));
    else {
      reader.at = end;
      continue;
    }
    ttlSeconds = Math.min(ttlSeconds ?? ttl, ttl);
    reader.at = end;
  }
  return { records, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) };
}

function dataOf(reader: Reader, type: WireType, end: number): DnsAnswers[WireType] {
  switch (type) {
    case 'A':
      return [...reader.octets(4)].join('.');
    case 'AAAA': {
      const groups = Array.from({ length: 8 }, () => reader.uint16().toString(16));
      return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
    }
    case 'CNAME':
      return reader.name();
    case 'MX': {
      const preference = reader.uint16();
      return { preference, exchange: reader.name() };
    }
    case 'TLSA': {
      const [usage = 0, selector = 0, matchingType = 0] = reader.octets(3);
      return { usage, selector, matchingType, data: Uint8Array.from(reader.octets(end - reader.at)) };
    }
  }
}

class Reader {
  readonly #octets: Buffer;
  at = 0;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  uint16(): number {
    this.at += 2;
    return this.#octets.readUInt16BE(this.at - 2);
  }

  uint32(): number {
    this.at += 4;
    return this.#octets.readUInt32BE(this.at - 4);
  }

  octets(length: number): Buffer {
    const end = this.at + length;
    if (length < 0 || end > this.#octets.length) throw new RangeError('the message is cut off');
    const octets = this.#octets.subarray(this.at, end);
    this.at = end;
    return octets;
  }

  /** Lower case, without the dot at the end; '' is the root. RFC 1035 section 4.1.4: pointers lead back. */
  name(): string {
    const labels: string[] = [];
    let at = this.at;
    let after: number | undefined;
    for (let hops = 0; hops < 128 + hopsMax; hops++) {
      const length = this.#octets[at];
      if (length === undefined) throw new RangeError('the message is cut off');
      if (length === 0) {
        this.at = after ?? at + 1;
        return labels.join('.').toLowerCase();
      }
      if (length >= 0xc0) {
        after ??= at + 2;
        at = this.#octets.readUInt16BE(at) & 0x3fff;
        continue;
      }
      labels.push(this.#octets.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    throw new RangeError('a name without end');
  }
}
