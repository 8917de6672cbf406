/** Strings of a script as they are in the run: constant, or with variables and encoded characters in them. */
import type { Compiler } from './compiler.ts';
import { readEncodedCharacters } from './extensions/encoded-character.ts';
import { readVariables } from './extensions/variables.ts';
import type { Argument, StringArgument } from './parser.ts';
import type { Run } from './run.ts';

export interface Text {
  /** The value, where it is known before the run. */
  readonly constant?: string;
  value(run: Run): string;
}

export interface Texts {
  readonly constant?: readonly string[];
  values(run: Run): readonly string[];
}

/** RFC 5228 section 2.4.2.4 first, then RFC 5229 section 3. */
export function compileText(compiler: Compiler, argument: StringArgument): Text {
  let text = argument.text;
  if (!text.includes('${')) return constantText(text);
  if (compiler.uses('encoded-character')) text = readEncodedCharacters(compiler, argument.at, text);
  if (!compiler.uses('variables')) return constantText(text);
  const pieces = readVariables(compiler, argument.at, text);
  if (pieces.every((piece) => typeof piece === 'string')) return constantText(pieces.join(''));
  return {
    value(run) {
      let value = '';
      for (const piece of pieces) value += typeof piece === 'string' ? piece : piece(run);
      return value;
    },
  };
}

export function constantText(text: string): Text {
  return { constant: text, value: () => text };
}

/** A string counts as a list of one. RFC 5228 section 2.4.2.1. */
export function compileTexts(compiler: Compiler, argument: Argument): Texts {
  const items = argument.type === 'list' ? argument.items : argument.type === 'string' ? [argument] : [];
  const texts = items.map((item) => compileText(compiler, item));
  if (texts.every((text) => text.constant !== undefined)) {
    return constantTexts(texts.map((text) => text.constant!));
  }
  return { values: (run) => texts.map((text) => text.value(run)) };
}

export function constantTexts(constant: readonly string[]): Texts {
  return { constant, values: () => constant };
}
