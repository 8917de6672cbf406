/** A plugin's value as plain, frozen Json of our own: what it keeps and changes later stays its own affair. */

import type { Json } from '../base/json.ts';
import { answerLimits } from '../base/limits/pipeline.ts';
import { BadAnswer } from './bad-answer.ts';

interface Budget {
  nodes: number;
  characters: number;
}

/**
 * Copies and freezes.
 * @param where names the value in the error: `result`
 * @throws BadAnswer for functions, class instances, cycles, numbers that JSON lacks, and what is past `answerLimits`
 */
export function copyJson(value: unknown, where: string): Json {
  const budget: Budget = { nodes: answerLimits.jsonNodesMax, characters: answerLimits.jsonCharactersMax };
  return copy(value, where, budget, 0);
}

function copy(value: unknown, where: string, budget: Budget, depth: number): Json {
  budget.nodes -= 1;
  if (budget.nodes < 0) throw new BadAnswer(`${where} holds more than ${answerLimits.jsonNodesMax} values`);
  if (depth > answerLimits.jsonDepthMax) throw new BadAnswer(`${where} is nested too deeply, or in a circle`);
  switch (typeof value) {
    case 'string':
      spend(value, where, budget);
      return value;
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isFinite(value)) throw new BadAnswer(`${where} holds ${value}, which is no JSON number`);
      return value;
    case 'object':
      if (value === null) return null;
      return Array.isArray(value)
        ? Object.freeze(value.map((item) => copy(item ?? null, where, budget, depth + 1)))
        : copyObject(value, where, budget, depth);
    default:
      throw new BadAnswer(`${where} holds a ${typeof value}, which cannot be handed on`);
  }
}

function copyObject(value: object, where: string, budget: Budget, depth: number): Json {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new BadAnswer(
      `${where} holds a ${value.constructor?.name ?? 'class'} instance; only plain values can be handed on`,
    );
  }
  const result: Record<string, Json> = {};
  for (const [key, item] of Object.entries(value)) {
    // As JSON.stringify does, and as optional fields are commonly written.
    if (item === undefined) continue;
    spend(key, where, budget);
    // Assigning to it would set a prototype.
    if (key === '__proto__') throw new BadAnswer(`${where} has a key __proto__`);
    result[key] = copy(item, where, budget, depth + 1);
  }
  return Object.freeze(result);
}

function spend(text: string, where: string, budget: Budget): void {
  budget.characters -= text.length;
  if (budget.characters < 0) {
    throw new BadAnswer(`${where} holds more than ${answerLimits.jsonCharactersMax} characters`);
  }
}
