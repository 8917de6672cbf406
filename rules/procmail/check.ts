/** What is wrong in an rcfile, by line, and what of it needs programs. Nothing is run. */
import { PatternError } from './expression.ts';
import { compilePattern } from './pattern.ts';
import { type Item, type Problem, parseRcfile, type Recipe } from './rcfile.ts';

export interface ProgramUse {
  readonly line: number;
  readonly kind: 'action' | 'filter' | 'capture' | 'condition' | 'backquotes' | 'forward';
  readonly text: string;
}

export interface CheckedRcfile {
  /** In order of lines. */
  readonly problems: readonly Problem[];
  readonly programs: readonly ProgramUse[];
}

/** @param source an octet a character */
export function checkRcfile(source: string): CheckedRcfile {
  const { items, problems } = parseRcfile(source);
  const found: Problem[] = [...problems];
  const programs: ProgramUse[] = [];
  visit(items, found, programs);
  found.sort((one, other) => one.line - other.line);
  return { problems: found, programs };
}

function visit(items: readonly Item[], problems: Problem[], programs: ProgramUse[]): void {
  for (const item of items) {
    if (item.kind === 'assignment') {
      const { line, name, value = '' } = item;
      if (value.includes('`')) programs.push({ line, kind: 'backquotes', text: `${name}=${value}` });
      continue;
    }
    checkConditions(item, problems, programs);
    const { action } = item;
    if (action.kind === 'block') visit(action.items, problems, programs);
    else if (action.kind === 'forward')
      programs.push({ line: action.line, kind: 'forward', text: action.text });
    else if (action.kind === 'folder') checkFolder(item, action, problems, programs);
    else if (action.text !== '') {
      const kind = action.variable !== undefined ? 'capture' : item.flags.has('f') ? 'filter' : 'action';
      programs.push({ line: action.line, kind, text: action.text });
    }
  }
}

function checkFolder(
  { line, flags, lock }: Recipe,
  { text, line: at }: { readonly text: string; readonly line: number },
  problems: Problem[],
  programs: ProgramUse[],
): void {
  if (text.includes('`')) programs.push({ line: at, kind: 'backquotes', text });
  if (flags.has('f')) problems.push({ line, message: 'the flag f means nothing to a folder' });
  const isDirectory = /\/\.?$/.test(text);
  if (lock !== undefined && isDirectory)
    problems.push({
      line,
      message: `${text} needs no lock: a directory takes each mail as a file of its own`,
    });
  if (lock === undefined && !isDirectory && text !== '/dev/null' && text !== '')
    problems.push({
      line,
      message: `${text} may be an mbox, and nothing locks it: write :0: where it is one`,
    });
}

function checkConditions({ conditions, flags }: Recipe, problems: Problem[], programs: ProgramUse[]): void {
  for (const { line, text } of conditions) {
    const bare = expressionOf(text);
    if (bare === undefined) continue;
    if (bare.startsWith('?')) {
      programs.push({ line, kind: 'condition', text: bare.slice(1).trim() });
      continue;
    }
    // What is expanded first is known only when it runs.
    if (text.includes('$ ') || /^[<>][ \t]*\d+$/.test(bare)) continue;
    const problem = problemOf(bare, flags.has('D'));
    if (problem !== undefined) problems.push({ line, message: `the expression "${bare}": ${problem}` });
  }
}

function problemOf(expression: string, caseSensitive: boolean): string | undefined {
  try {
    return compilePattern(expression, { caseSensitive }).problem;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}

/** Without weight, area and `!`; undefined where nothing is left. */
function expressionOf(text: string): string | undefined {
  const prefix = /^(?:[-+]?[\d.]+\^[-+]?[\d.]+(?=\s|$)|[A-Za-z_]\w*[ \t]*\?\?|!|\$(?=[ \t!])|[ \t]+)/;
  let rest = text;
  for (let found = prefix.exec(rest); found !== null; found = prefix.exec(rest))
    rest = rest.slice(found[0].length);
  return rest === '' ? undefined : rest;
}
