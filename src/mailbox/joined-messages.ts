/** Messages behind one another in one piece of memory, CRLF line ends, as they go from thread to thread. */
import { KiB } from '../../core/base/limits/units.ts';
import { writeCrlf } from './crlf.ts';

export interface ReadMessages {
  readonly octets: Uint8Array<ArrayBuffer>;
  /** Where each one ends; -1 for one that is gone. */
  readonly ends: readonly number[];
}

export class JoinedMessages {
  #octets: Buffer<ArrayBuffer> | undefined;
  #used = 0;
  readonly #ends: number[] = [];
  readonly #octetsMax: number;

  /** @param octetsMax past which no more are taken, but for one that is larger than all of it */
  constructor(count: number, octetsMax: number) {
    this.#octetsMax = Math.min(octetsMax, count * messageRoom);
  }

  /** @param message as stored; undefined for one that is gone @returns false when there was no room for it */
  add(message: Uint8Array | undefined): boolean {
    if (!message) {
      this.#ends.push(-1);
      return true;
    }
    // Each octet may be a line end.
    const needed = 2 * message.length;
    this.#octets ??= Buffer.allocUnsafeSlow(Math.max(this.#octetsMax, needed));
    if (this.#used + needed > this.#octets.length) return false;
    this.#used = writeCrlf(message, this.#octets, this.#used);
    this.#ends.push(this.#used);
    return true;
  }

  get read(): ReadMessages {
    return { octets: this.#octets ?? Buffer.allocUnsafeSlow(0), ends: this.#ends };
  }
}

/** For most messages, where few are asked for. */
const messageRoom = 64 * KiB;
