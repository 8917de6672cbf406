/**
 * Rules written as JSON: `{ name, when, then }`, run in order over one message. A library without I/O: whoever runs
 * rules gathers the facts and carries out what they come to. The language is described in README.md beside this file.
 */
import { ruleLimits } from '../../core/base/limits/rules.ts';
import type { Edit } from '../../core/mail/edit.ts';
import { type Action, compileAction, type Decision } from './action.ts';
import { type Condition, compileCondition, type Needs } from './condition.ts';
import type { RuleFacts } from './facts.ts';
import { readList, readObject, readString } from './read.ts';
import { RuleError } from './rule-error.ts';

export type { Decision } from './action.ts';
export { type FactSource, gatherFacts, type RuleContent, type RuleFacts } from './facts.ts';
export { type Field, HeaderFields } from './header-fields.ts';
export { RuleError } from './rule-error.ts';

export interface Outcome {
  /** Absent when no rule decided. A refusal or discard ended the rules; a quarantine did not. */
  readonly decision?: Decision;
  /** None where the message is refused or discarded. */
  readonly edits: readonly Edit[];
  /** Sum of the symbols' scores. */
  readonly score: number;
  readonly symbols: readonly { readonly name: string; readonly score: number }[];
  /** Names of the rules whose condition held, in order. */
  readonly matched: readonly string[];
}

export interface RuleSet {
  /** True when some rule asks about text or attachments, so that facts must have content. */
  readonly needsContent: boolean;
  run(facts: RuleFacts): Outcome;
}

interface Rule {
  readonly name: string;
  readonly holds: Condition;
  readonly actions: readonly Action[];
}

/**
 * @param withContent whether rules may ask about text and attachments
 * @throws RuleError naming the rule and the place in it
 */
export function compileRules(source: readonly unknown[], options: { withContent: boolean }): RuleSet {
  if (source.length > ruleLimits.rulesMax) {
    throw new RuleError('rules', `more than ${ruleLimits.rulesMax} rules`);
  }
  const needs: Needs = { content: false };
  const rules = source.map((rule, index) => compileRule(rule, index, options.withContent, needs));
  return { needsContent: needs.content, run: (facts) => runRules(rules, facts) };
}

function compileRule(source: unknown, index: number, withContent: boolean, needs: Needs): Rule {
  const place = `rule ${index + 1}`;
  const rule = readObject(source, ['name', 'when', 'then'], place);
  const name = rule.name === undefined ? place : readString(rule.name, `${place}: name`);
  const where = rule.name === undefined ? place : `${place} (${name})`;
  const actions = readList(rule.then ?? [], `${where}: then`);
  if (actions.length === 0) throw new RuleError(where, 'it has no "then"');
  return {
    name,
    holds:
      rule.when === undefined
        ? () => true
        : compileCondition(rule.when, `${where}: when`, withContent, needs),
    actions: actions.map((action, at) => compileAction(action, name, `${where}: then[${at}]`)),
  };
}

function runRules(rules: readonly Rule[], facts: RuleFacts): Outcome {
  const symbols: { name: string; score: number }[] = [];
  const matched: string[] = [];
  let held: Decision | undefined;
  const outcome = (decision: Decision | undefined, edits: readonly Edit[]): Outcome => {
    const score = symbols.reduce((sum, symbol) => sum + symbol.score, 0);
    return { decision, edits, score, symbols, matched };
  };
  for (const rule of rules) {
    if (!rule.holds(facts)) continue;
    matched.push(rule.name);
    let stop = false;
    for (const action of rule.actions) {
      const effect = action(facts);
      if (effect?.score) symbols.push(effect.score);
      if (effect?.stop) stop = true;
      if (!effect?.decision) continue;
      if (effect.decision.action !== 'quarantine') {
        return outcome(effect.decision, []);
      }
      held ??= effect.decision;
    }
    if (stop) break;
  }
  return outcome(held, facts.fields.edits);
}
