/**
 * Regular expressions that run in bounded time on hostile text: by RegExp where linear time can be shown, else by RE2.
 *
 * The dialect is ECMAScript's: flags `i`, `m`, `s`; always by code points, as with `u`. Lookahead and lookbehind work
 * where the whole pattern can be shown to be linear; backreferences never. Lines end with \n.
 */
import { RE2JS } from 're2js';
import { describeError } from '../base/errors.ts';
import { patternLimits } from '../base/limits/rules.ts';
import { judgePattern } from './pattern-judge.ts';
import { PatternError, type PatternFlags, type PatternNode, parsePattern } from './pattern-parse.ts';
import { toRe2Source, toRegExpSource } from './pattern-write.ts';

export { PatternError } from './pattern-parse.ts';

export interface PatternMatch {
  /** Where the match begins, in UTF-16 units. */
  readonly index: number;
  /** The whole match, then each group; undefined for a group that took no part. */
  readonly captures: readonly (string | undefined)[];
  readonly named: Readonly<Record<string, string | undefined>>;
}

export interface SafePattern {
  readonly source: string;
  readonly flags: string;
  /** Which engine runs it: RegExp where that was shown to be linear. */
  readonly engine: 'regexp' | 're2';
  /** True when the pattern matches anywhere in the text. */
  test(text: string): boolean;
  /** The first match at or after `from` (UTF-16 units, default 0), or undefined. */
  exec(text: string, from?: number): PatternMatch | undefined;
}

/**
 * Compiles a pattern. Time to match is linear in the text: at most `patternLimits.stepsPerCharacterMax` steps a
 * character with RegExp, and a small multiple of `patternLimits.sizeMax` with RE2.
 * Throws PatternError for wrong syntax or flags, for a pattern that is too large, and for backreferences and lookaround
 * that cannot be shown to be linear.
 */
export function compilePattern(source: string, flags = ''): SafePattern {
  const parsedFlags = parseFlags(source, flags);
  const tree = parsePattern(source, parsedFlags);
  const judgement = judgePattern(tree, parsedFlags);
  if (judgement.size > patternLimits.sizeMax) {
    throw new PatternError(
      source,
      `larger than ${patternLimits.sizeMax} characters once its repeats are written out`,
    );
  }
  if (judgement.linear) return withRegExp(source, flags, tree, judgement.anchored);
  if (judgement.looks) {
    throw new PatternError(
      source,
      'lookahead and lookbehind are possible only where linear time can be shown; write it without them, or more simply',
    );
  }
  return withRe2(source, flags, parsedFlags, tree);
}

/**
 * The same dialect with POSIX's choice among matches: the leftmost, and of those the longest. Always by RE2. Answers
 * the whole match and its groups for the first match in a text.
 * Throws as compilePattern does, and for any lookaround.
 */
export function compileLongest(
  source: string,
  flags = '',
): (text: string) => readonly (string | undefined)[] | undefined {
  const parsedFlags = parseFlags(source, flags);
  const tree = parsePattern(source, parsedFlags);
  const judgement = judgePattern(tree, parsedFlags);
  if (judgement.size > patternLimits.sizeMax || judgement.looks)
    throw new PatternError(source, judgement.looks ? 'lookaround has no longest match' : 'too large');
  const re2Flags =
    (parsedFlags.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) |
    (parsedFlags.multiline ? RE2JS.MULTILINE : 0) |
    RE2JS.LONGEST_MATCH;
  const engine = guarded(source, () => RE2JS.compile(toRe2Source(tree), re2Flags));
  return (text) => {
    const matcher = engine.matcher(text);
    if (!matcher.find()) return undefined;
    return Array.from({ length: matcher.groupCount() + 1 }, (_, nth) => matcher.group(nth) ?? undefined);
  };
}

function parseFlags(source: string, flags: string): PatternFlags {
  if (!/^[ims]*$/.test(flags) || new Set(flags).size !== flags.length) {
    throw new PatternError(
      source,
      `unknown or repeated flags "${flags}": i, m and s are known, each at most once`,
    );
  }
  return { ignoreCase: flags.includes('i'), multiline: flags.includes('m'), dotAll: flags.includes('s') };
}

function withRegExp(source: string, flags: string, tree: PatternNode, anchored: boolean): SafePattern {
  // Sticky keeps a pattern that can match at the start only from being tried anywhere else. The s flag is written out.
  const regexp = guarded(
    source,
    () => new RegExp(toRegExpSource(tree), `${flags.replace('s', '')}u${anchored ? 'y' : 'g'}`),
  );
  return {
    source,
    flags,
    engine: 'regexp',
    test(text) {
      regexp.lastIndex = 0;
      return regexp.test(text);
    },
    exec(text, from = 0) {
      regexp.lastIndex = from;
      const found = regexp.exec(text);
      return found ? { index: found.index, captures: [...found], named: { ...found.groups } } : undefined;
    },
  };
}

function withRe2(source: string, flags: string, parsed: PatternFlags, tree: PatternNode): SafePattern {
  const re2Flags =
    (parsed.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (parsed.multiline ? RE2JS.MULTILINE : 0);
  const engine = guarded(source, () => RE2JS.compile(toRe2Source(tree), re2Flags));
  return {
    source,
    flags,
    engine: 're2',
    test: (text) => engine.test(text),
    exec(text, from = 0) {
      if (from > text.length) return undefined;
      const matcher = engine.matcher(text);
      if (!matcher.find(from)) return undefined;
      const captures = Array.from(
        { length: matcher.groupCount() + 1 },
        (_, nth) => matcher.group(nth) ?? undefined,
      );
      const names = Object.entries(engine.namedGroups() as Record<string, number>);
      return {
        index: matcher.start(),
        captures,
        named: Object.fromEntries(names.map(([name, nth]) => [name, captures[nth]])),
      };
    },
  };
}

/** What an engine says against a pattern is the author's mistake, a property name mostly. */
function guarded<Compiled>(source: string, compile: () => Compiled): Compiled {
  try {
    return compile();
  } catch (error) {
    throw new PatternError(source, describeError(error));
  }
}
