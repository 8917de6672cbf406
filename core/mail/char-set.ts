/** Sets of Unicode code points as sorted, disjoint ranges: the arithmetic behind the judge of patterns. */

/** `[first, last]`, both inside. */
export type CodePointRange = readonly [number, number];
export type CharSet = readonly CodePointRange[];

export const lastCodePoint = 0x10ffff;
export const everyChar: CharSet = [[0, lastCodePoint]];
export const noChar: CharSet = [];
/** ECMAScript's LineTerminator: what `.` leaves out and `^`, `$` see under the m flag. */
export const lineTerminators: CharSet = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
export const digits: CharSet = [[0x30, 0x39]];
export const wordChars: CharSet = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** ECMAScript's WhiteSpace and LineTerminator together: `\s`. */
export const spaces: CharSet = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
/** U+017F folds to `s` and U+212A to `k` under the i and u flags: the only letters outside ASCII that fold into it. */
export const foldsIntoAscii: CharSet = [
  [0x17f, 0x17f],
  [0x212a, 0x212a],
];

export function union(...sets: readonly CharSet[]): CharSet {
  const ranges = sets.flat().sort((left, right) => left[0] - right[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of ranges) {
    const open = merged.at(-1);
    if (open && first <= open[1] + 1) open[1] = Math.max(open[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

export function complement(set: CharSet): CharSet {
  const outside: CodePointRange[] = [];
  let next = 0;
  for (const [first, last] of union(set)) {
    if (first > next) outside.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= lastCodePoint) outside.push([next, lastCodePoint]);
  return outside;
}

/** Both sets sorted, as `union` and `complement` make them. */
export function intersects(left: CharSet, right: CharSet): boolean {
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const [leftFirst, leftLast] = left[l]!;
    const [rightFirst, rightLast] = right[r]!;
    if (leftFirst <= rightLast && rightFirst <= leftLast) return true;
    if (leftLast < rightLast) l += 1;
    else r += 1;
  }
  return false;
}

/** The ASCII letters of a set in both cases; other members stay as they are. */
export function foldAscii(set: CharSet): CharSet {
  const folded: CodePointRange[] = [...set];
  for (const [first, last] of set) {
    pushShifted(folded, first, last, 0x41, 0x5a, 0x20);
    pushShifted(folded, first, last, 0x61, 0x7a, -0x20);
  }
  return union(folded);
}

function pushShifted(
  into: CodePointRange[],
  first: number,
  last: number,
  low: number,
  high: number,
  by: number,
) {
  const from = Math.max(first, low);
  const to = Math.min(last, high);
  if (from <= to) into.push([from + by, to + by]);
}

/** At least everything that a set can match under the i flag: exact for ASCII, all of the rest once it leaves ASCII. */
export function foldGenerously(set: CharSet): CharSet {
  const folded = foldAscii(set);
  const leavesAscii = folded.some(([, last]) => last >= 0x80);
  if (leavesAscii)
    return union(folded, [[0x80, lastCodePoint]], foldAscii([[0x6b, 0x6b]]), foldAscii([[0x73, 0x73]]));
  return intersects(folded, [[0x6b, 0x6b]]) || intersects(folded, [[0x73, 0x73]])
    ? union(folded, foldsIntoAscii)
    : folded;
}
