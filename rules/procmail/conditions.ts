/** A recipe's conditions: expressions, programs, sizes, variables, weighted or not. procmailrc(5), procmailsc(5). */
import { type Expansion, expandQuoted, expandWords, type Scope } from './expand.ts';
import { PatternError } from './expression.ts';
import { type Mail, partsOf, unfolded } from './mail.ts';
import { compilePattern } from './pattern.ts';
import type { Condition } from './rcfile.ts';
import { extract, Search } from './search.ts';
import type { Command, Parts, Step, StepFacts, StepOutcome } from './steps.ts';

/** procmail's plus infinity: past it nothing is counted any more. */
export const scoreMax = 2147483647;

/** What programs of an rcfile are run with. */
export interface ProgramHouse extends Scope {
  /** What they read: of the mail, with an empty line at its end. */
  octets(parts: Parts): Uint8Array;
  facts(line: number): StepFacts;
}

/** What conditions look at. */
export interface ConditionHouse extends ProgramHouse {
  readonly mail: Mail;
  set(name: string, value: string): void;
  /** Compiled expressions, by their text and case. @throws PatternError */
  search(expression: string, caseSensitive: boolean): Search;
}

/** What one condition came to, for a trace. */
export interface ConditionResult {
  readonly line: number;
  readonly text: string;
  readonly matched: boolean;
  /** What it added; absent where it has no weight. */
  readonly added?: number;
}

export interface ConditionsResult {
  readonly matched: boolean;
  /** After the last condition that was looked at. */
  readonly score: number;
  readonly conditions: readonly ConditionResult[];
}

const wholeMail: Parts = { header: true, body: true };

export interface Weight {
  readonly weight: number;
  readonly exponent: number;
}

/** Where a condition looks. */
export type Area = Parts | { readonly variable: string };

export function* evaluateConditions(
  conditions: readonly Condition[],
  flags: ReadonlySet<string>,
  house: ConditionHouse,
): Generator<Step, ConditionsResult, StepOutcome> {
  const results: ConditionResult[] = [];
  let score = 0;
  let isScored = false;
  for (const condition of conditions) {
    const judged = yield* evaluate(condition, flags, house, score);
    isScored ||= judged.added !== undefined;
    score = clamp(score + (judged.added ?? 0));
    results.push({ line: condition.line, text: condition.text, ...judged });
    const lost = judged.added === undefined ? !judged.matched : score <= -scoreMax;
    if (lost) return { matched: false, score, conditions: results };
  }
  return { matched: !isScored || score > 0, score, conditions: results };
}

interface Judged {
  readonly matched: boolean;
  readonly added?: number;
}

const weighted = /^([-+]?(?:\d+\.?\d*|\.\d+))\^([-+]?(?:\d+\.?\d*|\.\d+))(?:[ \t]+|$)/;
const variableArea = /^([A-Za-z_][A-Za-z_0-9]*)[ \t]*\?\?[ \t]*/;

/** A condition with what stands before its expression read off. */
export interface ReadCondition {
  readonly weight: Weight | undefined;
  readonly inverted: boolean;
  readonly area: Area;
  /** `? program`, a size or an expression. */
  readonly text: string;
}

export function* readCondition(
  condition: string,
  flags: ReadonlySet<string>,
  scope: Scope,
): Expansion<ReadCondition> {
  let text = condition;
  let weight: Weight | undefined;
  let inverted = false;
  let area: Area = { header: flags.has('H') || !flags.has('B'), body: flags.has('B') };
  for (;;) {
    text = text.replace(/^[ \t\n]+/, '');
    const [whole, number, exponent] = weighted.exec(text) ?? [];
    const [areaWhole, name] = variableArea.exec(text) ?? [];
    if (whole !== undefined) {
      weight = { weight: Number(number), exponent: Number(exponent) };
      text = text.slice(whole.length);
    } else if (areaWhole !== undefined) {
      area = /^(?:B|H|HB|BH)$/.test(name!)
        ? { header: name!.includes('H'), body: name!.includes('B') }
        : { variable: name! };
      text = text.slice(areaWhole.length);
    } else if (text.startsWith('!')) {
      inverted = !inverted;
      text = text.slice(1);
    } else if (text.startsWith('$')) {
      text = yield* expandQuoted(text.slice(1).trimStart(), scope);
      // A dollar that stays one is the expression's.
      if (text.startsWith('$')) break;
    } else {
      break;
    }
  }
  return { weight, inverted, area, text };
}

/** `< 1000`, `> 1000`: undefined for any other text. */
export function sizeOf(text: string): { readonly sign: '<' | '>'; readonly octets: number } | undefined {
  const [, sign, octets] = /^([<>])[ \t]*(\d+)[ \t]*$/.exec(text) ?? [];
  return sign === undefined ? undefined : { sign: sign as '<' | '>', octets: Number(octets) };
}

/** A backslash in front takes from what follows the meaning it has at the start of a condition. */
export function expressionOf(text: string): string {
  return text.startsWith('\\') ? text.slice(1) : text;
}

function* evaluate(
  condition: Condition,
  flags: ReadonlySet<string>,
  house: ConditionHouse,
  score: number,
): Generator<Step, Judged, StepOutcome> {
  // Nothing can be added to what is infinite.
  if (score >= scoreMax && weighted.test(condition.text.trimStart())) return { matched: true, added: 0 };
  const reading = readCondition(condition.text, flags, house);
  const { weight, inverted, area, text } = yield* answered(reading, condition.line, house);
  if (text.startsWith('?')) {
    const parts = 'variable' in area ? wholeMail : area;
    return yield* runTest(condition.line, text.slice(1).trim(), parts, weight, inverted, house);
  }
  const size = sizeOf(text);
  if (size !== undefined) return compareSize(size.sign, size.octets, weight, inverted, house.mail);
  return search(expressionOf(text), area, flags.has('D'), weight, inverted, house);
}

