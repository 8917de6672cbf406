/**
 * Runs a maildrop filter on a mail: a generator that yields what is to be done and is told how it went, so that the
 * same filter delivers at once (as an MDA), or is only shown. maildropfilter(7).
 */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { trimmed } from '../../core/base/trim.ts';
import type { SafePattern } from '../../core/mail/safe-pattern.ts';
import { getAddresses, hasAddress } from './addresses.ts';
import { type Expression, type PatternExpression, parseFilter, type Statement } from './filter.ts';
import { MailText } from './mail-text.ts';
import { compileFilterPattern, PatternError, type PatternOptions, splitPattern } from './pattern.ts';
import type { ShellLine, Step, StepFacts, StepOutcome } from './steps.ts';
import { FilterSyntaxError } from './tokens.ts';
import { escapeText, formatNumber, integerOf, isTrue, numberOf, unescaped } from './values.ts';

export interface FilterInput {
  readonly octets: Uint8Array;
  /** Filter files by path; one that is not there is passed over where it is not `required`. */
  readonly filters: readonly { readonly path: string; readonly required: boolean }[];
  /** Variables before the first statement. */
  readonly variables: Readonly<Record<string, string>>;
  /** What `import` finds. */
  readonly surroundings: Readonly<Record<string, string | undefined>>;
  /** Envelope sender, of the From_ line. */
  readonly sender: string;
  /** Local time as ctime(3) writes it, without a line end: of log lines. */
  readonly date: string;
  /** Nothing may be delivered; only the exit code and what is printed count. maildrop(1), "Embedded mode". */
  readonly embedded?: boolean;
}

export interface FilterResult {
  readonly exitCode: number;
  /** False where the filter said that the mail is to go nowhere, or failed. */
  readonly delivered: boolean;
}

export type Running<Result> = Generator<Step, Result, StepOutcome>;

const exitTempFail = 75;

/** Ends the filter with an exit code. */
class FilterEnd extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** What `exception` catches: otherwise the mail waits for another attempt. */
class FilterFailure extends Error {}

/** What nothing catches. */
class FilterLimit extends Error {}

/** Delivers to DEFAULT what no statement delivered. Whatever goes wrong is EX_TEMPFAIL: the mail comes again. */
export function* runMaildrop(input: FilterInput): Running<FilterResult> {
  const run = new Run(input);
  try {
    for (const { path, required } of input.filters) {
      const { ok, source } = yield { type: 'read', path };
      if (ok && source !== undefined) yield* run.runFile(path, source);
      else if (required) throw new FilterFailure(`Unable to open filter file ${path}.`);
    }
    return yield* run.finish();
  } catch (error) {
    if (error instanceof FilterEnd) return { exitCode: error.exitCode, delivered: run.delivered };
    if (!(error instanceof FilterFailure || error instanceof FilterLimit)) throw error;
    yield { type: 'say', text: error.message };
    return { exitCode: exitTempFail, delivered: false };
  }
}

class Run {
  readonly #input: FilterInput;
  readonly #variables = new Map<string, string>();
  readonly #patterns = new Map<string, SafePattern>();
  #octets!: Buffer;
  #text!: MailText;
  #steps = 0;
  #includes = 0;
  #valuesLength = 0;
  delivered = false;

  constructor(input: FilterInput) {
    this.#input = input;
    for (const [name, value] of Object.entries(input.variables)) this.#set(name, value);
    this.#setMail(input.octets);
  }

