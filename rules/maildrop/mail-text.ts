/**
 * A mail as maildrop's patterns see it: each field on one line, words decoded and addresses written plainly; then the
 * lines of its texts, decoded. In UTF-8. maildropfilter(7), "Patterns" and "MIME encoding"; `reformime -u` shows it.
 */
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

  constructor(octets: Uint8Array) {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  /** One after the other, without line ends. */
  *lines(areas: TextAreas): Generator<string> {
    this.#structure ??= readMimeStructure(this.#octets);
    const block = partHeader(this.#octets, this.#structure);
    const isMime = /^mime-version$/im.test(namesOf(block).join('\n'));
    yield* this.#partLines(this.#structure, areas, true, isMime);
  }

  *#partLines(part: MimePart, areas: TextAreas, isTop: boolean, isMime: boolean): Generator<string> {
    if (areas.header && (isTop || areas.partHeaders)) yield* this.#headerLines(part);
    const inner = part.parts ?? (part.message === undefined ? [] : [part.message]);
    if (isMime && inner.length > 0) {
      for (const each of inner) yield* this.#partLines(each, areas, false, isMime);
    } else if (areas.body && (!isMime || part.type === 'TEXT' || part.type === 'MESSAGE')) {
      yield* this.#bodyLines(part, isMime);
    }
  }

  *#headerLines(part: MimePart): Generator<string> {
    const block = partHeader(this.#octets, part);
    for (const index of block.starts.keys()) {
      const field = block.bytes.toString('latin1', block.starts[index], block.end(index));
      const colon = field.indexOf(':');
      if (colon < 0) continue;
      const name = field.slice(0, colon).replace(/[ \t]+$/, '');
      const value = field
        .slice(colon + 1)
        .replace(/^[ \t\r\n]+/, '')
        .replace(/[ \t\r\n]+$/, '')
        .replace(/\r?\n/g, ' ');
      const text = decoded(Buffer.from(value, 'latin1'));
      yield `${name}: ${addressFields.test(name) ? displayAddresses(text) : decodeWords(text)}`;
    }
  }

  *#bodyLines(part: MimePart, isMime: boolean): Generator<string> {
    const octets = this.#octets.subarray(part.bodyStart, part.end);
    const plain = isMime ? (decodeTransfer(octets, part.encoding) ?? octets) : octets;
    const charset = part.parameters.find(([name]) => name.toLowerCase() === 'charset')?.[1];
    const text = decoded(plain, isMime ? charset : undefined);
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\n', at);
      yield text.slice(at, end < 0 ? undefined : end);
      if (end < 0) return;
      at = end + 1;
    }
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