/** An expansion with its backquotes run. */
export function* answered<Result>(
  expansion: Expansion<Result>,
  line: number,
  house: ProgramHouse,
): Generator<Step, Result, StepOutcome> {
  let step = expansion.next();
  while (!step.done) {
    const command = yield* commandOf(step.value, line, house);
    const outcome = yield { type: 'output', command, input: house.octets(wholeMail), ...house.facts(line) };
    const output = Buffer.from(outcome.output ?? new Uint8Array(0)).toString('latin1');
    step = expansion.next(output.endsWith('\n') ? output.slice(0, -1) : output);
  }
  return step.value;
}

function* runTest(
  line: number,
  text: string,
  parts: Parts,
  weight: Weight | undefined,
  inverted: boolean,
  house: ConditionHouse,
): Generator<Step, Judged, StepOutcome> {
  const command = yield* commandOf(text, line, house);
  const { exitCode = 1 } = yield { type: 'test', command, input: house.octets(parts), ...house.facts(line) };
  house.set('?', String(exitCode));
  const matched = (exitCode === 0) !== inverted;
  if (weight === undefined) return { matched };
  if (inverted) return { matched, added: series(weight, exitCode) };
  return { matched, added: exitCode === 0 ? weight.weight : weight.exponent };
}

function compareSize(
  sign: string,
  limit: number,
  weight: Weight | undefined,
  inverted: boolean,
  mail: Mail,
): Judged {
  const length = mail.header.length + mail.body.length;
  const matched = (sign === '<' ? length < limit : length > limit) !== inverted;
  if (weight === undefined) return { matched };
  return { matched, added: sizeScore((sign === '<') !== inverted, length, limit, weight) };
}

/** A negation turns the ratio over. A mail or a limit of no octets makes it plus or minus infinity, whatever the weight. procmailsc(5) */
function sizeScore(isBelow: boolean, length: number, limit: number, { weight, exponent }: Weight): number {
  const infinite = 2 * scoreMax;
  if (isBelow && length === 0) return limit > 0 ? infinite : -infinite;
  if (!isBelow && limit === 0) return infinite;
  return clamp(weight * (isBelow ? limit / length : length / limit) ** exponent);
}

function search(
  expression: string,
  area: Area,
  caseSensitive: boolean,
  weight: Weight | undefined,
  inverted: boolean,
  house: ConditionHouse,
): Judged {
  const text =
    'variable' in area
      ? Buffer.from(house.get(area.variable) ?? '', 'latin1')
      : partsOf(
          { header: area.header ? unfolded(house.mail.header) : house.mail.header, body: house.mail.body },
          area,
        );
  let engine: Search;
  try {
    engine = house.search(expression, caseSensitive);
  } catch (error) {
    if (error instanceof PatternError) return { matched: false, ...(weight && { added: 0 }) };
    throw error;
  }
  const matchedAt = engine.find(text);
  if (matchedAt >= 0 && engine.pattern.marks && !inverted) {
    const found = extract(engine.pattern, text);
    if (found !== undefined)
      house.set('MATCH', Buffer.from(text.subarray(found.start, found.end)).toString('latin1'));
  }
  const matched = matchedAt >= 0 !== inverted;
  if (weight === undefined) return { matched };
  if (inverted) return { matched, added: matched ? weight.weight : 0 };
  return { matched, added: countMatches(engine, text, matchedAt, weight) };
}

/** The sum over all matches, each beginning where the one before ended. */
function countMatches(engine: Search, text: Uint8Array, first: number, { weight, exponent }: Weight): number {
  let added = 0;
  let share = weight;
  for (let from = 0, end = first; end >= 0; end = engine.find(text, from)) {
    added = clamp(added + share);
    share *= exponent;
    // An expression that matches nothing matches for ever.
    if (end === from) return infiniteSeries(added, share, exponent);
    if (end > text.length || share === 0 || Math.abs(added) >= scoreMax) break;
    from = end;
  }
  return added;
}

function infiniteSeries(before: number, share: number, exponent: number): number {
  if (exponent <= 0 || share === 0) return before;
  if (exponent < 1) return clamp(before + share / (1 - exponent));
  return clamp(before + share * Number.POSITIVE_INFINITY);
}

/** w + wx + wxx ..., n times. */
function series({ weight, exponent }: Weight, count: number): number {
  let added = 0;
  let share = weight;
  for (let n = 0; n < count && Math.abs(added) < scoreMax; n++) {
    added += share;
    share *= exponent;
  }
  return clamp(added);
}

function clamp(score: number): number {
  if (Number.isNaN(score)) return 0;
  return Math.max(-scoreMax, Math.min(scoreMax, score));
}

/** Of a condition that names programs: words, or a line for the shell. */
export function* commandOf(
  text: string,
  line: number,
  house: ProgramHouse,
): Generator<Step, Command, StepOutcome> {
  const metas = house.get('SHELLMETAS') ?? '';
  if ([...metas].some((meta) => text.includes(meta))) {
    return {
      kind: 'shell',
      shell: house.get('SHELL') ?? '/bin/sh',
      flags: house.get('SHELLFLAGS') ?? '-c',
      line: text,
    };
  }
  return { kind: 'program', argv: yield* answered(expandWords(text, house), line, house) };
}

/** @throws PatternError */
export function compileSearch(expression: string, caseSensitive: boolean): Search {
  return new Search(compilePattern(expression, { caseSensitive }));
}