  /** @throws FilterEnd, FilterFailure, FilterLimit */
  *runFile(path: string, source: string): Running<void> {
    let filter: Statement;
    try {
      filter = parseFilter(source, this.#input.embedded);
    } catch (error) {
      if (!(error instanceof FilterSyntaxError)) throw error;
      yield { type: 'say', text: `${path}(${error.line}): ${error.message}` };
      throw new FilterEnd(exitTempFail);
    }
    yield* this.#statement(filter);
  }

  *finish(): Running<FilterResult> {
    if (this.#input.embedded !== true) yield* this.#deliver(this.#get('DEFAULT'), 0);
    return { exitCode: this.#exitCode(), delivered: this.delivered };
  }

  #setMail(octets: Uint8Array): void {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#text = new MailText(octets);
    this.#set('SIZE', String(octets.length));
    let lines = 0;
    for (let at = this.#octets.indexOf(10); at >= 0; at = this.#octets.indexOf(10, at + 1)) lines += 1;
    this.#set('LINES', String(lines));
  }

  // Variables

  #get(name: string): string {
    return this.#variables.get(name) ?? '';
  }

  #set(name: string, value: string): void {
    this.#valuesLength += value.length - this.#get(name).length;
    if (value.length > maildropLimits.valueBytesMax || this.#valuesLength > maildropLimits.valuesBytesMax) {
      throw new FilterLimit('A variable has become too large.');
    }
    this.#variables.set(name, value);
  }

  #exitCode(): number {
    return Number.parseInt(this.#get('EXITCODE'), 10) & 0xff || 0;
  }

  #facts(at: number): StepFacts {
    // A NUL or an equals sign in a name is none of an environment's.
    const entries = [...this.#variables].filter(
      ([name, value]) => !/[=\0]|^$/.test(name) && !value.includes('\0'),
    );
    return { at, environment: Object.fromEntries(entries) };
  }

  #shell(line: string): ShellLine {
    return { shell: this.#get('SHELL') || '/bin/sh', line };
  }

