/** Collations: which texts are equal, and which comes first. RFC 4790, RFC 5051, RFC 5228 section 2.7.3. */

export interface Comparator {
  readonly name: string;
  /** False where `:contains`, `:matches` and `:regex` make no sense. */
  readonly substring: boolean;
  /** Case does not count: what a regular expression has to know. */
  readonly ignoresCase: boolean;
  /** The form in which texts are compared; equal texts have equal forms. */
  fold(text: string): string;
  /** Below 0, 0 or above 0, of folded texts. */
  order(left: string, right: string): number;
}

const octet: Comparator = {
  name: 'i;octet',
  substring: true,
  ignoresCase: false,
  fold: (text) => text,
  order: orderByCodePoint,
};

const asciiCasemap: Comparator = {
  name: 'i;ascii-casemap',
  substring: true,
  ignoresCase: true,
  fold: foldAscii,
  order: orderByCodePoint,
};

/** Equal where the numbers are; what begins with no digit is infinity. RFC 4790 section 9.1. */
const asciiNumeric: Comparator = {
  name: 'i;ascii-numeric',
  substring: false,
  ignoresCase: true,
  fold: foldNumber,
  order: orderByCodePoint,
};

const unicodeCasemap: Comparator = {
  name: 'i;unicode-casemap',
  substring: true,
  ignoresCase: true,
  fold: foldUnicode,
  order: orderByCodePoint,
};

/** By name. */
export const comparators: ReadonlyMap<string, Comparator> = new Map(
  [octet, asciiCasemap, asciiNumeric, unicodeCasemap].map((comparator) => [comparator.name, comparator]),
);
/** Those of RFC 5228 section 2.7.3, and that of RFC 5051, which scripts may use without a require in Pigeonhole as well. */
export const comparatorsAlwaysThere: ReadonlySet<string> = new Set([
  'i;octet',
  'i;ascii-casemap',
  'i;unicode-casemap',
]);
export const defaultComparator = asciiCasemap;

const beyondAscii = /[^\0-\x7f]/;

/** Upper case, as RFC 4790 section 9.2 has it: `[` sorts behind letters of either case. */
function foldAscii(text: string): string {
  return beyondAscii.test(text)
    ? text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
    : text.toUpperCase();
}

/** Digits without leading zeroes behind their number, so that texts sort as the numbers do; infinity behind all. */
function foldNumber(text: string): string {
  const digits = /^[0-9]+/.exec(text)?.[0].replace(/^0+(?=[0-9])/, '');
  return digits === undefined ? 'infinity' : `${String(digits.length).padStart(8, '0')} ${digits}`;
}

/** RFC 5051 section 2: title case by simple mappings, then the compatibility decomposition. */
function foldUnicode(text: string): string {
  if (!beyondAscii.test(text)) return text.toUpperCase();
  let folded = '';
  for (const character of text) {
    const upper = character.toUpperCase();
    folded += [...upper].length === 1 ? upper : character;
  }
  return folded.normalize('NFKD');
}

/** As the octets of UTF-8 sort: code units above the surrogates come after pairs. */
function orderByCodePoint(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const l = left.charCodeAt(at);
    const r = right.charCodeAt(at);
    if (l !== r) return codePointWeight(l) - codePointWeight(r);
  }
  return left.length - right.length;
}

/** Surrogates stand for code points beyond U+FFFF. */
function codePointWeight(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
