/** `*` and `?` of the match type `:matches`, in time that grows no faster than text times pattern. RFC 5228 section 2.7.1. */

/** A pattern cut at its stars; `single` marks where `?` stands. */
interface Segment {
  readonly text: string;
  readonly single: readonly boolean[];
  readonly hasSingle: boolean;
}

export interface Wildcards {
  readonly segments: readonly Segment[];
  /** In the order of the pattern: which captures are stars. */
  readonly captures: readonly ('*' | '?')[];
}

/** Reads a pattern: `\*` and `\?` stand for themselves, a backslash before anything else for that character. */
export function readWildcards(pattern: string): Wildcards {
  const segments: Segment[] = [];
  const captures: ('*' | '?')[] = [];
  let text = '';
  let single: boolean[] = [];
  const close = () => {
    segments.push({ text, single, hasSingle: single.includes(true) });
    text = '';
    single = [];
  };
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (character === '*') {
      close();
      captures.push('*');
      continue;
    }
    const isSingle = character === '?';
    if (isSingle) captures.push('?');
    const escaped = character === '\\' && at + 1 < pattern.length;
    text += escaped ? pattern[++at]! : character;
    single.push(isSingle);
  }
  close();
  return { segments, captures };
}

/**
 * The spans that each wildcard took, as pairs of offsets into `text`, or undefined where the text does not match. Stars
 * take as little as they can, from left to right. RFC 5229 section 3.2.
 */
export function matchWildcards(wildcards: Wildcards, text: string): number[] | undefined {
  const { segments } = wildcards;
  const spans: number[] = [];
  const first = segments[0]!;
  let at = matchSegment(first, text, 0, spans);
  if (at < 0) return undefined;
  if (segments.length === 1) return at === text.length ? spans : undefined;
  for (let index = 1; index < segments.length - 1; index++) {
    const segment = segments[index]!;
    const found = findSegment(segment, text, at);
    if (found < 0) return undefined;
    spans.push(at, found);
    at = matchSegment(segment, text, found, spans);
  }
  const last = segments.at(-1)!;
  const start = lastStart(last, text, at);
  if (start < 0) return undefined;
  spans.push(at, start);
  return matchSegment(last, text, start, spans) === text.length ? spans : undefined;
}

/** Offset past the segment that begins at `start`, or -1. Its `?` are pushed as spans. */
function matchSegment(segment: Segment, text: string, start: number, spans: number[] | undefined): number {
  if (!segment.hasSingle) {
    return text.startsWith(segment.text, start) ? start + segment.text.length : -1;
  }
  let at = start;
  for (let index = 0; index < segment.text.length; index++) {
    if (at >= text.length) return -1;
    if (segment.single[index]) {
      const end = at + characterLength(text, at);
      spans?.push(at, end);
      at = end;
    } else if (text[at] === segment.text[index]) {
      at++;
    } else {
      return -1;
    }
  }
  return at;
}

/** Where the segment begins at or after `from`, or -1. */
function findSegment(segment: Segment, text: string, from: number): number {
  if (!segment.hasSingle) return text.indexOf(segment.text, from);
  for (let at = from; at < text.length; at += characterLength(text, at)) {
    if (matchSegment(segment, text, at, undefined) >= 0) return at;
  }
  return -1;
}

/** Where the last segment has to begin so that it ends with the text; not before `from`. */
function lastStart(segment: Segment, text: string, from: number): number {
  let start = text.length;
  for (let index = segment.text.length - 1; index >= 0; index--) {
    start--;
    // A character of two units under a single `?`.
    if (segment.single[index] && start > from && characterLength(text, start - 1) === 2) start--;
  }
  return start >= from ? start : -1;
}

function characterLength(text: string, at: number): number {
  const pair = (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
  return pair ? 2 : 1;
}
