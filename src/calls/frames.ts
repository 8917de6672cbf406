/** Values on a stream between two processes of one server: a length of four octets, then a structured clone of node:v8. */
import { deserialize, serialize } from 'node:v8';
import { callLimits } from '../../core/base/limits/process.ts';

export function encodeFrame(value: unknown): Buffer {
  const body = serialize(value);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** Takes chunks, answers the values that are whole. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  /** @throws RangeError for a frame that is too long: the other side is none of ours */
  take(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const values: unknown[] = [];
    for (let need = this.#need(); this.#length >= need; need = this.#need()) {
      const all = this.#joined();
      values.push(deserialize(all.subarray(4, need)));
      this.#chunks = [all.subarray(need)];
      this.#length -= need;
    }
    return values;
  }

  /** Octets of the next frame with its head. */
  #need(): number {
    if (this.#length < 4) return 4 + callLimits.frameBytesMax;
    const length = (this.#chunks[0]!.length >= 4 ? this.#chunks[0]! : this.#joined()).readUInt32BE(0);
    if (length > callLimits.frameBytesMax) throw new RangeError(`a frame of ${length} octets`);
    return 4 + length;
  }

  #joined(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
