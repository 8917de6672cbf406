/** Lines of the script: branches of `if`, and what is kept of the rcfile as comments. */
import { type Test, testText } from './sieve-text.ts';

/** A file that is being converted. */
export interface File {
  readonly name: string;
  readonly lines: readonly string[];
  readonly depth: number;
}

/** Where items stand. */
export interface Level {
  readonly file: File;
  readonly indent: string;
  /** What stands there depends on conditions. */
  readonly inBlock: boolean;
}

/** A recipe with those that refer to it: `if`, `elsif`, what stands within each. */
export interface Branch {
  readonly test: Test;
  readonly lines: string[];
  readonly line: number;
  /** It fills MATCH. */
  readonly captures: boolean;
  ended: boolean;
}

/** `if`, `elsif`, `else`; what is always so stands alone. */
export function ifText(branches: readonly Branch[], indent: string): string[] {
  const lines: string[] = [];
  for (const [at, { test, lines: own }] of branches.entries()) {
    const isAlways = test.kind === 'constant' && test.holds;
    if (isAlways && at === 0) return [...own];
    const opening = isAlways ? 'else' : `${at === 0 ? 'if' : 'elsif'} ${testText(test, indent)}`;
    lines.push(...`${at === 0 ? '' : '} '}${opening} {`.split('\n'), ...indented(own, '  '));
  }
  return [...lines, '}'];
}

export function indented(lines: readonly string[], indent: string): string[] {
  return lines.map((line) => (line === '' ? line : indent + line));
}

/** The comments directly above a line go with what stands there. */
export function commentsAbove(line: number, { file, indent }: Level): string[] {
  const found: string[] = [];
  for (let at = line - 2; at >= 0 && /^[ \t]*#/.test(file.lines[at]!); at--)
    found.unshift(indent + printable(file.lines[at]!.trim()));
  return found;
}

export function commented({ file, indent }: Level, from: number, to: number, why: string): string[] {
  const own = file.lines.slice(from - 1, to).map((line) => `${indent}#   ${printable(line)}`.trimEnd());
  return [`${indent}# ${printable(file.name)}, ${printable(why)}`, ...own];
}

/** Text of the rcfile in a comment of the script. */
export function printable(text: string): string {
  const characters = Buffer.from(text, 'latin1').toString('utf8');
  return characters.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, ' ');
}