  /** `$NAME` and `${NAME}`; a backslash before the dollar keeps both. */
  #expand(text: string): string {
    if (!text.includes('$')) return text;
    const expanded = text.replace(
      /\\[\s\S]|\$(?:\{([^}\s]*)\}|([A-Za-z0-9_]+))/g,
      (whole, braced?: string, bare?: string) => {
        const name = braced ?? bare;
        return name === undefined ? whole : this.#get(name);
      },
    );
    if (expanded.length > maildropLimits.valueBytesMax) throw new FilterLimit('A text has become too large.');
    return expanded;
  }

  #countStep(): void {
    this.#steps += 1;
    if (this.#steps > maildropLimits.stepsMax) throw new FilterLimit('The filter does not come to an end.');
  }

  // Statements

  *#statement(statement: Statement): Running<void> {
    this.#countStep();
    switch (statement.kind) {
      case 'block':
        for (const each of statement.statements) yield* this.#statement(each);
        return;
      case 'expression':
        yield* this.#value(statement.value);
        return;
      case 'if':
        if (isTrue(yield* this.#value(statement.condition))) yield* this.#statement(statement.then);
        else if (statement.otherwise !== undefined) yield* this.#statement(statement.otherwise);
        return;
      case 'while':
        while (isTrue(yield* this.#value(statement.condition))) yield* this.#statement(statement.body);
        return;
      case 'foreach':
        return yield* this.#foreach(statement.over, statement.body);
      case 'exception':
        return yield* this.#exception(statement.body);
      case 'dotlock':
      case 'flock':
        return yield* this.#locked(statement.kind, statement.path, statement.body, statement.line);
      case 'exit':
        throw new FilterEnd(this.#exitCode());
      default:
        return yield* this.#simple(statement.kind, yield* this.#value(statement.value), statement.line);
    }
  }

  *#simple(
    kind: Extract<Statement, { value: Expression; line: number }>['kind'],
    value: string,
    line: number,
  ): Running<void> {
    switch (kind) {
      case 'to':
        yield* this.#deliver(value, line);
        throw new FilterEnd(this.#exitCode());
      case 'cc':
        return yield* this.#deliver(value, line);
      case 'echo':
        yield { type: 'print', text: unescaped(value) };
        return;
      case 'log':
        yield { type: 'log', text: unescaped(value) };
        return;
      case 'logfile': {
        const { ok } = yield { type: 'logfile', path: value };
        if (!ok) throw new FilterFailure('Unable to create log file.');
        return;
      }
      case 'xfilter':
        return yield* this.#filter(value, line);
      case 'system': {
        const outcome = yield { type: 'system', command: this.#shell(value), ...this.#facts(line) };
        this.#set('RETURNCODE', String(codeOf(outcome)));
        return;
      }
      case 'include':
        return yield* this.#include(value);
      case 'import':
        this.#set(value, this.#input.surroundings[value] ?? '');
        return;
      case 'unset':
        this.#variables.delete(value);
    }
  }

  *#foreach(over: Expression, body: Statement): Running<void> {
    if (over.kind !== 'pattern' && over.kind !== 'match') return;
    const matches: string[] = [];
    yield* this.#match(over, matches);
    for (const match of matches) {
      this.#set('MATCH', match);
      yield* this.#statement(body);
    }
  }

  /** Failures and exit codes other than 0 go no further; the mail may still be delivered elsewhere. */
  *#exception(body: Statement): Running<void> {
    try {
      yield* this.#statement(body);
    } catch (error) {
      if (error instanceof FilterFailure || (error instanceof FilterEnd && error.exitCode !== 0)) return;
      throw error;
    }
  }

  *#locked(kind: 'dotlock' | 'flock', at: Expression, body: Statement, line: number): Running<void> {
    const path = yield* this.#value(at);
    const sleepSeconds = Number.parseInt(this.#get('LOCKSLEEP'), 10) || 5;
    const timeoutSeconds = Number.parseInt(this.#get('LOCKTIMEOUT'), 10) || 60;
    const { ok } = yield { type: 'lock', kind, path, sleepSeconds, timeoutSeconds, ...this.#facts(line) };
    if (!ok) throw new FilterFailure(`Unable to lock ${path}.`);
    try {
      yield* this.#statement(body);
    } finally {
      yield { type: 'unlock', kind, path };
    }
  }

  *#include(path: string): Running<void> {
    if (this.#includes >= maildropLimits.includeDepthMax) {
      yield { type: 'say', text: 'Too many included files.' };
      throw new FilterEnd(exitTempFail);
    }
    const { ok, source } = yield { type: 'read', path };
    if (!ok || source === undefined) throw new FilterFailure('Unable to open include file.');
    this.#includes += 1;
    try {
      yield* this.runFile(path, source);
    } finally {
      this.#includes -= 1;
    }
  }

  // The mail

  /** With a line end at its end. */
  #wholeLines(): Buffer {
    const octets = this.#octets;
    return octets.length === 0 || octets.at(-1) === 10 ? octets : Buffer.concat([octets, Buffer.from('\n')]);
  }

  *#deliver(mailbox: string, at: number): Running<void> {
    if (this.#octets.length === 0) return;
    const input = this.#wholeLines();
    if (/^[!|]/.test(mailbox)) return yield* this.#deliverToProgram(mailbox, input, at);
    const outcome = yield {
      type: 'store',
      path: mailbox,
      input,
      sender: this.#input.sender,
      size: this.#octets.length,
      flags: this.#get('FLAGS').replace(/[^DFRS]/g, ''),
      keywords: this.#get('KEYWORDS')
        .split(',')
        .filter((keyword) => keyword !== ''),
      umask: Number.parseInt(this.#get('UMASK'), 8) || 0,
      ...this.#facts(at),
    };
    if (!outcome.ok) throw new FilterFailure('Unable to deliver to mailbox.');
    yield* this.#logDelivery(mailbox, true, outcome.length ?? input.length);
    this.delivered = true;
  }

  *#deliverToProgram(mailbox: string, input: Uint8Array, at: number): Running<void> {
    const forward = mailbox.startsWith('!') ? mailbox.slice(1) : undefined;
    const line = forward === undefined ? mailbox.slice(1) : `${this.#get('SENDMAIL')} -f '' ${forward}`;
    const outcome = yield { type: 'pipe', command: this.#shell(line), input, forward, ...this.#facts(at) };
    const code = codeOf(outcome);
    yield* this.#logDelivery(mailbox, outcome.ok && code === 0, input.length);
    // A program that does well need not read all of it.
    const taken = outcome.ok || code === 0;
    if (!taken) throw new FilterFailure('Unable to deliver to mailbox.');
    this.#set('EXITCODE', String(code));
    this.delivered = true;
  }

  *#logDelivery(mailbox: string, ok: boolean, length: number): Running<void> {
    const field = (name: string) =>
      [...this.#header().matchAll(new RegExp(`^${name}:[ \\t]*(.*)`, 'gim'))]
        .map(([, value]) => value)
        .join('');
    const from = field('From').slice(0, 72);
    const subject = field('Subject').slice(0, 72);
    const place = `${ok ? 'File: ' : '!Err: '}${mailbox.slice(0, logColumns).padEnd(logColumns)} (${length})`;
    yield {
      type: 'log',
      text: `Date: ${this.#input.date}\nFrom: ${from}\nSubj: ${subject}\n${place}\n\n`,
    };
  }

  /** An octet a character. */
  #header(): string {
    const end = this.#octets.indexOf('\n\n');
    return this.#octets.toString('latin1', 0, end < 0 ? undefined : end + 1);
  }

  *#filter(line: string, at: number): Running<void> {
    const outcome = yield {
      type: 'filter',
      command: this.#shell(line),
      input: this.#wholeLines(),
      ...this.#facts(at),
    };
    const code = codeOf(outcome) || (outcome.ok ? 0 : -1);
    this.#set('RETURNCODE', String(code));
    if (code !== 0 || outcome.output === undefined) throw new FilterFailure('Unable to filter message.');
    this.#setMail(outcome.output);
  }

  // Expressions

  *#value(expression: Expression): Running<string> {
    this.#countStep();
    switch (expression.kind) {
      case 'text':
        return this.#expand(expression.text);
      case 'literal':
        return expression.text;
      case 'command':
        return yield* this.#output(expression.text, expression.line);
      case 'concat': {
        let text = '';
        for (const part of expression.parts) text += yield* this.#value(part);
        return text;
      }
      case 'pattern':
      case 'match':
        return formatNumber(yield* this.#match(expression));
      case 'assign': {
        const value = yield* this.#value(expression.value);
        this.#set(expression.name, value);
        return value;
      }
      case 'binary':
        return yield* this.#binary(expression.sign, expression.left, expression.right);
      case 'not':
        return isTrue(yield* this.#value(expression.value)) ? '0' : '1';
      case 'complement':
        return String(~integerOf(yield* this.#value(expression.value)));
      case 'call':
        return yield* this.#call(expression.name, expression.values);
    }
  }

  /** One line: line ends become blanks, those around it go. */
  *#output(line: string, at: number): Running<string> {
    const outcome = yield {
      type: 'output',
      command: this.#shell(line),
      input: this.#wholeLines(),
      ...this.#facts(at),
    };
    const code = codeOf(outcome);
    this.#set('RETURNCODE', String(code));
    if (code !== 0) return '';
    const printed = Buffer.from(outcome.output ?? []).toString('latin1', 0, maildropLimits.outputBytesMax);
    return trimmed(printed.replace(/[\r\n]/g, ' '), ' \t\v\f');
  }

  *#binary(sign: string, left: Expression, right: Expression): Running<string> {
    const first = yield* this.#value(left);
    if (sign === '||') return isTrue(first) ? first : yield* this.#value(right);
    if (sign === '&&') return isTrue(first) ? yield* this.#value(right) : first;
    const second = yield* this.#value(right);
    const compare = comparisons[sign];
    if (compare === undefined) return formatNumber(arithmetic(sign, numberOf(first), numberOf(second)));
    const holds = /[a-z]/.test(sign)
      ? compare(first < second ? -1 : Number(first > second))
      : compareNumbers(compare, numberOf(first), numberOf(second));
    return holds ? '1' : '0';
  }

  *#call(name: string, expressions: readonly Expression[]): Running<string> {
    const values: string[] = [];
    for (const each of expressions) values.push(yield* this.#value(each));
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
        return hasAddress(this.#header(), first) ? '1' : '0';
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
      this.#countStep();
      const compiled = this.#compile(pattern, letters.includes('D'));
      if (compiled === undefined) throw new FilterFailure(`Bad pattern in ${path}: ${pattern}`);
      if (compiled.test(subject)) return true;
    }
    return false;
  }

  // Patterns

  /** The score. MATCH and its groups are set by a match that is not weighed; @param all every match's text, for foreach */
  *#match(
    expression: PatternExpression | Extract<Expression, { kind: 'match' }>,
    all?: string[],
  ): Running<number> {
    const written = expression.kind === 'match' ? expression.pattern : expression;
    const subject = expression.kind === 'match' ? yield* this.#value(expression.subject) : undefined;
    const { pattern, options } = splitPattern(written.text);
    const compiled = this.#compile(this.#expand(pattern), options.caseSensitive);
    if (compiled === undefined) {
      yield { type: 'say', text: `line ${written.line}: Syntax error in /pattern/.` };
      return 0;
    }
    return subject === undefined
      ? this.#matchLines(compiled, options, all)
      : this.#matchText(compiled, subject, options, all);
  }

  /** One match a line. */
  #matchLines(compiled: SafePattern, options: PatternOptions, all?: string[]): number {
    const score = new Score(options.weights);
    for (const line of this.#text.lines(options)) {
      const captures = captured(compiled, line, 0)?.captures;
      if (captures === undefined) continue;
      score.add();
      if (options.weights !== undefined && all === undefined) continue;
      this.#noteMatch(captures, all);
      if (all === undefined) break;
    }
    return score.sum;
  }

  #matchText(compiled: SafePattern, text: string, options: PatternOptions, all?: string[]): number {
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
      this.#countStep();
    }
    return score.sum;
  }

  #noteMatch(captures: readonly (string | undefined)[], all?: string[]): void {
    for (const [index, capture = ''] of captures.entries()) {
      this.#set(index === 0 ? 'MATCH' : `MATCH${index}`, Buffer.from(capture, 'utf8').toString('latin1'));
    }
    if (all === undefined) return;
    if (all.length >= maildropLimits.matchesMax) throw new FilterLimit('Too many matches.');
    all.push(this.#get('MATCH'));
  }

  /** Undefined for what is no pattern. */
  #compile(pattern: string, caseSensitive: boolean): SafePattern | undefined {
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

const logColumns = 66;

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

const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
};

/** What is no number is neither less nor more nor equal. */
function compareNumbers(compare: (order: number) => boolean, left: number, right: number): boolean {
  return compare(left < right ? -1 : left > right ? 1 : left === right ? 0 : Number.NaN);
}

function arithmetic(sign: string, left: number, right: number): number {
  switch (sign) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default: {
      const [a, b] = [unsigned(left), unsigned(right)];
      return Number(BigInt.asUintN(64, sign === '|' ? a | b : a & b));
    }
  }
}

function unsigned(value: number): bigint {
  return BigInt.asUintN(64, BigInt(Number.isFinite(value) ? Math.trunc(value) : 0));
}

/** From an offset on, as many octets as asked for. */
function substring(text: string, from: string, count: string | undefined): string {
  const start = Number(integerOf(from));
  const rest = start < 0 ? '' : text.slice(start);
  const wanted = count === undefined ? -1 : Number(integerOf(count));
  return wanted < 0 ? rest : rest.slice(0, wanted);
}

/** -1 where a signal ended it. */
function codeOf({ exitCode = 0 }: StepOutcome): number {
  return exitCode < 0 ? -1 : exitCode;
}
