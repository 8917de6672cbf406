/** Message octets out of what follows DATA or BDAT: dots unstuffed, bare CR and LF made harmless. RFC 5321 section 4.5.2. */

const CR = 13;
const LF = 10;
const DOT = 46;
const SPACE = 32;

/** What the last octets were, where that decides about the next one. */
type Place =
  | 'inside'
  /** A CR is held back: alone it is bare, with LF it ends the line. */
  | 'afterCr'
  /** After CRLF, or at the very start: the only place where a dot means something. */
  | 'lineStart'
  /** A dot at the start of a line was dropped, being either stuffed or the end. */
  | 'afterDot'
  /** Dot and CR: with LF this is the end of the data. */
  | 'afterDotCr';

export interface Decoded {
  /** Message octets, valid as long as the chunk is. May be empty. */
  readonly data: Buffer;
  /** Where the octets behind the end of the data start, or -1 when the data goes on. */
  readonly end: number;
}

/**
 * Only CRLF.CRLF ends the data. A bare LF becomes CRLF and a bare CR a space, and neither makes the next octet the first
 * of a line, so that no two servers can disagree on where a message ends ("SMTP smuggling").
 */
export class DataDecoder {
  /** Bare CR and LF seen so far. */
  bareNewlines = 0;
  readonly #dots: boolean;
  #place: Place;

  /** @param framing `dot` for DATA; `counted` for BDAT, where dots mean nothing and the caller counts octets. */
  constructor(framing: 'dot' | 'counted') {
    this.#dots = framing === 'dot';
    this.#place = this.#dots ? 'lineStart' : 'inside';
  }

  /** Decodes chunk[start, stop). Work and memory are linear in the length: at most twice as many octets come out. */
  decode(chunk: Buffer, start = 0, stop = chunk.length): Decoded {
    const pieces = new Pieces(chunk, start, stop);
    let at = start;
    while (at < stop) {
      if (this.#place === 'inside') {
        at = this.#scanInside(chunk, at, stop, pieces);
        continue;
      }
      const octet = chunk[at]!;
      if (octet === LF && this.#place === 'afterDotCr') {
        this.#place = 'lineStart';
        return { data: pieces.finish(at), end: at + 1 };
      }
      at = this.#step(octet, at, pieces);
    }
    return { data: pieces.finish(stop), end: -1 };
  }

  /** What was held back when a counted message ended: a CR that nothing can follow. */
  finish(): Buffer {
    if (this.#place !== 'afterCr') return Buffer.alloc(0);
    this.#place = 'inside';
    this.bareNewlines += 1;
    return Buffer.from(' ');
  }

  /** The fast path: runs to the next octet that changes the place; CRLF pairs with no dot behind them are passed over. */
  #scanInside(chunk: Buffer, from: number, stop: number, pieces: Pieces): number {
    const dots = this.#dots;
    let at = from;
    for (;;) {
      at = nextNewline(chunk, at, stop);
      if (at >= stop) return stop;
      if (chunk[at] === LF) {
        this.bareNewlines += 1;
        pieces.replace(at, at + 1, crlf);
        at += 1;
      } else if (at + 1 < stop && chunk[at + 1] === LF) {
        at += 2;
        if (dots && (at === stop || chunk[at] === DOT)) {
          this.#place = 'lineStart';
          return at;
        }
      } else {
        this.#place = 'afterCr';
        pieces.drop(at, at + 1);
        return at + 1;
      }
    }
  }

  /** One octet at a place other than `inside`. Returns the position of the next one. */
  #step(octet: number, at: number, pieces: Pieces): number {
    switch (this.#place) {
      case 'afterCr':
      case 'afterDotCr':
        if (octet === LF) {
          pieces.replace(at, at + 1, crlf);
          this.#place = this.#dots ? 'lineStart' : 'inside';
          return at + 1;
        }
        this.bareNewlines += 1;
        pieces.replace(at, at, space);
        this.#place = 'inside';
        return at;
      case 'lineStart':
        if (octet === DOT) {
          pieces.drop(at, at + 1);
          this.#place = 'afterDot';
          return at + 1;
        }
        this.#place = 'inside';
        return at;
      case 'afterDot':
        if (octet === CR) {
          pieces.drop(at, at + 1);
          this.#place = 'afterDotCr';
          return at + 1;
        }
        this.#place = 'inside';
        return at;
      default:
        return at;
    }
  }
}

/** The next CR or LF in chunk[from, stop), or `stop`. This loop sees every octet: four at a time cost half. */
function nextNewline(chunk: Buffer, from: number, stop: number): number {
  let at = from;
  for (;;) {
    while (
      at + 4 <= stop &&
      chunk[at]! > CR &&
      chunk[at + 1]! > CR &&
      chunk[at + 2]! > CR &&
      chunk[at + 3]! > CR
    ) {
      at += 4;
    }
    if (at >= stop) return stop;
    if (chunk[at] === CR || chunk[at] === LF) return at;
    at += 1;
  }
}

const crlf = [CR, LF] as const;
const space = [SPACE] as const;

/** Collects what of a chunk goes on: one view of it while that is a single run, else one copy. */
class Pieces {
  readonly #chunk: Buffer;
  readonly #size: number;
  /** Made when a second run, or an octet that is not in the chunk, comes up. */
  #copy: Buffer | undefined;
  #length = 0;
  /** The first run, as long as there is no copy. */
  #headStart: number;
  #headEnd: number;
  /** Start of the run that is still growing. */
  #from: number;

  constructor(chunk: Buffer, start: number, stop: number) {
    this.#chunk = chunk;
    this.#size = stop - start;
    this.#headStart = start;
    this.#headEnd = start;
    this.#from = start;
  }

  drop(from: number, to: number): void {
    this.#keep(this.#from, from);
    this.#from = to;
  }

  replace(from: number, to: number, octets: readonly number[]): void {
    this.#keep(this.#from, from);
    const copy = this.#copied();
    for (const octet of octets) copy[this.#length++] = octet;
    this.#from = to;
  }

  finish(stop: number): Buffer {
    this.#keep(this.#from, stop);
    if (this.#copy === undefined) return this.#chunk.subarray(this.#headStart, this.#headEnd);
    return this.#copy.subarray(0, this.#length);
  }

  #keep(from: number, to: number): void {
    if (from >= to) return;
    if (this.#copy === undefined && this.#headStart === this.#headEnd) {
      this.#headStart = from;
      this.#headEnd = to;
      return;
    }
    const copy = this.#copied();
    this.#length += this.#chunk.copy(copy, this.#length, from, to);
  }

  #copied(): Buffer {
    if (this.#copy === undefined) {
      // Each octet gives at most two, and one more may have been held back before this chunk.
      this.#copy = Buffer.allocUnsafe(2 * this.#size + 2);
      this.#length = this.#chunk.copy(this.#copy, 0, this.#headStart, this.#headEnd);
    }
    return this.#copy;
  }
}
