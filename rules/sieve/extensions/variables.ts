/** Variables: the set command, the string test, `${name}` in strings. RFC 5229. */
import type { Compiler } from '../compiler.ts';
import { matchTypeGroup } from '../match.ts';
import type { Offset } from '../problems.ts';
import type { Run } from '../run.ts';
import type { ActionSpec, Extension, Modifier, TestSpec } from '../spec.ts';
import { countCharacters, cutToOctets, shown } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';

type Piece = string | ((run: Run) => string);

const reference = /\$\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*|[0-9]+)\}/g;

/** Constant pieces and references of a string. */
export function readVariables(compiler: Compiler, at: Offset, text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(reference)) {
    const value = readReference(compiler, at, match[1]!);
    if (value === undefined) continue;
    pieces.push(text.slice(from, match.index), value);
    from = match.index + match[0].length;
  }
  pieces.push(text.slice(from));
  return pieces.filter((piece) => piece !== '');
}

function readReference(compiler: Compiler, at: Offset, name: string): Piece | undefined {
  compiler.mark('variables');
  if (/^[0-9]/.test(name)) return matchValue(compiler, at, name);
  if (name.includes('.')) return readNamespace(compiler, at, name)?.get ?? '';
  if (name.length > compiler.limits.variableNameCharsMax) return undefined;
  return variable(compiler, at, name)?.get ?? '';
}

function matchValue(compiler: Compiler, at: Offset, digits: string): Piece {
  const index = Number(digits);
  if (index > compiler.limits.matchValuesMax) {
    compiler.problems.error(
      at,
      `match value index ${digits.replace(/^0+/, '')} out of range (max: ${compiler.limits.matchValuesMax})`,
    );
    return '';
  }
  return (run) => run.frame.matchValues?.()[index] ?? '';
}

export interface Variable {
  get(run: Run): string;
  set?(run: Run, value: string): void;
}

/** The script's own variable of that name, or the global one where the script has declared it so. */
export function variable(compiler: Compiler, at: Offset, name: string): Variable | undefined {
  const lower = name.toLowerCase();
  if (compiler.globals.has(lower)) return globalVariable(lower);
  let slot = compiler.variables.get(lower);
  if (slot === undefined) {
    slot = compiler.variables.size;
    if (slot >= compiler.limits.variablesMax) {
      compiler.problems.errorOnce(
        'too many variables',
        at,
        `(implicit) declaration of new variable '${name}' exceeds the limit (max variables: ${compiler.limits.variablesMax})`,
      );
      return undefined;
    }
    compiler.variables.set(lower, slot);
  }
  const own = slot;
  return {
    get: (run) => run.frame.variables[own] ?? '',
    set: (run, value) => {
      run.frame.variables[own] = value;
    },
  };
}

export function globalVariable(lowerName: string): Variable {
  return {
    get: (run) => run.globals.get(lowerName) ?? '',
    set: (run, value) => run.globals.set(lowerName, value),
  };
}

/** `namespace.name`: what other extensions offer. RFC 5229 section 3. */
function readNamespace(compiler: Compiler, at: Offset, name: string): Variable | undefined {
  const [namespace, ...rest] = name.toLowerCase().split('.');
  const found = compiler.namespace(namespace!)?.(compiler, rest, at);
  if (!found) compiler.problems.error(at, `referring to variable in unknown namespace '${namespace}'`);
  return found;
}

const lower: Modifier = { name: 'lower', precedence: 40, apply: (text) => lowerCased(text) };
const upper: Modifier = { name: 'upper', precedence: 40, apply: (text) => upperCased(text) };
const lowerFirst: Modifier = {
  name: 'lowerfirst',
  precedence: 30,
  apply: (text) => lowerCased(text.slice(0, 1)) + text.slice(1),
};
const upperFirst: Modifier = {
  name: 'upperfirst',
  precedence: 30,
  apply: (text) => upperCased(text.slice(0, 1)) + text.slice(1),
};
const quoteWildcard: Modifier = {
  name: 'quotewildcard',
  precedence: 20,
  units: /\\[\s\S]|[\s\S]/gu,
  apply: (text) => text.replace(/[*?\\]/g, '\\$&'),
};
const length: Modifier = { name: 'length', precedence: 10, apply: (text) => String(countCharacters(text)) };

