/** A recipe's conditions as one test. procmailrc(5), "Conditions". */
import {
  type Area,
  compileSearch,
  expressionOf,
  type ReadCondition,
  readCondition,
  sizeOf,
} from '../conditions.ts';
import { PatternError, parseExpression } from '../expression.ts';
import type { Condition } from '../rcfile.ts';
import { CannotConvert } from './cannot-convert.ts';
import { fieldTests } from './field-tests.ts';
import { type ConversionScope, expanded } from './scope.ts';
import { scoreTest, type WeightedTest } from './score-tests.ts';
import { allOf, always, anyOf, hasPlaceholder, negated, quotedText, type Test } from './sieve-text.ts';
import { type Value, valueTest } from './value-tests.ts';

export interface ConditionsTest {
  readonly test: Test;
  /** What the author should know of where the two could still part. */
  readonly notes: readonly string[];
}

/** @throws CannotConvert */
export function conditionsTest(
  conditions: readonly Condition[],
  flags: ReadonlySet<string>,
  scope: ConversionScope,
): ConditionsTest {
  const notes: string[] = [];
  const plain: Test[] = [];
  const weighted: WeightedTest[] = [];
  for (const { text } of conditions) {
    const read = expanded(readCondition(text, flags, scope));
    const { test, notes: own } = judge(read, flags, scope);
    notes.push(...own);
    const whole = read.inverted ? negated(test) : test;
    if (read.weight === undefined) plain.push(whole);
    else weighted.push(weightOf(read, whole));
  }
  const score = weighted.length === 0 ? always : scoreTest(weighted);
  return { test: allOf([...plain, score]), notes: [...new Set(notes)] };
}

function weightOf({ weight, text }: ReadCondition, test: Test): WeightedTest {
  const { weight: adds, exponent } = weight!;
  // procmailsc(5): a size adds its weight whether it is kept to or not.
  if (sizeOf(text) === undefined) return { test, weight: adds, exponent };
  if (exponent !== 0) throw new CannotConvert('its score depends on the size of the mail');
  return { test: always, weight: adds, exponent };
}

function judge(
  { area, text }: ReadCondition,
  flags: ReadonlySet<string>,
  scope: ConversionScope,
): ConditionsTest {
  if (text.startsWith('?')) throw new CannotConvert(`it needs a program: ${text.slice(1).trim()}`);
  const size = sizeOf(text);
  if (size !== undefined) {
    const test: Test = {
      kind: 'asked',
      text: `size ${size.sign === '<' ? ':under' : ':over'} ${size.octets}`,
      requires: [],
    };
    return { test, notes: ['Sieve counts the octets with CRLF line ends, without the From_ line'] };
  }
  if (hasPlaceholder(text))
    throw new CannotConvert('its expression holds a variable that depends on the mail');
  return search(expressionOf(text), area, flags.has('D'), scope);
}

function search(
  expression: string,
  area: Area,
  caseSensitive: boolean,
  scope: ConversionScope,
): ConditionsTest {
  if (expression === '') return { test: always, notes: [] };
  try {
    if ('variable' in area)
      return { test: variableTest(expression, area.variable, caseSensitive, scope), notes: [] };
    const tests: Test[] = [];
    const notes: string[] = [];
    if (area.header) {
      const fields = fieldTests(expression, caseSensitive);
      tests.push(fields.test);
      notes.push(...fields.notes);
    }
    if (area.body) tests.push(bodyTest(expression, caseSensitive));
    return { test: anyOf(tests), notes };
  } catch (error) {
    if (error instanceof PatternError) throw new CannotConvert(`its expression is ${error.message}`);
    throw error;
  }
}

function bodyTest(expression: string, caseSensitive: boolean): Test {
  return valueTest(parsed(expression, caseSensitive), {
    ...{ command: 'body :raw', source: '', requires: ['body'], kind: 'lines', caseSensitive },
  });
}

function variableTest(
  expression: string,
  name: string,
  caseSensitive: boolean,
  scope: ConversionScope,
): Test {
  const text = scope.get(name);
  if (!hasPlaceholder(text)) {
    const found = compileSearch(expression, caseSensitive).find(Buffer.from(text, 'latin1')) >= 0;
    return { kind: 'constant', holds: found };
  }
  const value: Value = {
    ...{
      command: 'string',
      source: ` ${quotedText(text)}`,
      requires: ['variables'],
      kind: 'line',
      caseSensitive,
    },
  };
  return valueTest(parsed(expression, caseSensitive), value);
}

function parsed(expression: string, caseSensitive: boolean) {
  const { root, problem } = parseExpression(expression, { caseSensitive });
  if (problem !== undefined) throw new CannotConvert(`its expression has ${problem}`);
  return root;
}
