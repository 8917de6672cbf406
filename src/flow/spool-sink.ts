/** One message on its way in: begins in shared memory, moves to a file when it outgrows it. */
import { unlink } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { MessageSink, SpooledMessage } from './session.ts';
import type { Slot, Slots } from './slots.ts';
import { SpoolFile } from './spool-file.ts';

export class SpoolSink implements MessageSink {
  readonly #slots: Slots;
  readonly #nextPath: () => string;
  readonly #pendingBytesMax: number;
  #slot: Slot | undefined;
  #file: SpoolFile | undefined;
  #length = 0;
  #ended = false;

  constructor(slots: Slots, nextPath: () => string, pendingBytesMax: number) {
    this.#slots = slots;
    this.#nextPath = nextPath;
    this.#pendingBytesMax = pendingBytesMax;
  }

  get length(): number {
    return this.#length;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#ended) throw new Error('write after the end of the message');
    const wanted = this.#length + chunk.length;
    if (!this.#file && !this.#fits(wanted)) this.#moveToFile();
    if (!this.#file) {
      this.#slot!.bytes.set(chunk, this.#length);
      this.#length = wanted;
      return undefined;
    }
    this.#length = wanted;
    return this.#file.write(chunk);
  }

  async finish(): Promise<SpooledMessage> {
    if (this.#ended) throw new Error('the message has ended already');
    this.#ended = true;
    if (this.#file) return this.#finishFile(this.#file);
    const slot = this.#slot ?? this.#slots.take(0);
    if (!slot) {
      this.#moveToFile();
      return this.#finishFile(this.#file!);
    }
    const bytes = slot.bytes.subarray(0, this.#length);
    return {
      source: { kind: 'memory', buffer: slot.buffer, offset: 0, length: this.#length },
      crc32: crc32(bytes),
      release: once(() => this.#slots.give(slot)),
    };
  }

  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#dropSlot();
    this.#file?.abort();
  }

  /** True once the slot holds that many octets; grows it by one class at a time. */
  #fits(octets: number): boolean {
    if (this.#slot && octets <= this.#slot.bytes.length) return true;
    const larger = this.#slots.take(octets);
    if (!larger) return false;
    if (this.#slot) larger.bytes.set(this.#slot.bytes.subarray(0, this.#length));
    this.#dropSlot();
    this.#slot = larger;
    return true;
  }

  #moveToFile(): void {
    this.#file = new SpoolFile(this.#nextPath(), this.#pendingBytesMax);
    if (!this.#slot) return;
    // The slot is used again at once, so the file gets a copy; the write that follows tells when to wait.
    void this.#file.write(this.#slot.bytes.slice(0, this.#length));
    this.#dropSlot();
  }

  #dropSlot(): void {
    if (this.#slot) this.#slots.give(this.#slot);
    this.#slot = undefined;
  }

  async #finishFile(file: SpoolFile): Promise<SpooledMessage> {
    const { crc32: checksum, sha256 } = await file.finish();
    return {
      source: { kind: 'file', path: file.path, length: this.#length },
      crc32: checksum,
      sha256,
      // Acceptance links what it keeps, so this name can always go.
      release: once(() => unlink(file.path, () => undefined)),
    };
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
