/** Aliases by expression: the first that fits a whole address gives its targets. */
import { compilePattern, type SafePattern } from 'mailfilter/mail';

export interface PatternSource {
  readonly match: string;
  /** Written as in the table; `$1` to `$9` stand for groups. */
  readonly to: readonly string[];
}

/** Answers targets as written, groups put in; undefined when none fits. @throws PatternError */
export function compileAliasPatterns(
  sources: readonly PatternSource[],
): (address: string) => readonly string[] | undefined {
  const patterns = sources.map(({ match, to }) => ({ pattern: compilePattern(`^(?:${match})$`, 'i'), to }));
  return (address) => {
    for (const { pattern, to } of patterns) {
      const targets = fill(pattern, address, to);
      if (targets) return targets;
    }
    return undefined;
  };
}

function fill(pattern: SafePattern, address: string, to: readonly string[]): string[] | undefined {
  const match = pattern.exec(address);
  if (!match) return undefined;
  return to.map((target) => target.replace(/\$([1-9])/g, (_, group) => match.captures[Number(group)] ?? ''));
}
