/**
 * Runs a maildrop filter on a mail: a generator that yields what is to be done and is told how it went, so that the
 * same filter delivers at once (as an MDA), or is only shown. maildropfilter(7).
 */
import { maildropLimits } from '../../core/base/limits/rules.ts';
import { type DeliveryFacts, deliver, filterMail } from './delivery.ts';
import { FilterEnd, FilterFailure, FilterLimit } from './ends.ts';
import { Evaluation } from './evaluate.ts';
import { type Expression, parseFilter, type Statement } from './filter.ts';
import { FilterState } from './state.ts';
import { codeOf, type Running } from './steps.ts';
import { FilterSyntaxError } from './tokens.ts';
import { isTrue, unescaped } from './values.ts';

export interface FilterInput extends DeliveryFacts {
  readonly octets: Uint8Array;
  /** Filter files by path; one that is not there is passed over where it is not `required`. */
  readonly filters: readonly { readonly path: string; readonly required: boolean }[];
  /** Variables before the first statement. */
  readonly variables: Readonly<Record<string, string>>;
  /** What `import` finds. */
  readonly surroundings: Readonly<Record<string, string | undefined>>;
  /** Nothing may be delivered; only the exit code and what is printed count. maildrop(1), "Embedded mode". */
  readonly embedded?: boolean;
}

export interface FilterResult {
  readonly exitCode: number;
  /** False where the filter said that the mail is to go nowhere, or failed. */
  readonly delivered: boolean;
}

const exitTempFail = 75;

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
  readonly #state: FilterState;
  readonly #expressions: Evaluation;
  #includes = 0;
  delivered = false;

  constructor(input: FilterInput) {
    this.#input = input;
    this.#state = new FilterState(input.variables, input.octets);
    this.#expressions = new Evaluation(this.#state);
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
    if (this.#input.embedded !== true) yield* this.#deliver(this.#state.get('DEFAULT'), 0);
    return { exitCode: this.#state.exitCode, delivered: this.delivered };
  }

  *#statement(statement: Statement): Running<void> {
    this.#state.countStep();
    switch (statement.kind) {
      case 'block':
        for (const each of statement.statements) yield* this.#statement(each);
        return;
      case 'expression':
        yield* this.#expressions.value(statement.value);
        return;
      case 'if':
        if (isTrue(yield* this.#expressions.value(statement.condition)))
          yield* this.#statement(statement.then);
        else if (statement.otherwise !== undefined) yield* this.#statement(statement.otherwise);
        return;
      case 'while':
        while (isTrue(yield* this.#expressions.value(statement.condition)))
          yield* this.#statement(statement.body);
        return;
      case 'foreach':
        return yield* this.#foreach(statement.over, statement.body);
      case 'exception':
        return yield* this.#exception(statement.body);
      case 'dotlock':
      case 'flock':
        return yield* this.#locked(statement.kind, statement.path, statement.body, statement.line);
      case 'exit':
        throw new FilterEnd(this.#state.exitCode);
      default:
        return yield* this.#simple(
          statement.kind,
          yield* this.#expressions.value(statement.value),
          statement.line,
        );
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
        throw new FilterEnd(this.#state.exitCode);
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
        return yield* filterMail(this.#state, value, line);
      case 'system': {
        const outcome = yield {
          type: 'system',
          command: this.#state.shell(value),
          ...this.#state.facts(line),
        };
        this.#state.set('RETURNCODE', String(codeOf(outcome)));
        return;
      }
      case 'include':
        return yield* this.#include(value);
      case 'import':
        this.#state.set(value, this.#input.surroundings[value] ?? '');
        return;
      case 'unset':
        this.#state.unset(value);
    }
  }

  *#foreach(over: Expression, body: Statement): Running<void> {
    if (over.kind !== 'pattern' && over.kind !== 'match') return;
    const matches: string[] = [];
    yield* this.#expressions.match(over, matches);
    for (const match of matches) {
      this.#state.set('MATCH', match);
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
    const path = yield* this.#expressions.value(at);
    const sleepSeconds = Number.parseInt(this.#state.get('LOCKSLEEP'), 10) || 5;
    const timeoutSeconds = Number.parseInt(this.#state.get('LOCKTIMEOUT'), 10) || 60;
    const { ok } = yield {
      type: 'lock',
      kind,
      path,
      sleepSeconds,
      timeoutSeconds,
      ...this.#state.facts(line),
    };
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

  *#deliver(mailbox: string, at: number): Running<void> {
    if (yield* deliver(this.#state, mailbox, at, this.#input)) this.delivered = true;
  }
}
