/** A structured MIME field: its value and its parameters. RFC 2045 section 5.1, RFC 2183, RFC 2231. */

export interface StructuredField {
  /** Lower case, comments and white space gone: `text/plain`, `attachment`. */
  readonly value: string;
  /** By lower-case name; continued and encoded ones put together. */
  readonly parameters: ReadonlyMap<string, string>;
}

const token = /[^\s()<>@,;:\\"/[\]?=]+/y;

/** Reads as much as makes sense; never fails, linear time. */
export function parseStructured(field: string): StructuredField {
  const reader = new Reader(field);
  let value = '';
  while (!reader.done && !reader.is(';')) value += reader.next();
  const pieces: { name: string; value: string }[] = [];
  while (!reader.done) {
    reader.next();
    const name = reader.until(['=', ';']);
    if (!reader.is('=')) continue;
    reader.next();
    pieces.push({ name: name.toLowerCase(), value: reader.until([';']) });
  }
  return { value: value.toLowerCase(), parameters: joinParameters(pieces) };
}

/** Comments and white space are passed over between the pieces. RFC 5322 section 3.2.2. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip();
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  is(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  /** A token, a quoted string without its quotes, or one special character. */
  next(): string {
    const start = this.#at;
    if (this.is('"')) return this.#quoted();
    token.lastIndex = start;
    this.#at = token.test(this.#text) ? token.lastIndex : start + 1;
    const piece = this.#text.slice(start, this.#at);
    this.#skip();
    return piece;
  }

  until(ends: readonly string[]): string {
    let text = '';
    while (!this.done && !ends.some((end) => this.is(end))) text += this.next();
    return text;
  }

  #quoted(): string {
    let text = '';
    for (this.#at++; !this.done && !this.is('"'); this.#at++) {
      if (this.is('\\')) this.#at++;
      text += this.#text[this.#at] ?? '';
    }
    this.#at++;
    this.#skip();
    return text;
  }

  #skip(): void {
    let depth = 0;
    for (; !this.done; this.#at++) {
      if (this.is('(')) depth++;
      else if (depth > 0 && this.is(')')) depth--;
      else if (depth > 0 && this.is('\\')) this.#at++;
      else if (depth === 0 && !/[ \t\r\n]/.test(this.#text[this.#at]!)) return;
    }
  }
}

/** `name*0*=utf-8''a%20; name*1=b` is `name=a b`. RFC 2231 sections 3 and 4. */
function joinParameters(pieces: readonly { name: string; value: string }[]): Map<string, string> {
  const parameters = new Map<string, string>();
  const parts = new Map<string, { index: number; encoded: boolean; value: string }[]>();
  for (const { name, value } of pieces) {
    const extended = /^([^*]+)(?:\*(\d{1,4}))?(\*)?$/.exec(name);
    if (!extended || (extended[2] === undefined && extended[3] === undefined)) {
      if (!parameters.has(name)) parameters.set(name, value);
      continue;
    }
    const base = extended[1]!;
    const part = { index: Number(extended[2] ?? 0), encoded: extended[3] !== undefined, value };
    parts.set(base, [...(parts.get(base) ?? []), part].slice(0, 100));
  }
  for (const [name, list] of parts) parameters.set(name, joinParts(list));
  return parameters;
}

function joinParts(list: { index: number; encoded: boolean; value: string }[]): string {
  const sorted = list.toSorted((left, right) => left.index - right.index);
  const charset = /^([^']*)'[^']*'/.exec(sorted[0]!.encoded ? sorted[0]!.value : '');
  const octets = sorted.map((part, at) => {
    const value = at === 0 && charset ? part.value.slice(charset[0].length) : part.value;
    return part.encoded ? percentDecoded(value) : Buffer.from(value);
  });
  return decodeCharset(Buffer.concat(octets), charset?.[1] ?? 'utf-8');
}

function percentDecoded(value: string): Buffer {
  return Buffer.from(
    value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** Octets in a named charset as text; an unknown one is read as UTF-8. */
export function decodeCharset(octets: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset === '' ? 'utf-8' : charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets); // RangeError: no such encoding
  }
}
