/** Hash of a message body in canonical form, chunk by chunk in bounded memory. RFC 6376 sections 3.4.3, 3.4.4 and 3.7. */
import { createHash, type Hash } from 'node:crypto';
import type { Canonicalization } from './signed-header.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const crlf = Buffer.from('\r\n');
const manyCrlf = Buffer.from('\r\n'.repeat(4096));

export interface BodyHashInit {
  readonly hash: 'sha256' | 'sha1';
  readonly canonicalization: Canonicalization;
  /** Octets of the canonical body that are hashed (l=); all when absent. */
  readonly length?: number;
}

/**
 * Line ends at the end of a chunk, and white space around them, are held back as counts: whether they belong to the
 * body shows only when something else follows.
 */
export class BodyHash {
  readonly #hash: Hash;
  readonly #relaxed: boolean;
  readonly #length: number;
  /** Line ends that wait, then white space, then a CR. */
  #lineEnds = 0;
  #space = false;
  #cr = false;
  #octets = 0;

  constructor({ hash, canonicalization, length }: BodyHashInit) {
    this.#hash = createHash(hash);
    this.#relaxed = canonicalization === 'relaxed';
    this.#length = length ?? Number.POSITIVE_INFINITY;
  }

  /** Octets of the canonical body so far, whatever the length that is hashed; after `digest` all of them. */
  get octets(): number {
    return this.#octets;
  }

  update(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length && this.#isHeld(chunk[start]!)) this.#hold(chunk[start++]!);
    if (start === chunk.length) return;
    let end = chunk.length;
    while (this.#isHeld(chunk[end - 1]!)) end--;
    this.#release();
    this.#writeLines(chunk.subarray(start, end));
    for (let at = end; at < chunk.length; at++) this.#hold(chunk[at]!);
  }

  /** Base64 of the hash; the body has ended. */
  digest(): string {
    if (this.#cr) {
      this.#release();
      this.#write(crlf);
    } else if (this.#octets > 0 || !this.#relaxed) {
      // The empty body is one line end in the simple form, nothing in the relaxed one.
      this.#write(crlf);
    }
    return this.#hash.digest('base64');
  }

  #isHeld(octet: number): boolean {
    return octet === LF || octet === CR || (this.#relaxed && (octet === SPACE || octet === TAB));
  }

  #hold(octet: number): void {
    if (this.#cr) {
      this.#cr = false;
      if (octet === LF) {
        this.#lineEnds++;
        this.#space = false;
        return;
      }
      // A CR that ends no line is an octet like any other.
      this.#release();
      this.#write(crlf.subarray(0, 1));
    }
    if (octet === CR) this.#cr = true;
    else if (octet === LF) {
      this.#release();
      this.#write(crlf.subarray(1));
    } else this.#space = true;
  }

  /** What was held is part of the body. */
  #release(): void {
    for (let left = this.#lineEnds; left > 0; left -= 4096) {
      this.#write(left >= 4096 ? manyCrlf : manyCrlf.subarray(0, 2 * left));
    }
    this.#lineEnds = 0;
    if (this.#space) this.#write(space);
    this.#space = false;
    if (this.#cr) this.#write(crlf.subarray(0, 1));
    this.#cr = false;
  }

  /** Octets that neither begin nor end with what is held. */
  #writeLines(lines: Buffer): void {
    if (!this.#relaxed || isRelaxed(lines)) {
      this.#write(lines);
      return;
    }
    const text = lines
      .toString('latin1')
      .replace(/[ \t]{2,}|\t/g, ' ')
      .replaceAll(' \r\n', '\r\n');
    this.#write(Buffer.from(text, 'latin1'));
  }

  #write(octets: Buffer): void {
    const left = this.#length - this.#octets;
    this.#octets += octets.length;
    if (left > 0) this.#hash.update(left < octets.length ? octets.subarray(0, left) : octets);
  }
}

const space = Buffer.from(' ');

/** Most lines are in the relaxed form as they come: three searches cost less than one rewriting. */
function isRelaxed(lines: Buffer): boolean {
  return lines.indexOf(TAB) < 0 && lines.indexOf('  ') < 0 && lines.indexOf(' \r\n') < 0;
}
