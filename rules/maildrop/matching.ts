/** Patterns against the lines of the mail or a text: scores, MATCH and its groups. maildropfilter(7), "Patterns". */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import type { SafePattern } from '../../core/mail/safe-pattern.ts';
import { FilterLimit } from './ends.ts';
import { compileFilterPattern, PatternError, type PatternOptions } from './pattern.ts';
import type { FilterState } from './state.ts';

export class Matcher {
  readonly #state: FilterState;
  readonly #patterns = new Map<string, SafePattern>();

  constructor(state: FilterState) {
    this.#state = state;
  }

  /** The score of all lines that match, one match a line. @param all every match's text, for foreach */
  matchLines(compiled: SafePattern, options: PatternOptions, all?: string[]): number {
    const score = new Score(options.weights);
    for (const line of this.#state.text.lines(options)) {
      const captures = captured(compiled, line, 0)?.captures;
      if (captures === undefined) continue;
      score.add();
      if (options.weights !== undefined && all === undefined) continue;
      this.#noteMatch(captures, all);
      if (all === undefined) break;
    }
    return score.sum;
  }

  /** The score of all matches in one text, an octet a character. */
  matchText(compiled: SafePattern, text: string, options: PatternOptions, all?: string[]): number {
    const subject = Buffer.from(text.split('\0', 1)[0]!, 'latin1').toString('utf8');
    const score = new Score(options.weights);
    for (let at = 0; ; ) {
      const found = captured(compiled, subject, at);
      if (found === undefined) break;
      score.add();
      if (options.weights === undefined || all !== undefined) {
        this.#noteMatch(found.captures, all);
        if (all === undefined) break;
      }
      const end = found.index + found.captures[0]!.length;
      // An empty match would be found again and again.
      if (end === at && found.captures[0] === '') {
        if (end >= subject.length) break;
        at = end + 1;
      } else {
        at = end;
      }
      this.#state.countStep();
    }
    return score.sum;
  }

  #noteMatch(captures: readonly (string | undefined)[], all?: string[]): void {
    for (const [index, capture = ''] of captures.entries()) {
      this.#state.set(
        index === 0 ? 'MATCH' : `MATCH${index}`,
        Buffer.from(capture, 'utf8').toString('latin1'),
      );
    }
    if (all === undefined) return;
    if (all.length >= maildropLimits.matchesMax) throw new FilterLimit('Too many matches.');
    all.push(this.#state.get('MATCH'));
  }

  /** Undefined for what is no pattern. */
  compile(pattern: string, caseSensitive: boolean): SafePattern | undefined {
    const key = `${caseSensitive ? 'D' : ' '}${pattern}`;
    const known = this.#patterns.get(key);
    if (known !== undefined) return known;
    try {
      const compiled = compileFilterPattern(pattern, caseSensitive);
      if (this.#patterns.size >= maildropLimits.patternsMax) this.#patterns.clear();
      this.#patterns.set(key, compiled);
      return compiled;
    } catch (error) {
      if (error instanceof PatternError) return undefined;
      throw error;
    }
  }
}

class Score {
  #next: number;
  readonly #factor: number;
  sum = 0;

  constructor(weights: PatternOptions['weights']) {
    [this.#next, this.#factor] = weights ?? [1, 1];
  }

  add(): void {
    this.sum += this.#next;
    this.#next *= this.#factor;
  }
}

/** PCRE's `$` holds before a last line end as well. */
function captured(pattern: SafePattern, text: string, from: number): ReturnType<SafePattern['exec']> {
  const found = pattern.exec(text, from);
  return found === undefined && text.endsWith('\n') && from < text.length
    ? pattern.exec(text.slice(0, -1), from)
    : found;
}
