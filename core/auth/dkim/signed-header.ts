/** The header as signatures see it: fields picked from the bottom up and brought into canonical form. RFC 6376 sections 3.4 and 5.4.2. */
import type { HeaderField } from '../../mail/message.ts';

export type Canonicalization = 'simple' | 'relaxed';

/** One field of a message. Text is Latin-1: a character for each octet. */
export interface SignedField {
  /** In lower case. */
  readonly name: string;
  /** Unfolded; for parsing. */
  readonly value: string;
  /** As in the message, without the line end. */
  readonly text: string;
}

export class SignedHeader {
  readonly #fields = new Map<string, SignedField[]>();
  readonly #relaxed = new Map<SignedField, string>();

  constructor(fields: Iterable<HeaderField>) {
    for (const { name, value, raw } of fields) {
      const field = { name: name.toLowerCase(), value, text: textOf(raw) };
      const same = this.#fields.get(field.name);
      if (same) same.push(field);
      else this.#fields.set(field.name, [field]);
    }
  }

  /** From the top down. */
  all(lowerName: string): readonly SignedField[] {
    return this.#fields.get(lowerName) ?? [];
  }

  /** True when none of those names has a field. */
  hasNone(...lowerNames: readonly string[]): boolean {
    return lowerNames.every((name) => !this.#fields.has(name));
  }

  /** The canonical fields that `names` picks: each name the next one from the bottom, none where no more are left. */
  pick(names: readonly string[], canonicalization: Canonicalization): string {
    const taken = new Map<string, number>();
    let picked = '';
    for (const each of names) {
      const name = each.toLowerCase();
      const count = (taken.get(name) ?? 0) + 1;
      taken.set(name, count);
      const field = this.all(name).at(-count);
      if (field !== undefined) picked += `${this.canonical(field, canonicalization)}\r\n`;
    }
    return picked;
  }

  /** One field, without the line end. */
  canonical(field: SignedField, canonicalization: Canonicalization): string {
    if (canonicalization === 'simple') return field.text;
    const known = this.#relaxed.get(field);
    if (known !== undefined) return known;
    const text = relaxField(field.text);
    this.#relaxed.set(field, text);
    return text;
  }
}

/** The field in the relaxed form. RFC 6376 section 3.4.2. */
export function relaxField(text: string): string {
  const colon = text.indexOf(':');
  const name = text.slice(0, colon).toLowerCase().trimEnd();
  const unfolded = text.slice(colon + 1).replace(/\r?\n/g, '');
  return `${name}:${trimSpaces(unfolded.replace(/[ \t]+/g, ' '))}`;
}

/** The field with the value of its b= tag removed, white space around the value too. RFC 6376 section 3.7. */
export function withoutSignature(text: string): string {
  const colon = text.indexOf(':') + 1;
  return text.slice(0, colon) + text.slice(colon).replace(/(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1$2');
}

function trimSpaces(text: string): string {
  const start = text.startsWith(' ') ? 1 : 0;
  return text.slice(start, text.endsWith(' ') && text.length > start ? -1 : undefined);
}

function textOf(raw: Uint8Array): string {
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1');
  if (text.endsWith('\r\n')) return text.slice(0, -2);
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
