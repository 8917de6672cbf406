/** What is wrong with a config: where, what was found, what is expected; and ajv's errors in these words. */
import type { ErrorObject } from 'ajv';
import { OperationalError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { pointerStep } from './jsonc.ts';

/** One thing wrong, not yet placed in the file. */
export interface Finding {
  /** JSON pointer of the value, or of the key where `atKey`. */
  readonly pointer: string;
  readonly atKey?: boolean;
  readonly found: string;
  readonly expected: string;
  /** The nearest known word. */
  readonly suggestion?: string;
}

/** One thing wrong with the file; line and column count from 1. */
export interface ConfigProblem extends Finding {
  /** Absolute path. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** The config cannot be used. The message lists every problem, one a line. */
export class ConfigError extends OperationalError {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
    super('config-invalid', [`${file} has ${count}:`, ...problems.map(formatProblem)].join('\n'), {
      temporary: false,
      facts: { file, problems: problems.map(formatProblem) },
    });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `file:line:column /pointer: found ..., expected ...`, as editors and terminals make it clickable. */
export function formatProblem(problem: ConfigProblem): string {
  const where = `${problem.file}:${problem.line}:${problem.column}`;
  const pointer = problem.pointer === '' ? '(whole file)' : problem.pointer;
  const hint = problem.suggestion === undefined ? '' : `; did you mean "${problem.suggestion}"?`;
  return `${where} ${pointer}: found ${problem.found}, expected ${problem.expected}${hint}`;
}

/** ajv's errors (made with `allErrors` and `verbose`) as findings. */
export function findingsOf(errors: readonly ErrorObject[]): Finding[] {
  return errors.flatMap((error) => findingOf(error) ?? []);
}

/** A value as a message shows it: JSON, cut short. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function findingOf(error: ErrorObject): Finding | undefined {
  const pointer = error.instancePath;
  const schema = (error.parentSchema ?? {}) as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(pointer, String(error.params.additionalProperty), schema);
    case 'required':
      return {
        pointer,
        found: 'an object without it',
        expected: `the key "${String(error.params.missingProperty)}"`,
      };
    case 'propertyNames':
      // The errors of the names themselves say more.
      return undefined;
    case 'enum':
      return wrongChoice(pointer, error.data, error.params.allowedValues as unknown[]);
    default:
      return error.propertyName === undefined
        ? { pointer, found: show(error.data), expected: expectation(error, schema) }
        : {
            pointer: pointer + pointerStep(error.propertyName),
            atKey: true,
            found: `"${error.propertyName}"`,
            expected: expectation(error, schema),
          };
  }
}

function unknownKey(pointer: string, key: string, schema: Readonly<Record<string, unknown>>): Finding {
  const known = Object.keys((schema.properties ?? {}) as object);
  const suggestion = nearest(key, known);
  return {
    pointer: pointer + pointerStep(key),
    atKey: true,
    found: `the unknown key "${key}"`,
    expected: known.length > 24 ? 'a known key' : `one of ${known.join(', ')}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function wrongChoice(pointer: string, data: unknown, allowed: readonly unknown[]): Finding {
  const words = allowed.map(String);
  const suggestion = typeof data === 'string' ? nearest(data, words) : undefined;
  return {
    pointer,
    found: show(data),
    expected: words.length === 1 ? `"${words[0]}"` : `one of ${words.join(', ')}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

function expectation(error: ErrorObject, schema: Readonly<Record<string, unknown>>): string {
  if (typeof schema.expects === 'string') return schema.expects;
  const { limit, type } = error.params as { limit?: number; type?: string | string[] };
  switch (error.keyword) {
    case 'type':
      return [type ?? []]
        .flat()
        .map((name) => typeNames[name] ?? name)
        .join(' or ');
    case 'minimum':
      return `at least ${limit}`;
    case 'maximum':
      return `at most ${limit}`;
    case 'minLength':
      return limit === 1 ? 'a string that is not empty' : `at least ${limit} characters`;
    case 'maxLength':
      return `at most ${limit} characters`;
    case 'minItems':
      return `a list of at least ${limit}`;
    case 'maxItems':
      return `a list of at most ${limit}`;
    case 'uniqueItems':
      return 'each entry once';
    default:
      return error.message ?? error.keyword;
  }
}
