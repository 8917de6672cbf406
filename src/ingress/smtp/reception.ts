/** One message on its way in: decodes what DATA or BDAT brings, keeps to the limits, writes into the flow's sink. */
import { excessDataBytesMax } from '../../../core/base/limits/doors.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import type { MessageSink, SpooledMessage } from '../../flow/session.ts';
import { BinaryScanner } from './binary-scanner.ts';
import { DataDecoder } from './data-decoder.ts';
import { replies, spoolFailure } from './replies.ts';
import type { DoorSettings } from './settings.ts';

export type Framing = 'data' | 'bdat' | 'bdat-binary';

export class Reception {
  /** Why the message will be refused; the rest of it is read and dropped. */
  failure: Reply | undefined;
  /** Octets of the current BDAT chunk that are still to come. */
  chunkLeft = 0;
  readonly #sink: MessageSink;
  readonly #decoder: DataDecoder | undefined;
  readonly #scanner: BinaryScanner | undefined;
  readonly #bytesMax: number;
  readonly #refuseBareNewlines: boolean;
  /** In the door's coarse time. */
  readonly startedMs: number;
  #octets = 0;
  #excess = 0;
  #over = false;

  constructor(sink: MessageSink, framing: Framing, door: DoorSettings) {
    this.#sink = sink;
    this.startedMs = door.coarseMs;
    this.#bytesMax = door.limits.messageBytesMax;
    this.#refuseBareNewlines = door.bareNewlines === 'refuse';
    if (framing === 'bdat-binary') this.#scanner = new BinaryScanner();
    else this.#decoder = new DataDecoder(framing === 'data' ? 'dot' : 'counted');
  }

  /** True when the client went on far beyond what could ever be accepted. */
  get flooded(): boolean {
    return this.#excess > excessDataBytesMax;
  }

  /** Bare CR and LF that were made harmless. */
  get bareNewlines(): number {
    return this.#decoder?.bareNewlines ?? 0;
  }

  get octets(): number {
    return this.#octets;
  }

  /** Octets after DATA. `end` as in Decoded; a promise asks to wait before the next call. */
  takeData(chunk: Buffer, start: number): { end: number; wait: Promise<void> | undefined } {
    const { data, end } = this.#decoder!.decode(chunk, start);
    return { end, wait: this.#write(data) };
  }

  /** Octets of a BDAT chunk, `chunkLeft` at most. `end` is -1 while more are to come. */
  takeChunk(chunk: Buffer, start: number): { end: number; wait: Promise<void> | undefined } {
    const stop = Math.min(chunk.length, start + this.chunkLeft);
    this.chunkLeft -= stop - start;
    const end = this.chunkLeft === 0 ? stop : -1;
    if (this.#decoder !== undefined) {
      return { end, wait: this.#write(this.#decoder.decode(chunk, start, stop).data) };
    }
    const octets = chunk.subarray(start, stop);
    this.#scanner!.feed(octets);
    return { end, wait: this.#write(octets) };
  }

  /** The end of the message. Exactly one of finish and abort is called, and aborts of the sink are done here. */
  async finish(): Promise<{ spooled: SpooledMessage } | { refused: Reply }> {
    await this.#write(this.#decoder?.finish() ?? Buffer.alloc(0));
    if (this.#refuseBareNewlines && this.bareNewlines > 0) this.fail(replies.bareNewlines);
    if (this.failure !== undefined) {
      this.abort();
      return { refused: this.failure };
    }
    this.#over = true;
    try {
      const spooled = await this.#sink.finish();
      return { spooled: this.#scanner?.binary ? markBinary(spooled) : spooled };
    } catch (error) {
      return { refused: spoolFailure(error) };
    }
  }

  /** Drops what was written; the sink hears of it once. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.abort();
  }

  /** The first failure is the answer. */
  fail(reply: Reply): void {
    this.failure ??= reply;
    this.abort();
  }

  #write(data: Buffer): Promise<void> | undefined {
    if (data.length === 0) return undefined;
    this.#octets += data.length;
    if (this.#octets > this.#bytesMax) this.fail(replies.tooBig);
    if (this.failure !== undefined) {
      this.#excess += data.length;
      return undefined;
    }
    try {
      return this.#sink.write(data)?.catch(this.#spoolFailed);
    } catch (error) {
      this.#spoolFailed(error);
      return undefined;
    }
  }

  readonly #spoolFailed = (error: unknown): void => this.fail(spoolFailure(error));
}

/** The same message, with the fact that a store of lines cannot hold it. */
function markBinary(spooled: SpooledMessage): SpooledMessage {
  return { ...spooled, binary: true, release: () => spooled.release() };
}
