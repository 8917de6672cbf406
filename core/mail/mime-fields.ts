/** Values of MIME fields as they are written: type, parameters, disposition, languages. RFC 2045 section 5.1, RFC 2183, RFC 3282. */
import { mimeStructureLimits } from '../base/limits/message.ts';

/** Names and values as octets in Latin-1, quotes and escapes taken off; RFC 2231 forms stay as they are. */
export interface FieldValue {
  readonly value: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

export interface ContentType {
  /** Upper case. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: FieldValue['parameters'];
}

/** Undefined for what is no `type/subtype`. Linear time. */
export function readContentType(text: string): ContentType | undefined {
  const words = new Words(text);
  const type = words.token();
  if (type === '' || !words.skip('/')) return undefined;
  const subtype = words.token();
  if (subtype === '') return undefined;
  return { type: type.toUpperCase(), subtype: subtype.toUpperCase(), parameters: words.parameters() };
}

/** Undefined for what has no disposition type. */
export function readDisposition(text: string): FieldValue | undefined {
  const words = new Words(text);
  const value = words.token();
  return value === '' ? undefined : { value, parameters: words.parameters() };
}

export function readLanguages(text: string): string[] {
  const words = new Words(text);
  const languages: string[] = [];
  while (languages.length < mimeStructureLimits.languagesMax) {
    const language = words.token();
    if (language !== '') languages.push(language);
    if (!words.skip(',')) break;
  }
  return languages;
}

/** The first token of a field, comments passed over. */
export function readToken(text: string): string {
  return new Words(text).token();
}

/** RFC 2045 section 5.1, but for 8-bit octets and `/`-less specials, which mail has in places where tokens are due. */
const token = /[^\0-\x20\x7f()<>@,;:\\"/[\]?=]+/y;
/** A value that should have been quoted: up to where the next parameter begins. */
const loose = /[^;\s"]+/y;
const space = /[ \t\r\n]+/y;

class Words {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  token(): string {
    this.#skipSpace();
    return this.#match(token);
  }

  skip(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  parameters(): (readonly [string, string])[] {
    const found: (readonly [string, string])[] = [];
    while (this.#nextSemicolon() && found.length < mimeStructureLimits.parametersMax) {
      const name = this.token();
      if (name === '' || !this.skip('=')) continue;
      found.push([name, this.#value()]);
    }
    return found;
  }

  /** Goes past the next `;`, over whatever stands before it. */
  #nextSemicolon(): boolean {
    const at = this.#text.indexOf(';', this.#at);
    this.#at = at < 0 ? this.#text.length : at + 1;
    return at >= 0;
  }

  #value(): string {
    this.#skipSpace();
    if (this.#text[this.#at] !== '"') return this.#match(loose);
    let value = '';
    let at = this.#at + 1;
    for (; at < this.#text.length && this.#text[at] !== '"'; at += 1) {
      if (this.#text[at] === '\\' && at + 1 < this.#text.length) at += 1;
      value += this.#text[at];
    }
    this.#at = Math.min(at + 1, this.#text.length);
    return value;
  }

  #skipSpace(): void {
    for (;;) {
      this.#match(space);
      if (this.#text[this.#at] !== '(') return;
      this.#skipComment();
    }
  }

  /** Comments nest; one that does not end takes the rest. */
  #skipComment(): void {
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at];
      if (character === '\\') this.#at += 1;
      else if (character === '(') depth += 1;
      else if (character === ')') {
        depth -= 1;
        if (depth === 0) {
          this.#at += 1;
          return;
        }
      }
    }
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }
}
