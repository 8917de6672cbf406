/** The octets of one section of a message: BODY[1.2.HEADER] and BINARY[1]. RFC 9051 section 6.4.5, RFC 3516. */

import type { HeaderBlock } from '../../../core/mail/header.ts';
import { decodeTransfer } from '../../../core/mail/mime-decode.ts';
import { type MimePart, partHeader, readMimeStructure } from '../../../core/mail/mime-structure.ts';
import type { PartialRange, Section } from './parse/fetch-item.ts';
import { no } from './refusal.ts';

/** One message as it is being fetched; its structure is read when a section needs it. */
export class OpenedMessage {
  readonly octets: Buffer;
  #structure: MimePart | undefined;

  /** @param octets the whole message, or its header when no section needs more; CRLF line ends */
  constructor(octets: Buffer) {
    this.octets = octets;
  }

  get structure(): MimePart {
    this.#structure ??= readMimeStructure(this.octets);
    return this.#structure;
  }

  /** Undefined for a part that is not there. */
  section({ path, of, names }: Section): Buffer | undefined {
    if (path.length === 0 && of === 'all') return this.octets;
    const part = path.length === 0 ? this.structure : findPart(this.structure, path);
    if (!part) return undefined;
    if (of === 'all') return this.#cut(part.bodyStart, part.end);
    if (of === 'mime') return this.#cut(part.headerStart, part.bodyStart);
    // RFC 9051: HEADER and TEXT of a part are those of the message that the part is.
    const message = path.length === 0 ? part : part.message;
    if (!message) return undefined;
    if (of === 'header') return this.#cut(message.headerStart, message.bodyStart);
    if (of === 'text') return this.#cut(message.bodyStart, message.end);
    return pickFields(partHeader(this.octets, message), names, of === 'fields');
  }

  /** The section without its Content-Transfer-Encoding. @throws Refusal UNKNOWN-CTE */
  binary({ path }: Section): Buffer | undefined {
    if (path.length === 0) return this.octets;
    const part = findPart(this.structure, path);
    if (!part) return undefined;
    const body = this.#cut(part.bodyStart, part.end);
    if (part.parts || part.message) return body;
    const decoded = decodeTransfer(body, part.encoding);
    if (!decoded) throw no('the encoding of this part is not known', 'UNKNOWN-CTE');
    return decoded;
  }

  #cut(from: number, to: number): Buffer {
    return this.octets.subarray(from, to);
  }
}

export function partOf(octets: Buffer, partial: PartialRange | undefined): Buffer {
  return partial ? octets.subarray(partial.start, partial.start + partial.length) : octets;
}

/** A message that is no multipart has one part, its body. */
function findPart(message: MimePart, path: readonly number[]): MimePart | undefined {
  let inside: MimePart | undefined = message;
  let part: MimePart | undefined;
  for (const number of path) {
    if (!inside) return undefined;
    part = inside.parts ? inside.parts[number - 1] : number === 1 ? inside : undefined;
    inside = part?.parts ? part : part?.message;
  }
  return part;
}

/** The fields in their order, as they are written, and an empty line. */
function pickFields(header: HeaderBlock, names: readonly string[], wanted: boolean): Buffer {
  const lower = new Set(names.map((name) => name.toLowerCase()));
  const kept: Buffer[] = [];
  for (let index = 0; index < header.starts.length; index += 1) {
    const start = header.starts[index]!;
    const nameEnd = header.nameEnds[index]!;
    if (nameEnd < 0) continue;
    const name = header.bytes.toString('latin1', start, nameEnd).toLowerCase();
    if (lower.has(name) === wanted) kept.push(header.bytes.subarray(start, header.end(index)));
  }
  kept.push(emptyLine);
  return Buffer.concat(kept);
}

const emptyLine = Buffer.from('\r\n');
