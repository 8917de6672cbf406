/** Octets with LF line ends cut into lines, in a stream. */

export class LineSplitter {
  #held: Buffer[] = [];

  /** Octets of a line whose end has not come yet. */
  get heldBytes(): number {
    return this.#held.reduce((sum, { length }) => sum + length, 0);
  }

  /** Lines without their ends; what is left of the last one waits. */
  split(chunk: Uint8Array): Buffer[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      const line = bytes.subarray(from, end);
      lines.push(this.#held.length === 0 ? line : Buffer.concat([...this.#held, line]));
      this.#held = [];
      from = end + 1;
    }
    // A copy: the chunk may be used again by whoever made it.
    if (from < bytes.length) this.#held.push(Buffer.from(bytes.subarray(from)));
    return lines;
  }

  /** A last line that has no end. */
  end(): Buffer[] {
    const line = Buffer.concat(this.#held);
    this.#held = [];
    return line.length === 0 ? [] : [line];
  }
}
