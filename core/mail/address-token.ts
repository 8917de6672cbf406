/** Tokens of structured header fields with addresses. RFC 5322 section 3.2, obsolete forms of section 4.1 included. */

export interface AddressToken {
  /** `bad`: an octet or a run of them that fits nowhere in the grammar. */
  readonly kind: 'atom' | 'quoted' | 'literal' | 'special' | 'comment' | 'bad';
  /** As written, line ends of folds removed. */
  readonly text: string;
  /** Quotes, brackets of comments, and escapes taken off. */
  readonly value: string;
  /** True when white space or a comment stands before it. */
  readonly gap: boolean;
}

/** Control characters are let pass within quotes and comments (obs-qtext), nowhere else; line ends only in folds. */
const atom = /[^\0-\x20\x7f()<>[\]:;@\\,."]+/y;
const whiteSpace = /(?:[ \t]|\r?\n(?=[ \t]))+/y;
const special = /[<>,;:@.]/;

/** All of the text as tokens, comments among them; linear time. */
export function tokeniseAddresses(text: string): AddressToken[] {
  const tokens: AddressToken[] = [];
  let gap = false;
  for (let at = 0; at < text.length; ) {
    const space = matchAt(whiteSpace, text, at);
    if (space > at) {
      gap = true;
      at = space;
      continue;
    }
    const token = readToken(text, at);
    tokens.push({ kind: token.kind, text: token.text, value: token.value, gap });
    gap = token.kind === 'comment';
    at = token.end;
  }
  return tokens;
}

type Read = Omit<AddressToken, 'gap'> & { readonly end: number };

function readToken(text: string, at: number): Read {
  const character = text[at]!;
  if (character === '"') return readEnclosed('quoted', text, at, '"');
  if (character === '[') return readEnclosed('literal', text, at, ']');
  if (character === '(') return readComment(text, at);
  if (special.test(character)) return { kind: 'special', text: character, value: character, end: at + 1 };
  const end = matchAt(atom, text, at);
  if (end > at) {
    const word = text.slice(at, end);
    return { kind: 'atom', text: word, value: word, end };
  }
  return { kind: 'bad', text: character, value: character, end: at + 1 };
}

function readEnclosed(kind: 'quoted' | 'literal', text: string, start: number, close: string): Read {
  let at = start + 1;
  while (at < text.length && text[at] !== close) {
    if (kind === 'literal' && text[at] === '[') return bad(text, start, at);
    at += text[at] === '\\' ? 2 : 1;
  }
  if (at >= text.length) return bad(text, start, text.length);
  return enclosed(kind, text.slice(start, at + 1), at + 1);
}

/** Comments nest. RFC 5322 section 3.2.2. */
function readComment(text: string, start: number): Read {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '(') depth++;
    else if (text[at] === ')' && --depth === 0) return enclosed('comment', text.slice(start, at + 1), at + 1);
  }
  return bad(text, start, text.length);
}

function enclosed(kind: 'quoted' | 'literal' | 'comment', written: string, end: number): Read {
  const unfolded = written.replace(/\r?\n(?=[ \t])/g, '');
  // A line end that is no fold, or a NUL, has no place even here.
  if (/[\r\n\0]/.test(unfolded)) return { kind: 'bad', text: unfolded, value: unfolded, end };
  const content = unfolded.slice(1, -1).replace(/\\([\s\S])/g, '$1');
  return { kind, text: unfolded, value: kind === 'literal' ? unfolded : content, end };
}

function bad(text: string, start: number, end: number): Read {
  const written = text.slice(start, end);
  return { kind: 'bad', text: written, value: written, end };
}

function matchAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
