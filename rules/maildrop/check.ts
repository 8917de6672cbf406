/** What is wrong in a filter, by line, and what of it needs programs. Nothing is run. */
import { type Expression, parseFilter, type Statement } from './filter.ts';
import { compileFilterPattern, PatternError, splitPattern } from './pattern.ts';
import { FilterSyntaxError } from './tokens.ts';

export interface CheckedFilter {
  readonly problems: readonly { readonly line: number; readonly message: string }[];
  readonly programs: readonly { readonly line: number; readonly text: string }[];
}

/** @param source an octet a character */
export function checkFilter(source: string): CheckedFilter {
  try {
    const found = new Check();
    found.visit(parseFilter(source));
    return found;
  } catch (error) {
    if (!(error instanceof FilterSyntaxError)) throw error;
    return { problems: [{ line: error.line, message: error.message }], programs: [] };
  }
}

class Check implements CheckedFilter {
  readonly problems: { line: number; message: string }[] = [];
  readonly programs: { line: number; text: string }[] = [];

  /** Statements and expressions are trees of values with a kind. */
  visit(node: Statement | Expression): void {
    if (node.kind === 'pattern') this.#checkPattern(node.text, node.line);
    if (node.kind === 'command') this.programs.push({ line: node.line, text: `\`${node.text}\`` });
    if (node.kind === 'xfilter' || node.kind === 'system') this.#note(node.kind, node.value, node.line);
    if (node.kind === 'to' || node.kind === 'cc') {
      if ('text' in node.value && /^[|!]/.test(node.value.text)) this.#note(node.kind, node.value, node.line);
    }
    for (const value of Object.values(node)) {
      for (const each of Array.isArray(value) ? value : [value]) if (isNode(each)) this.visit(each);
    }
  }

  #note(kind: string, value: Expression, line: number): void {
    this.programs.push({ line, text: `${kind} ${'text' in value ? value.text : '...'}` });
  }

  #checkPattern(text: string, line: number): void {
    const { pattern, options } = splitPattern(text);
    // What holds variables is known only when it runs.
    if (/\$[\w{]/.test(pattern)) return;
    try {
      compileFilterPattern(pattern, options.caseSensitive);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      this.problems.push({ line, message: `the pattern ${text}: ${error.message}` });
    }
  }
}

function isNode(value: unknown): value is Statement | Expression {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
