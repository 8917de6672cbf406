/** Quoted-printable and base64 put on, in a stream. RFC 2045 sections 6.7 and 6.8. */

/** Takes the octets of one body; what comes out is joined as it is. */
export interface TransferEncoder {
  write(octets: Uint8Array): Uint8Array;
  /** What was held back. A last line gets no line end that the body did not have. */
  end(): Uint8Array;
}

export function createTransferEncoder(encoding: 'quoted-printable' | 'base64'): TransferEncoder {
  return encoding === 'base64' ? new Base64Encoder() : new QuotedPrintableEncoder();
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DASH = 45;
const EQUALS = 61;
const hex = Buffer.from('0123456789ABCDEF');

/** RFC 2045 section 6.7 rule 5: 76 characters with the `=` of a soft line break. */
const columnsMax = 75;
/** Of one octet: a soft line break and three characters; of a call besides: a CR and a blank that were held back. */
const octetsPerOctetMax = 6;
const octetsHeldMax = 12;

/** Whether quoted-printable writes an octet as three, line ends aside. */
export function needsQuoting(octet: number): boolean {
  return octet > 126 || octet === EQUALS || (octet < SPACE && octet !== TAB);
}

class QuotedPrintableEncoder implements TransferEncoder {
  #out = Buffer.alloc(0);
  #length = 0;
  #column = 0;
  /** A space or tab that may turn out to end its line; 0 for none. */
  #blank = 0;
  /** A CR that an LF may follow. */
  #heldCr = false;

  write(octets: Uint8Array): Uint8Array {
    this.#begin(octets.length);
    for (const octet of octets) {
      if (this.#heldCr) {
        this.#heldCr = false;
        if (octet === LF) {
          this.#lineEnd();
          continue;
        }
        this.#quoted(CR);
      }
      if (octet === CR) {
        // RFC 2045 section 6.7 rule 3: no white space at the end of a line.
        this.#releaseBlank(true);
        this.#heldCr = true;
        continue;
      }
      this.#releaseBlank(false);
      if (octet === SPACE || octet === TAB) this.#blank = octet;
      else if (needsQuoting(octet)) this.#quoted(octet);
      else this.#literal(octet);
    }
    return this.#out.subarray(0, this.#length);
  }

  end(): Uint8Array {
    this.#begin(0);
    this.#releaseBlank(true);
    if (this.#heldCr) this.#quoted(CR);
    this.#heldCr = false;
    return this.#out.subarray(0, this.#length);
  }

  #begin(octets: number): void {
    this.#out = Buffer.allocUnsafe(octets * octetsPerOctetMax + octetsHeldMax);
    this.#length = 0;
  }

  #releaseBlank(atLineEnd: boolean): void {
    if (this.#blank === 0) return;
    if (atLineEnd) this.#quoted(this.#blank);
    else this.#literal(this.#blank);
    this.#blank = 0;
  }

  #literal(octet: number): void {
    // A line that only a soft break begins must not look like a delimiter of the multipart around.
    if (this.#makeRoom(1) && octet === DASH) this.#quoted(octet);
    else {
      this.#out[this.#length++] = octet;
      this.#column += 1;
    }
  }

  #quoted(octet: number): void {
    this.#makeRoom(3);
    this.#out[this.#length++] = EQUALS;
    this.#out[this.#length++] = hex[octet >> 4]!;
    this.#out[this.#length++] = hex[octet & 15]!;
    this.#column += 3;
  }

  /** True where a soft line break was due. */
  #makeRoom(columns: number): boolean {
    if (this.#column + columns <= columnsMax) return false;
    this.#out[this.#length++] = EQUALS;
    this.#lineEnd();
    return true;
  }

  #lineEnd(): void {
    this.#out[this.#length++] = CR;
    this.#out[this.#length++] = LF;
    this.#column = 0;
  }
}

/** RFC 2045 section 6.8: lines of 76 characters. */
const octetsPerLine = 57;

class Base64Encoder implements TransferEncoder {
  #held = Buffer.alloc(0);
  #begun = false;

  write(octets: Uint8Array): Uint8Array {
    const all = Buffer.concat([this.#held, octets]);
    const whole = all.length - (all.length % octetsPerLine);
    this.#held = all.subarray(whole);
    return this.#lines(all.subarray(0, whole));
  }

  end(): Uint8Array {
    return this.#lines(this.#held);
  }

  #lines(octets: Buffer): Buffer {
    let text = '';
    for (let at = 0; at < octets.length; at += octetsPerLine) {
      if (this.#begun) text += '\r\n';
      this.#begun = true;
      text += octets.toString('base64', at, Math.min(octets.length, at + octetsPerLine));
    }
    return Buffer.from(text, 'latin1');
  }
}
