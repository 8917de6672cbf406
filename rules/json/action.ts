/** The `then` of a rule: changes of the header, a score, or what becomes of the message. One action is one object. */
import type { RuleFacts } from './facts.ts';
import {
  type JsonObject,
  readBoolean,
  readChoice,
  readHeaderName,
  readNumber,
  readObject,
  readString,
} from './read.ts';
import { RuleError } from './rule-error.ts';
import { compileTemplate, type TemplateFacts } from './template.ts';
import { compileTest } from './test.ts';

/** What becomes of a message; the words of RFC 5321 and RFC 3463. */
export type Decision =
  | {
      readonly action: 'reject' | 'tempfail';
      readonly code: number;
      readonly enhanced: string;
      readonly text: string;
    }
  | { readonly action: 'discard' | 'quarantine'; readonly reason: string };

/** What one action came to; a change of the header lies in the facts' fields. */
export interface Effect {
  readonly decision?: Decision;
  readonly score?: { readonly name: string; readonly score: number };
  /** No later rule is looked at. */
  readonly stop?: boolean;
}

export type Action = (facts: RuleFacts) => Effect | undefined;

const editActions = ['add', 'insert', 'set', 'delete', 'rename'] as const;
const decisions = ['reject', 'tempfail', 'discard', 'quarantine'] as const;
export const actionNames = [...editActions, ...decisions, 'score', 'stop'] as const;
type ActionName = (typeof actionNames)[number];

/** Keys that go with each action. */
const companions: Readonly<Record<ActionName, readonly string[]>> = {
  add: ['value'],
  insert: ['value'],
  set: ['value'],
  delete: ['matches', 'contains', 'equals', 'startsWith', 'endsWith', 'caseSensitive'],
  rename: ['to'],
  reject: ['code', 'status'],
  tempfail: ['code', 'status'],
  discard: [],
  quarantine: [],
  score: ['symbol'],
  stop: [],
};

/**
 * @param ruleName what a score counts under when the action names no symbol
 * @throws RuleError
 */
export function compileAction(source: unknown, ruleName: string, where: string): Action {
  const allKeys = [...new Set([...actionNames, ...Object.values(companions).flat()])];
  const action = readObject(source, allKeys, where);
  const name = readChoice(action, actionNames, where);
  for (const key of Object.keys(action)) {
    if (key !== name && !companions[name].includes(key)) {
      throw new RuleError(where, `"${key}" does not go together with "${name}"`);
    }
  }
  const place = `${where}: ${name}`;
  switch (name) {
    case 'add':
    case 'insert':
    case 'set':
      return compileWrite(action, name, place);
    case 'delete':
      return compileDelete(action, place);
    case 'rename': {
      const from = readHeaderName(action.rename, place);
      const to = readHeaderName(action.to, `${where}: to`);
      return ({ fields }) => void fields.rename(from, to);
    }
    case 'reject':
    case 'tempfail':
      return compileRefusal(action, name, place);
    case 'discard':
    case 'quarantine': {
      const reason = compileTemplate(readString(action[name], place), place);
      return (facts) => ({ decision: { action: name, reason: reason(templateFacts(facts)) } });
    }
    case 'score': {
      const score = {
        name: readSymbol(action.symbol ?? symbolOf(ruleName), place),
        score: readNumber(action.score, place),
      };
      return () => ({ score });
    }
    case 'stop':
      if (readBoolean(action.stop, place) !== true) throw new RuleError(place, 'can be true only');
      return () => ({ stop: true });
  }
}

function compileWrite(action: JsonObject, name: 'add' | 'insert' | 'set', where: string): Action {
  const header = readHeaderName(action[name], where);
  const value = compileTemplate(readString(action.value, `${where}: value`), where);
  return (facts) => void facts.fields[name](header, value(templateFacts(facts)));
}

function compileDelete(action: JsonObject, where: string): Action {
  const header = readHeaderName(action.delete, where);
  const { delete: _, ...test } = action;
  if (Object.keys(test).length === 0) return ({ fields }) => void fields.delete(header);
  const doomed = compileTest(test, where);
  return ({ fields }) => void fields.delete(header, (value) => doomed([value]));
}

function compileRefusal(action: JsonObject, name: 'reject' | 'tempfail', where: string): Action {
  const replyClass = name === 'reject' ? 5 : 4;
  const code = readNumber(action.code ?? (replyClass === 5 ? 550 : 451), `${where}: code`);
  if (!Number.isInteger(code) || code < replyClass * 100 || code > replyClass * 100 + 59) {
    throw new RuleError(`${where}: code`, `${code} is not ${replyClass}00 to ${replyClass}59`);
  }
  const status = readString(action.status ?? `${replyClass}.7.1`, `${where}: status`);
  const detail = /^[45](\.\d{1,3}\.\d{1,3})$/.exec(status)?.[1];
  if (detail === undefined) throw new RuleError(`${where}: status`, `"${status}" is no status such as 5.7.1`);
  const text = compileTemplate(readString(action[name], where), where);
  return (facts) => ({
    // RFC 2034 section 4: the class digit is the code's. Replies are US-ASCII: RFC 5321 section 4.2.
    decision: {
      action: name,
      code,
      enhanced: `${replyClass}${detail}`,
      text: text(templateFacts(facts))
        .replace(/[^\x20-\x7e]/g, '?')
        .slice(0, 400),
    },
  });
}

function readSymbol(value: unknown, where: string): string {
  const symbol = readString(value, where);
  if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(symbol)) {
    throw new RuleError(where, `"${symbol}" is no symbol: letters, digits and underscores`);
  }
  return symbol;
}

function symbolOf(ruleName: string): string {
  const word = ruleName
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
    .replace(/^_|_$/g, '');
  return `RULE_${word}`.slice(0, 64);
}

function templateFacts(facts: RuleFacts): TemplateFacts {
  return { ...facts, header: (name) => facts.fields.all(name)[0] ?? '' };
}
