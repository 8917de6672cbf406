/** The match type `:regex` and the modifier `:quoteregex`. draft-ietf-sieve-regex. */

import { Fault } from '../fault.ts';
import { matchTypeGroup } from '../match.ts';
import { compilePosix, type PosixPattern, PosixPatternError } from '../posix-pattern.ts';
import type { Run } from '../run.ts';
import type { Extension, MatchType, Modifier } from '../spec.ts';
import { shown } from '../text.ts';

function invalid(source: string, error: PosixPatternError): string {
  return `invalid regular expression '${shown(source)}' for regex match: ${error.message}`;
}

/** Patterns with variables in them, made once in a run. */
function compiledInRun(run: Run, source: string, ignoreCase: boolean): PosixPattern {
  const known = (run.kept.get('regex') ?? new Map()) as Map<string, PosixPattern>;
  run.kept.set('regex', known);
  const key = `${ignoreCase} ${source}`;
  let pattern = known.get(key);
  if (!pattern) {
    try {
      pattern = compilePosix(source, ignoreCase);
    } catch (error) {
      if (error instanceof PosixPatternError) throw new Fault(invalid(source, error));
      throw error;
    }
    known.set(key, pattern);
  }
  return pattern;
}

const regexMatch: MatchType = {
  tag: { name: 'regex', group: matchTypeGroup },
  compile(use, keys, comparator, at) {
    if (!comparator.substring)
      use.error(
        `the specified ${comparator.name} comparator does not support sub-string matching as required by the :regex match type`,
      );
    const { ignoresCase } = comparator;
    const constant: PosixPattern[] = [];
    for (const source of keys.constant ?? []) {
      try {
        constant.push(compilePosix(source, ignoresCase));
      } catch (error) {
        if (!(error instanceof PosixPatternError)) throw error;
        use.error(invalid(source, error), at);
        break;
      }
    }
    const captures = use.captures && use.compiler.uses('variables');
    return (run, values) => {
      const patterns = keys.constant
        ? constant
        : keys.values(run).map((source) => compiledInRun(run, source, ignoresCase));
      for (const text of values.texts) {
        for (const pattern of patterns) {
          run.countOctets(text.length * 4);
          if (!pattern.test(text)) continue;
          if (captures) run.setMatchValues(() => (pattern.exec(text) ?? []).map((capture) => capture ?? ''));
          return true;
        }
      }
      return false;
    };
  },
};

const quoteRegex: Modifier = {
  name: 'quoteregex',
  precedence: 20,
  units: /\\[\s\S]|[\s\S]/gu,
  apply: (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'),
};

export const regex: Extension = {
  name: 'regex',
  matchTypes: [regexMatch],
  modifiers: [quoteRegex],
  tags: { set: [{ name: 'quoteregex' }], extracttext: [{ name: 'quoteregex' }] },
};
