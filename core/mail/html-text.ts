/**
 * The text that a reader of an HTML body sees, for matching: linear time, any input, no claim to render. Tags within a
 * line leave no gap, so that a word cut up by tags, comments or invisible characters is whole again.
 */

/** Elements that end a line. */
const blocks = new Set(
  'address article aside blockquote body br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre section table tbody tfoot thead tr ul'.split(
    ' ',
  ),
);
const cells = new Set(['td', 'th']);
/** Elements whose content is not shown. */
const hidden = new Set(['script', 'style', 'title', 'template', 'noscript', 'head']);

const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ensp: ' ',
  emsp: ' ',
  thinsp: ' ',
  shy: '',
  zwnj: '',
  zwj: '',
  copy: '©',
  reg: '®',
  trade: '™',
  euro: '€',
  pound: '£',
  hellip: '…',
  ndash: '–',
  mdash: '—',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  bull: '•',
};

/** @param charsMax the text is cut there, and no more of the source than needed is read */
export function htmlToText(html: string, charsMax: number): string {
  return new Reader(html, charsMax).read();
}

class Reader {
  readonly #html: string;
  readonly #charsMax: number;
  #at = 0;
  readonly #chunks: string[] = [];
  #length = 0;
  /** White space was read and is written once a word follows; none is at the begin and end of a line. */
  #gap: '' | ' ' | '\n' = '';
  /** Until a quote was found open to the end: looking for its end again and again would take quadratic time. */
  #heedQuotes = true;

  constructor(html: string, charsMax: number) {
    this.#html = html;
    this.#charsMax = charsMax;
  }

  read(): string {
    while (this.#at < this.#html.length && this.#length < this.#charsMax) {
      const open = this.#html.indexOf('<', this.#at);
      const end = open < 0 ? this.#html.length : open;
      this.#write(
        decodeEntities(this.#html.slice(this.#at, Math.min(end, this.#at + this.#charsMax * longestEntity))),
      );
      this.#at = end;
      if (open >= 0) this.#markup();
    }
    return this.#chunks.join('').slice(0, this.#charsMax);
  }

  #write(text: string): void {
    const shown = text.replace(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, '').replace(/\s+/g, ' ');
    if (shown.startsWith(' ')) this.#gap ||= ' ';
    const words = shown.trim();
    if (words === '') return;
    if (this.#length > 0) this.#push(this.#gap);
    this.#push(words);
    this.#gap = shown.endsWith(' ') ? ' ' : '';
  }

  #push(chunk: string): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** At a `<`: passes a comment, a declaration or a tag; any other `<` is text. */
  #markup(): void {
    const name = /^<(\/?)([A-Za-z][A-Za-z0-9:-]{0,30})/.exec(this.#html.slice(this.#at, this.#at + 40));
    if (name) this.#tag(name[2]!.toLowerCase(), name[1] === '/', name[0].length);
    else if (this.#html.startsWith('<!--', this.#at)) this.#passTo('-->', 2);
    else if (/^<[!?]/.test(this.#html.slice(this.#at, this.#at + 2))) this.#passTo('>', 2);
    else {
      this.#write('<');
      this.#at += 1;
    }
  }

  #tag(element: string, closing: boolean, length: number): void {
    this.#at = this.#endOfTag(this.#at + length);
    if (blocks.has(element)) this.#gap = '\n';
    else if (cells.has(element)) this.#gap ||= ' ';
    if (hidden.has(element) && !closing) this.#passElement(element);
  }

  #passTo(end: string, skip: number): void {
    const found = this.#html.indexOf(end, this.#at + skip);
    this.#at = found < 0 ? this.#html.length : found + end.length;
  }

  #endOfTag(from: number): number {
    if (this.#heedQuotes) {
      let quote = '';
      for (let at = from; at < this.#html.length; at += 1) {
        const character = this.#html[at]!;
        if (quote === '' && character === '>') return at + 1;
        if (quote === '' && (character === '"' || character === "'")) quote = character;
        else if (character === quote) quote = '';
      }
      this.#heedQuotes = false;
    }
    const end = this.#html.indexOf('>', from);
    return end < 0 ? this.#html.length : end + 1;
  }

  /** What is never closed hides all the rest, as in a browser. */
  #passElement(element: string): void {
    const end = new RegExp(`</${element}`, 'gi');
    end.lastIndex = this.#at;
    const found = end.exec(this.#html);
    this.#at = found ? found.index : this.#html.length;
  }
}

/** `&#x10ffff;` and `&hellip;` are the longest that become one character or none. */
const longestEntity = 10;

/** Character references of HTML, numbers and the names that text needs; others stay. */
export function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z]{2,8}));?/g,
    (whole, decimal, hex, name) => {
      if (name !== undefined) return named[name.toLowerCase()] ?? whole;
      const codePoint = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      const valid = codePoint > 0 && codePoint <= 0x10ffff && (codePoint < 0xd800 || codePoint > 0xdfff);
      return valid ? String.fromCodePoint(codePoint) : '';
    },
  );
}
