/**
 * A mail as maildrop's patterns see it: each field on one line, words decoded and addresses written plainly; then the
 * lines of its texts, decoded. In UTF-8. maildropfilter(7), "Patterns" and "MIME encoding"; `reformime -u` shows it.
 */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { trimmed, trimmedEnd } from '../../core/base/trim.ts';
import { decodeWords } from '../../core/mail/encoded-word.ts';
import type { HeaderBlock } from '../../core/mail/header.ts';
import { decodeTransfer } from '../../core/mail/mime-decode.ts';
import { type MimePart, partHeader, readMimeStructure } from '../../core/mail/mime-structure.ts';
import { displayAddresses } from './addresses.ts';

export interface TextAreas {
  readonly header: boolean;
  readonly partHeaders: boolean;
  readonly body: boolean;
}

/** Fields whose addresses are written plainly; all others stay as they are, words decoded. */
const addressFields = /^(?:resent-)?(?:from|to|cc|bcc)$/i;

export class MailText {
  readonly #octets: Buffer;
  #structure: MimePart | undefined;
  #isMime = false;
  /** What a filter's first pattern made of a part serves the others. */
  readonly #headers = new Map<MimePart, readonly string[]>();
  readonly #texts = new Map<MimePart, string>();
  #remembered = 0;

  constructor(octets: Uint8Array) {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  /** One after the other, without line ends. */
  *lines(areas: TextAreas): Generator<string> {
    if (this.#structure === undefined) {
      this.#structure = readMimeStructure(this.#octets);
      const names = namesOf(partHeader(this.#octets, this.#structure));
      this.#isMime = names.some((name) => name.toLowerCase() === 'mime-version');
    }
    yield* this.#partLines(this.#structure, areas, true);
  }

  *#partLines(part: MimePart, areas: TextAreas, isTop: boolean): Generator<string> {
    const isMime = this.#isMime;
    if (areas.header && (isTop || areas.partHeaders))
      yield* this.#remember(this.#headers, part, () => [...this.#headerLines(part)]);
    const inner = part.parts ?? (part.message === undefined ? [] : [part.message]);
    if (isMime && inner.length > 0) {
      for (const each of inner) yield* this.#partLines(each, areas, false);
    } else if (areas.body && (!isMime || part.type === 'TEXT' || part.type === 'MESSAGE')) {
      yield* linesOf(this.#remember(this.#texts, part, () => this.#bodyText(part)));
    }
  }

  #remember<T extends string | readonly string[]>(known: Map<MimePart, T>, part: MimePart, make: () => T): T {
    const before = known.get(part);
    if (before !== undefined) return before;
    const made = make();
    const length = typeof made === 'string' ? made.length : made.reduce((sum, line) => sum + line.length, 0);
    if (this.#remembered + length <= maildropLimits.rememberedCharactersMax) {
      this.#remembered += length;
      known.set(part, made);
    }
    return made;
  }

  *#headerLines(part: MimePart): Generator<string> {
    const block = partHeader(this.#octets, part);
    for (const index of block.starts.keys()) {
      const field = block.bytes.toString('latin1', block.starts[index], block.end(index));
      const colon = field.indexOf(':');
      if (colon < 0) continue;
      const name = trimmedEnd(field.slice(0, colon), ' \t');
      const value = trimmed(field.slice(colon + 1), ' \t\r\n').replace(/\r?\n/g, ' ');
      const text = decoded(Buffer.from(value, 'latin1'));
      yield `${name}: ${addressFields.test(name) ? displayAddresses(text) : decodeWords(text)}`;
    }
  }

  #bodyText(part: MimePart): string {
    const isMime = this.#isMime;
    const octets = this.#octets.subarray(part.bodyStart, part.end);
    const plain = isMime ? (decodeTransfer(octets, part.encoding) ?? octets) : octets;
    const charset = part.parameters.find(([name]) => name.toLowerCase() === 'charset')?.[1];
    return decoded(plain, isMime ? charset : undefined);
  }
}

function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    yield text.slice(at, end < 0 ? undefined : end);
    if (end < 0) return;
    at = end + 1;
  }
}

function namesOf(block: HeaderBlock): string[] {
  return [...block.starts.keys()].map((index) =>
    block.bytes.toString('latin1', block.starts[index], block.end(index)).split(':', 1)[0]!.trim(),
  );
}

/** What is none of the charset's is left out. */
function decoded(octets: Buffer, charset = 'utf-8'): string {
  try {
    return new TextDecoder(charset).decode(octets).replaceAll('\ufffd', '');
  } catch {
    // A charset that nobody knows: as it stands there.
    return octets.toString('utf8');
  }
}
