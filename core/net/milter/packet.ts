/** Packets of the milter protocol: four octets of length, one of command, then its data. */
import { milterLimits } from '../../base/limits/doors.ts';
import { MilterWireError } from './wire-error.ts';

export interface Packet {
  /** The command or reply octet as a character. */
  readonly letter: string;
  /** A view on what was received; copy what must outlive the next read. */
  readonly data: Buffer;
}

/** Cuts a stream of octets into packets; holds at most one packet that is not whole. */
export class PacketReader {
  readonly #bytesMax: number;
  #rest: Buffer = Buffer.alloc(0);
  /** Chunks of a packet that is not whole, not yet joined. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #wanted = 0;

  /** @param bytesMax octets of one packet, its letter included */
  constructor(bytesMax: number = milterLimits.packetBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** True when the last octets were the end of a packet. */
  get empty(): boolean {
    return this.#rest.length === 0 && this.#pendingBytes === 0;
  }

  /**
   * The packets that are whole with this chunk, which is not copied.
   * @throws MilterWireError for a length of 0 or beyond the limit
   */
  push(chunk: Buffer): Packet[] {
    if (this.#pendingBytes > 0) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      if (this.#pendingBytes < this.#wanted) return [];
      this.#rest = Buffer.concat(this.#pending, this.#pendingBytes);
      this.#pending = [];
      this.#pendingBytes = 0;
    } else this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    return this.#cut();
  }

  #cut(): Packet[] {
    const packets: Packet[] = [];
    const bytes = this.#rest;
    let at = 0;
    let length = 0;
    while (bytes.length - at >= 4) {
      length = bytes.readUInt32BE(at);
      if (length === 0) throw new MilterWireError('a packet without a command');
      if (length > this.#bytesMax) throw new MilterWireError(`a packet of ${length} octets`);
      if (bytes.length - at - 4 < length) break;
      const letter = String.fromCharCode(bytes[at + 4]!);
      packets.push({ letter, data: bytes.subarray(at + 5, at + 4 + length) });
      at += 4 + length;
    }
    const rest = bytes.subarray(at);
    if (rest.length < 4) this.#rest = rest;
    else {
      // A large packet in many chunks is joined once, when it is whole.
      this.#pending = [rest];
      this.#pendingBytes = rest.length;
      this.#wanted = 4 + length;
      this.#rest = Buffer.alloc(0);
    }
    return packets;
  }
}

export type Part = string | Uint8Array;

/** One packet. Strings are written as UTF-8; parts that end with NUL say so themselves. */
export function encodePacket(letter: string, ...parts: readonly Part[]): Buffer {
  let length = 1;
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const packet = Buffer.allocUnsafe(4 + length);
  packet.writeUInt32BE(length, 0);
  packet[4] = letter.charCodeAt(0);
  let at = 5;
  for (const part of parts) {
    if (typeof part === 'string') at += packet.write(part, at, 'utf8');
    else {
      packet.set(part, at);
      at += part.length;
    }
  }
  return packet;
}
