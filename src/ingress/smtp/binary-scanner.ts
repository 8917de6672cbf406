/** Looks for what keeps a BINARYMIME message (RFC 3030) out of a store of lines: bare CR, bare LF, NUL. */

const CR = 13;
const LF = 10;

export class BinaryScanner {
  #afterCr = false;
  #found = false;

  /** Takes the next octets of the message. */
  feed(chunk: Uint8Array): void {
    if (this.#found) return;
    let afterCr = this.#afterCr;
    for (const octet of chunk) {
      if ((octet === LF) !== afterCr || octet === 0) {
        this.#found = true;
        return;
      }
      afterCr = octet === CR;
    }
    this.#afterCr = afterCr;
  }

  /** True when the octets so far, taken as a whole message, are not lines of text. */
  get binary(): boolean {
    return this.#found || this.#afterCr;
  }
}
