/** The text of an mbox: From_ lines, quoting of body lines that look like them, status fields. RFC 4155; mboxrd quoting. */

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * `From sender date` with the date as asctime(3) writes it, in UTC (RFC 4155).
 * @param sender reverse-path; the null path is written as mbox writers do, MAILER-DAEMON
 * @param at epoch milliseconds
 */
export function fromLine(sender: string, at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = String(date.getUTCDate()).padStart(2);
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const text = `${days[date.getUTCDay()]} ${months[date.getUTCMonth()]} ${day} ${time} ${date.getUTCFullYear()}`;
  // Readers take the sender for one word.
  const word = sender === '' ? 'MAILER-DAEMON' : sender.replace(/[\0-\x20\x7f]+/g, '_');
  return `From ${word} ${text}\n`;
}

/** What must follow the last octets of an mbox before a From_ line can: its end of line and an empty line. */
export function endOfMessage(lastTwoOctets: Uint8Array): string {
  if (lastTwoOctets.length === 0) return '';
  if (lastTwoOctets.at(-1) !== LF) return '\n\n';
  return lastTwoOctets.length === 2 && lastTwoOctets[0] === LF ? '' : '\n';
}

/** Flags as mail readers keep them in an mbox: Status, X-Status and X-Keywords, LF line ends. */
export function mboxFlagFields(flags: readonly string[]): string {
  const lower = new Set(flags.map((flag) => flag.toLowerCase()));
  const keywords = flags.filter((flag) => /^[^\\\s\0-\x1f\x7f]+$/.test(flag));
  const xStatus = [...xStatusLetters].map(([flag, letter]) => (lower.has(flag) ? letter : '')).join('');
  return (
    (lower.has('\\seen') ? 'Status: RO\n' : '') +
    (xStatus === '' ? '' : `X-Status: ${xStatus}\n`) +
    (keywords.length === 0 ? '' : `X-Keywords: ${keywords.join(' ')}\n`)
  );
}

const xStatusLetters = new Map([
  ['\\answered', 'A'],
  ['\\flagged', 'F'],
  ['\\draft', 'T'],
  ['\\deleted', 'D'],
]);

const LF = 10;
const GREATER = 62;
const from = Buffer.from('From ');
const greater = Buffer.from('>');

/**
 * Puts one more `>` before every line that is `From ` after any number of `>`. The added sign goes right before the
 * word, which gives the same octets as at the start of the line and needs no memory for a line of many signs.
 */
export class MboxQuoter {
  /** Nothing but `>` since the last line end. */
  #atStart = true;
  /** Beginning of a `From ` that the last chunk ended in. */
  #held = 0;
  #last = LF;

  quote(bytes: Uint8Array): Uint8Array[] {
    const chunk = this.#withHeld(bytes);
    const parts: Uint8Array[] = [];
    let written = 0;
    for (let at = this.#nextWord(chunk, 0); at >= 0; at = this.#nextWord(chunk, at + 1)) {
      if (!this.#startsLine(chunk, at)) continue;
      parts.push(chunk.subarray(written, at), greater);
      written = at;
    }
    const end = this.#holdBack(chunk, written);
    if (end > written) parts.push(chunk.subarray(written, end));
    return parts.filter((part) => part.length > 0);
  }

  /** What was held back, the last line's end where the message has none, and the empty line. */
  end(): Uint8Array[] {
    const held = from.subarray(0, this.#held);
    const last = held.at(-1) ?? this.#last;
    return [held, Buffer.from(last === LF ? '\n' : '\n\n')];
  }

  #withHeld(bytes: Uint8Array): Buffer {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#held === 0) return view;
    const joined = Buffer.concat([from.subarray(0, this.#held), view]);
    this.#held = 0;
    return joined;
  }

  #nextWord(chunk: Buffer, start: number): number {
    return chunk.indexOf(from, start);
  }

  #startsLine(chunk: Buffer, at: number): boolean {
    let before = at - 1;
    while (before >= 0 && chunk[before] === GREATER) before -= 1;
    return before >= 0 ? chunk[before] === LF : this.#atStart;
  }

  /** Offset up to which the chunk is complete; sets what the next chunk must know. */
  #holdBack(chunk: Buffer, from_: number): number {
    let end = chunk.length;
    for (let length = Math.min(from.length - 1, chunk.length); length > 0; length -= 1) {
      const start = chunk.length - length;
      if (start < from_ || !chunk.subarray(start).equals(from.subarray(0, length))) continue;
      if (!this.#startsLine(chunk, start)) continue;
      this.#held = length;
      end = start;
      break;
    }
    if (end > 0) {
      this.#atStart = this.#startsLine(chunk, end);
      this.#last = chunk[end - 1]!;
    }
    return end;
  }
}