/** RFC 5229 section 4.1.1: US-ASCII letters alone, as the collation has it. */
function lowerCased(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function upperCased(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

export const variablesModifiers: readonly Modifier[] = [
  lower,
  upper,
  lowerFirst,
  upperFirst,
  quoteWildcard,
  length,
];

const set: ActionSpec = {
  name: 'set',
  kind: 'command',
  positional: [
    { name: 'name', type: 'string' },
    { name: 'value', type: 'string' },
  ],
  tags: variablesModifiers.map(({ name }) => ({ name })),
  compile(use) {
    const target = assignable(use, 0);
    const value = use.text(1);
    const modifiers = chosenModifiers(use);
    return (run) => {
      const text = applyModifiers(run, modifiers, value.value(run));
      target?.set?.(run, text);
      run.trace?.input('did', `set to "${shown(text, 200)}"`);
    };
  },
};

/** The variable that an argument names; it must be constant, and a name. */
export function assignable(use: Use, index: number): Variable | undefined {
  const argument = use.positional[index];
  return assignableText(use, argument?.type === 'string' ? argument.text : '', use.at(index));
}

/** @param name as it stands in the script: `${x}` in it is no reference */
export function assignableText(use: Use, name: string, at: Offset): Variable | undefined {
  const { compiler } = use;
  if (/^[0-9]+$/.test(name)) use.error('cannot assign to match variable', at);
  else if (
    !/^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(name) ||
    name.length > compiler.limits.variableNameCharsMax
  )
    use.error(`invalid variable name '${shown(name)}'`, at);
  else if (name.includes('.')) {
    const found = readNamespace(compiler, at, name);
    if (found && !found.set) use.error(`cannot assign to variable '${name}'`, at);
    return found;
  } else return variable(compiler, at, name);
  return undefined;
}

/** RFC 5229 section 4.1: the higher precedence first, and no two of the same. */
export function chosenModifiers(use: Use): readonly Modifier[] {
  const chosen = use.compiler
    .modifiers()
    .filter((modifier) => use.has(modifier.name))
    .sort((left, right) => right.precedence - left.precedence);
  for (const [index, modifier] of chosen.entries()) {
    const next = chosen[index + 1];
    if (next?.precedence !== modifier.precedence) continue;
    use.error(
      `modifiers :${modifier.name} and :${next.name} specified for the ${use.title} conflict having equal precedence`,
    );
  }
  return chosen;
}

/** Values are cut at the limit after each step; a modifier that writes several characters for one is not cut within. */
export function applyModifiers(run: Run, modifiers: readonly Modifier[], value: string): string {
  const max = run.limits.variableBytesMax;
  let text = cutToOctets(value, max);
  for (const modifier of modifiers) text = cutWhole(modifier, modifier.apply(text), max);
  return text;
}

function cutWhole(modifier: Modifier, text: string, max: number): string {
  const cut = cutToOctets(text, max);
  if (!modifier.units || cut.length === text.length) return cut;
  let end = 0;
  for (const unit of text.matchAll(modifier.units)) {
    if (unit.index + unit[0].length > cut.length) break;
    end = unit.index + unit[0].length;
  }
  return text.slice(0, end);
}

const string: TestSpec = {
  name: 'string',
  kind: 'test',
  matches: true,
  positional: [
    { name: 'source', type: 'string-list' },
    { name: 'key list', type: 'string-list' },
  ],
  compile(use) {
    const source = use.texts(0);
    const match = use.match(1);
    const counts = use.groups.get(matchTypeGroup) === 'count';
    return (run) => {
      const texts = source.values(run);
      // RFC 5229 section 5: an empty string counts nothing.
      return match(run, new Values(counts ? texts.filter((text) => text !== '') : texts));
    };
  },
};

export const variables: Extension = {
  name: 'variables',
  specs: [set, string],
  modifiers: variablesModifiers,
};
