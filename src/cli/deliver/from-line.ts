/** `From sender date` before the header, as an mbox has it; local(8) and sendmail put it there. Taken off, its sender kept. */
export class FromLine {
  /** Reverse-path; undefined while there is no such line. */
  sender: string | undefined;
  #held: Buffer | undefined = Buffer.alloc(0);

  strip(chunk: Buffer): Buffer {
    if (this.#held === undefined) return chunk;
    const whole = Buffer.concat([this.#held, chunk]);
    const start = whole.subarray(0, opening.length);
    const begins = opening.subarray(0, start.length).equals(start);
    const end = whole.indexOf(10);
    if (begins && end === -1 && whole.length < fromLineBytesMax) {
      this.#held = whole;
      return Buffer.alloc(0);
    }
    this.#held = undefined;
    if (!begins || end === -1) return whole;
    const [sender = ''] = whole.subarray(opening.length, end).toString('utf8').trim().split(/\s+/, 1);
    this.sender = sender.toUpperCase() === 'MAILER-DAEMON' ? '' : sender.replace(/^<(.*)>$/, '$1');
    return whole.subarray(end + 1);
  }

  end(): Buffer {
    const rest = this.#held ?? Buffer.alloc(0);
    this.#held = undefined;
    return rest;
  }
}

const opening = Buffer.from('From ');
/** A reverse-path of 256 octets (RFC 5321 section 4.5.3.1.3), a date, and room. */
const fromLineBytesMax = 4096;
