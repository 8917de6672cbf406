/** Rules on files: which they mean, and what is done with a message that has one. */
import { type FileFacts, type Trait, traits } from './inspect.ts';

export const actions = ['reject', 'quarantine', 'score', 'mark'] as const;
export type Action = (typeof actions)[number];

export interface Rule {
  readonly name: string;
  readonly action: Action;
  readonly score: number;
  readonly symbol: string;
  /** What the sender is told. */
  readonly text: string;
  matches(file: FileFacts): boolean;
}

interface RuleOptions {
  readonly name: string;
  readonly traits?: readonly Trait[];
  readonly extensions?: readonly string[];
  readonly types?: readonly string[];
  readonly names?: readonly string[];
  readonly action?: Action;
  readonly score?: number;
  readonly text?: string;
}

const strings = (description: string, maxItems = 500) =>
  ({
    // Not `type: array` itself: left out, it would be filled in as an empty list.
    anyOf: [
      { type: 'array', minItems: 1, maxItems, items: { type: 'string', minLength: 1, maxLength: 200 } },
    ],
    description,
  }) as const;

export const ruleSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,40}$' },
    traits: {
      anyOf: [{ type: 'array', minItems: 1, items: { type: 'string', enum: traits } }],
      description: 'What the file is: at least one of these.',
    },
    extensions: strings('Endings of its name, without the full stop: exe.'),
    types: strings('Types as declared: application/pdf, image/*.'),
    names: strings('Names, with * for any text and ? for any character: invoice*.zip.', 100),
    action: { type: 'string', enum: actions, description: 'Default: reject.' },
    score: { type: 'number', description: 'Points where the action is score. Default: 3.' },
    text: { type: 'string', maxLength: 200, description: 'What the sender is told.' },
  },
  required: ['name'],
  additionalProperties: false,
} as const;

/** What mail has no honest use for is refused; what it may have is scored or noted. */
export const defaultRules: readonly RuleOptions[] = [
  { name: 'executable', traits: ['executable'], text: 'programs are not accepted here' },
  { name: 'disguised', traits: ['disguised'], text: 'a file is named as what it is not' },
  { name: 'bomb', traits: ['bomb'], text: 'an archive would unpack to far too much' },
  { name: 'macros', traits: ['macros'], action: 'score', score: 2 },
  { name: 'unreadable', traits: ['unreadable'], action: 'score', score: 1 },
  { name: 'encrypted', traits: ['encrypted'], action: 'mark' },
];

/** @throws Error for a rule that means every file, and for two of the same name */
export function compileRules(options: readonly unknown[]): readonly Rule[] {
  const rules = (options.length === 0 ? defaultRules : (options as readonly RuleOptions[])).map(compile);
  const twice = rules.find(({ name }, index) => rules.findIndex((other) => other.name === name) !== index);
  if (twice) throw new Error(`rules: "${twice.name}" stands there twice`);
  return rules;
}

function compile(options: RuleOptions): Rule {
  const { name, action = 'reject', score = 3, text = 'a file in the message is not accepted here' } = options;
  const tests = [
    options.traits && anyTrait(options.traits),
    options.extensions && anyExtension(options.extensions),
    options.types && anyPattern(options.types, ({ type }) => type),
    options.names && anyPattern(options.names, ({ path }) => path.at(-1)?.toLowerCase() ?? ''),
  ].filter((test) => test !== undefined);
  if (tests.length === 0) throw new Error(`rules: "${name}" says of no file that it is meant`);
  return {
    name,
    action,
    score,
    symbol: `ATTACHMENT_${name.toUpperCase().replaceAll('-', '_')}`,
    text,
    matches: (file) => tests.every((test) => test(file)),
  };
}

type Test = (file: FileFacts) => boolean;

function anyTrait(wanted: readonly Trait[]): Test {
  return (file) => wanted.some((trait) => file.traits.has(trait));
}

function anyExtension(wanted: readonly string[]): Test {
  const endings = new Set(wanted.map((each) => each.toLowerCase().replace(/^\./, '')));
  return ({ extension }) => endings.has(extension);
}

function anyPattern(patterns: readonly string[], of: (file: FileFacts) => string): Test {
  return (file) => {
    const text = of(file);
    return patterns.some((pattern) => isLike(text, pattern.toLowerCase()));
  };
}

/** Goes back to the last `*` alone, so that the time is that of both lengths multiplied, at most. */
function isLike(text: string, pattern: string): boolean {
  let at = 0;
  let place = 0;
  let star = -1;
  let from = 0;
  while (at < text.length) {
    if (
      place < pattern.length &&
      (pattern[place] === '?' || pattern[place] === text[at]) &&
      pattern[place] !== '*'
    ) {
      at += 1;
      place += 1;
    } else if (pattern[place] === '*') {
      star = place++;
      from = at;
    } else if (star >= 0) {
      place = star + 1;
      at = ++from;
    } else return false;
  }
  while (pattern[place] === '*') place += 1;
  return place === pattern.length;
}
