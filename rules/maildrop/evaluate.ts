/** Expressions of a running filter: their values, which may need programs and files. maildropfilter(7), "Expressions". */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { trimmed } from '../../core/base/trim.ts';
import { getAddresses, hasAddress } from './addresses.ts';
import { operate, substring } from './arithmetic.ts';
import { FilterFailure } from './ends.ts';
import type { Expression, PatternExpression } from './filter.ts';
import { Matcher } from './matching.ts';
import { splitPattern } from './pattern.ts';
import type { FilterState } from './state.ts';
import { codeOf, type Running } from './steps.ts';
import { escapeText, formatNumber, integerOf, isTrue } from './values.ts';

export class Evaluation {
  readonly #state: FilterState;
  readonly #matcher: Matcher;

  constructor(state: FilterState) {
    this.#state = state;
    this.#matcher = new Matcher(state);
  }

  /** @throws FilterFailure, FilterLimit */
  *value(expression: Expression): Running<string> {
    this.#state.countStep();
    switch (expression.kind) {
      case 'text':
        return this.#state.expand(expression.text);
      case 'literal':
        return expression.text;
      case 'command':
        return yield* this.#output(expression.text, expression.line);
      case 'concat': {
        let text = '';
        for (const part of expression.parts) text += yield* this.value(part);
        return text;
      }
      case 'pattern':
      case 'match':
        return formatNumber(yield* this.match(expression));
      case 'assign': {
        const value = yield* this.value(expression.value);
        this.#state.set(expression.name, value);
        return value;
      }
      case 'binary':
        return yield* this.#binary(expression.sign, expression.left, expression.right);
      case 'not':
        return isTrue(yield* this.value(expression.value)) ? '0' : '1';
      case 'complement':
        return String(~integerOf(yield* this.value(expression.value)));
      case 'call':
        return yield* this.#call(expression.name, expression.values);
    }
  }

  /** One line: line ends become blanks, those around it go. */
  *#output(line: string, at: number): Running<string> {
    const outcome = yield {
      type: 'output',
      command: this.#state.shell(line),
      input: this.#state.wholeLines(),
      ...this.#state.facts(at),
    };
    const code = codeOf(outcome);
    this.#state.set('RETURNCODE', String(code));
    if (code !== 0) return '';
    const printed = Buffer.from(outcome.output ?? []).toString('latin1', 0, maildropLimits.outputBytesMax);
    return trimmed(printed.replace(/[\r\n]/g, ' '), ' \t\v\f');
  }

  *#binary(sign: string, left: Expression, right: Expression): Running<string> {
    const first = yield* this.value(left);
    if (sign === '||') return isTrue(first) ? first : yield* this.value(right);
    if (sign === '&&') return isTrue(first) ? yield* this.value(right) : first;
    return operate(sign, first, yield* this.value(right));
  }

  *#call(name: string, expressions: readonly Expression[]): Running<string> {
    const values: string[] = [];
    for (const each of expressions) values.push(yield* this.value(each));
    const [first = '', second = '', third] = values;
    switch (name) {
      case 'length':
        return String(first.length);
      case 'substr':
        return substring(first, second, third);
      case 'lookup':
        return (yield* this.#lookUp(first, second, third ?? '')) ? '1' : '0';
      case 'getaddr':
        return getAddresses(first);
      case 'hasaddr':
        return hasAddress(this.#state.header(), first) ? '1' : '0';
      case 'escape':
        return escapeText(first);
      case 'tolower':
        return first.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
      case 'toupper':
        return first.replace(/[a-z]/g, (letter) => letter.toUpperCase());
      default:
        return String(Math.floor(Date.now() / 1000));
    }
  }

  *#lookUp(text: string, path: string, letters: string): Running<boolean> {
    const { ok, source } = yield { type: 'read', path };
    if (!ok || source === undefined) throw new FilterFailure(`Unable to open ${path}.`);
    const subject = Buffer.from(text, 'latin1').toString('utf8');
    for (const line of source.split(/\r?\n/)) {
      const pattern = line.replace(/^\s+/, '');
      if (pattern === '' || pattern.startsWith('#')) continue;
      this.#state.countStep();
      const compiled = this.#matcher.compile(pattern, letters.includes('D'));
      if (compiled === undefined) throw new FilterFailure(`Bad pattern in ${path}: ${pattern}`);
      if (compiled.test(subject)) return true;
    }
    return false;
  }

  /** The score. MATCH and its groups are set by a match that is not weighed; @param all every match's text, for foreach */
  *match(
    expression: PatternExpression | Extract<Expression, { kind: 'match' }>,
    all?: string[],
  ): Running<number> {
    const written = expression.kind === 'match' ? expression.pattern : expression;
    const subject = expression.kind === 'match' ? yield* this.value(expression.subject) : undefined;
    const { pattern, options } = splitPattern(written.text);
    const compiled = this.#matcher.compile(this.#state.expand(pattern), options.caseSensitive);
    if (compiled === undefined) {
      yield { type: 'say', text: `line ${written.line}: Syntax error in /pattern/.` };
      return 0;
    }
    return subject === undefined
      ? this.#matcher.matchLines(compiled, options, all)
      : this.#matcher.matchText(compiled, subject, options, all);
  }
}
