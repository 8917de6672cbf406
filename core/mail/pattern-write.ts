/** Writes a pattern's tree in the syntax of either engine, so that both read the same meaning. */
import { type CharSet, lastCodePoint } from './char-set.ts';
import type { PatternNode } from './pattern-parse.ts';

interface Syntax {
  codePoint(codePoint: number): string;
  property(name: string, negated: boolean): string;
  groupName(name: string): string;
}

/** For RegExp under the u flag, where every code point may be written as \u{...}. */
const regexpSyntax: Syntax = {
  codePoint: (codePoint) => `\\u{${codePoint.toString(16)}}`,
  property: (name, negated) => `\\${negated ? 'P' : 'p'}{${name}}`,
  groupName: (name) => `?<${name}>`,
};

/** github.com/google/re2/wiki/Syntax: scripts and general categories share one name space. */
const re2Syntax: Syntax = {
  codePoint: (codePoint) => `\\x{${codePoint.toString(16)}}`,
  property: (name, negated) => `\\${negated ? 'P' : 'p'}{${name.replace(/^[^=]*=/, '')}}`,
  groupName: (name) => `?P<${name}>`,
};

export const toRegExpSource = (node: PatternNode): string => write(node, regexpSyntax);

/** Throws nothing, but the engine may still refuse a property name; lookaround must not occur. */
export const toRe2Source = (node: PatternNode): string => write(node, re2Syntax);

function write(node: PatternNode, syntax: Syntax): string {
  switch (node.type) {
    case 'set':
      return writeSet(node, syntax);
    case 'sequence':
      return node.items
        .map((item) => (item.type === 'choice' ? bare(item, syntax) : write(item, syntax)))
        .join('');
    case 'choice':
      return node.branches.map((branch) => write(branch, syntax)).join('|');
    case 'repeat':
      return `${writeRepeated(node.body, syntax)}${quantifier(node.min, node.max)}${node.lazy ? '?' : ''}`;
    case 'group': {
      const open = node.capture ? (node.name ? syntax.groupName(node.name) : '') : '?:';
      return `(${open}${write(node.body, syntax)})`;
    }
    case 'assert':
      return { start: '^', end: '$', boundary: '\\b', notBoundary: '\\B' }[node.at];
    case 'look':
      return `(?${node.behind ? '<' : ''}${node.negated ? '!' : '='}${write(node.body, syntax)})`;
  }
}

function writeRepeated(body: PatternNode, syntax: Syntax): string {
  return body.type === 'set' || body.type === 'group' ? write(body, syntax) : bare(body, syntax);
}

function bare(node: PatternNode, syntax: Syntax): string {
  return `(?:${write(node, syntax)})`;
}

function quantifier(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === max ? `{${min}}` : `{${min},${max}}`;
}

function writeSet(node: Extract<PatternNode, { type: 'set' }>, syntax: Syntax): string {
  const everything: CharSet = [[0, lastCodePoint]];
  // An empty class is written as the complement of everything: RE2 knows no [] and no [^].
  if (node.ranges.length === 0 && node.properties.length === 0) {
    return `[${node.negated ? '' : '^'}${writeRanges(everything, syntax)}]`;
  }
  const only = node.ranges.length === 1 && !node.negated && node.properties.length === 0 && node.ranges[0];
  if (only && only[0] === only[1]) return writeChar(only[0], syntax);
  const properties = node.properties.map(({ name, negated }) => syntax.property(name, negated)).join('');
  return `[${node.negated ? '^' : ''}${writeRanges(node.ranges, syntax)}${properties}]`;
}

function writeRanges(ranges: CharSet, syntax: Syntax): string {
  return ranges
    .map(([first, last]) =>
      first === last ? writeChar(first, syntax) : `${writeChar(first, syntax)}-${writeChar(last, syntax)}`,
    )
    .join('');
}

/** Letters, digits and a few signs mean themselves everywhere; all others are written by number. */
function writeChar(codePoint: number, syntax: Syntax): string {
  const character = String.fromCodePoint(codePoint);
  return /^[A-Za-z0-9 _@%,;:<>=!"'#~`]$/.test(character) ? character : syntax.codePoint(codePoint);
}
