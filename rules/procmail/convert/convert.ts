/**
 * An rcfile as a Sieve script: each recipe converted, or kept as a comment that says why. What cannot be said for sure in
 * Sieve is kept. RFC 5228; procmailrc(5).
 */
import { procmailLimits } from '../../../core/base/limits/rules.ts';
import { expandText } from '../expand.ts';
import type { MailRoot } from '../mailbox-names.ts';
import { type Assignment, type Item, parseRcfile, type Recipe } from '../rcfile.ts';
import { type ActionPlace, actionCommands } from './actions.ts';
import { CannotConvert } from './cannot-convert.ts';
import { cannotFollow, dependsOn, following, refersBack, startsChain } from './chains.ts';
import { conditionsTest } from './condition-tests.ts';
import { type MailRootOptions, mailRootOf } from './mail-root.ts';
import type { Conversion, RecipeReport, SettingReport } from './report.ts';
import { ConversionScope, expanded, settings, sieveName } from './scope.ts';
import {
  type Branch,
  commented,
  commentsAbove,
  type File,
  ifText,
  indented,
  type Level,
  printable,
} from './script-lines.ts';
import { allOf, capturing, capturingLast, hasPlaceholder, quotedText, requiredBy } from './sieve-text.ts';

export interface ConvertOptions extends MailRootOptions {
  /** Of the rcfile, for comments and reports. */
  readonly name: string;
  /** Between the levels of folder names in the script. */
  readonly separator?: string;
  /** Text of a file that is included, an octet a character; undefined where it cannot be read. */
  read(path: string): string | undefined;
}

/** @param source an octet a character. Never throws for what stands in it. */
export function convertRcfile(source: string, options: ConvertOptions): Conversion {
  return new Converter(source, options).convert();
}

/** Files within one another. */
const filesDeepMax = 20;

class Converter {
  readonly #source: string;
  readonly #options: ConvertOptions;
  readonly #scope: ConversionScope;
  readonly #root: MailRoot;
  readonly #recipes: RecipeReport[] = [];
  readonly #settings: SettingReport[] = [];
  readonly #requires = new Set<string>();
  #characters = 0;

  constructor(source: string, options: ConvertOptions) {
    this.#source = source;
    this.#options = options;
    this.#scope = new ConversionScope(options.variables);
    this.#root = mailRootOf(source, options);
  }

  convert(): Conversion {
    const lines = this.#file(this.#source, this.#options.name, { indent: '', inBlock: false }, 0);
    if (this.#scope.textOf('DEFAULT') === '/dev/null') lines.push('', '# DEFAULT=/dev/null', 'discard;');
    const head = [`# From ${printable(this.#options.name)}, by mailfilter procmail convert.`];
    const needed = [...this.#requires].sort().map((name) => `"${name}"`);
    if (needed.length > 0) head.push(`require [${needed.join(', ')}];`);
    return {
      script: `${[...head, '', ...lines]
        .join('\n')
        .replace(/\n{3,}/g, '\n\n')
        .replace(/\n\n(?=[ \t]*\})/g, '\n')
        .trimEnd()}\n`,
      recipes: this.#recipes,
      settings: this.#settings,
    };
  }

  #file(source: string, name: string, level: Omit<Level, 'file'>, depth: number): string[] {
    const { items, problems } = parseRcfile(source);
    const file: File = { name, lines: source.split('\n'), depth };
    const lines = problems.map(
      ({ line, message }) => `${level.indent}# ${name}, line ${line}: ${printable(message)}`,
    );
    for (const { name: kept, text } of this.#scope.enter(items, level.inBlock))
      lines.push(level.indent + this.#set(kept, text));
    return [...lines, ...this.#items(items, { ...level, file }, { chained: false })];
  }

  /** @param start what the first recipe may refer to: within a block, the recipe that the block belongs to */
  #items(items: readonly Item[], level: Level, start: { readonly chained: boolean }): string[] {
    const lines: string[] = [];
    for (let at = 0; at < items.length; ) {
      const item = items[at]!;
      lines.push(...commentsAbove(item.line, level));
      if (item.kind === 'assignment') {
        lines.push(...this.#assignment(item, level));
        at += 1;
        continue;
      }
      const chain = [item, ...following(items, at + 1)];
      const refers = at === 0 ? startsChain(item, start.chained) : refersBack(item);
      if (refers !== undefined) lines.push(...this.#keep(item, refers, level));
      else lines.push(...this.#chain(chain, level));
      if (refers !== undefined && chain.length > 1)
        for (const other of chain.slice(1)) lines.push(...this.#keep(other, dependsOn(item), level));
      lines.push('');
      at += chain.length;
    }
    return lines;
  }

  #chain([head, ...others]: readonly Recipe[], level: Level): string[] {
    const inner = { ...level, indent: `${level.indent}  `, inBlock: true };
    const branches: Branch[] = [];
    const kept: string[] = [];
    let conditional = false;
    const first = this.#branch(head!, level, inner);
    if (first instanceof CannotConvert) {
      const lines = this.#keep(head!, first.message, level);
      for (const other of others) lines.push(...this.#keep(other, dependsOn(head!), level));
      return lines;
    }
    branches.push(first);
    for (const recipe of others) {
      const last = branches.at(-1)!;
      const problem = cannotFollow(recipe, last, conditional, kept.length > 0);
      const found = problem === undefined ? this.#branch(recipe, level, inner) : new CannotConvert(problem);
      if (found instanceof CannotConvert) {
        kept.push(...this.#keep(recipe, found.message, level));
      } else if (recipe.flags.has('E')) {
        branches.push(found);
        conditional = false;
      } else {
        conditional ||= found.test.kind !== 'constant';
        last.lines.push(...indented(ifText([found], ''), inner.indent.slice(level.indent.length)));
        last.ended = found.ended && found.test.kind === 'constant';
      }
    }
    // A capture of one of these may have taken the place of one before.
    if (branches.some(({ captures }) => captures)) this.#scope.forget('MATCH');
    return [...indented(ifText(branches, ''), level.indent), ...kept];
  }

  #branch(recipe: Recipe, level: Level, inner: Level): Branch | CannotConvert {
    const { line, flags, action } = recipe;
    const requires = new Set<string>();
    const placed = this.#recipes.length;
    try {
      const { test, notes } = conditionsTest(recipe.conditions, flags, this.#scope);
      const capture = capturing(test);
      const captures = capture !== undefined;
      const lines: string[] = [];
      if (capture !== undefined) {
        this.#scope.setKept('MATCH');
        lines.push(`set "match" "\${${capture.captures}}";`);
      }
      const report = { file: level.file.name, line, converted: true, notes };
      this.#recipes.push(report);
      if (action.kind === 'block') {
        lines.push(...this.#block(recipe, action.items, { ...inner, indent: '' }));
        this.#demand(requiredBy(test));
        return { test: capturingLast(test), lines, line, captures, ended: false };
      }
      const commands = actionCommands(recipe, flags.has('c'), this.#place(inner));
      this.#recipes[placed] = { ...report, notes: [...notes, ...commands.notes] };
      for (const name of [...requiredBy(test), ...commands.requires]) requires.add(name);
      lines.push(...commands.lines);
      const ended = !flags.has('c');
      if (ended) lines.push('stop;');
      this.#demand(requires);
      const whole = allOf([test, ...(commands.test ? [commands.test] : [])]);
      return { test: capturingLast(whole), lines, line, captures, ended };
    } catch (error) {
      if (!(error instanceof CannotConvert)) throw error;
      this.#recipes.length = placed;
      this.#scope.forget('MATCH');
      return error;
    }
  }

  #block({ flags }: Recipe, items: readonly Item[], inner: Level): string[] {
    if (!flags.has('c')) return this.#items(items, inner, { chained: true });
    // The copy goes its own way to the end of the rcfile, unless the block ends it for sure.
    const recipes = items.filter((item) => item.kind === 'recipe');
    const straight = recipes.every(
      ({ conditions, action, flags: own }, at) =>
        conditions.length === 0 &&
        action.kind !== 'block' &&
        own.has('c') === at < recipes.length - 1 &&
        !['A', 'a', 'E', 'e'].some((flag) => own.has(flag)),
    );
    if (!straight || recipes.length === 0 || recipes.length < items.length)
      throw new CannotConvert('its copy of the mail goes its own way to the end of the rcfile');
    const commands = recipes.map((recipe) => actionCommands(recipe, true, this.#place(inner)));
    for (const { line } of recipes)
      this.#recipes.push({ file: inner.file.name, line, converted: true, notes: [] });
    this.#demand(commands.flatMap(({ requires }) => requires));
    return commands.flatMap(({ lines }) => lines);
  }

  #place({ inBlock }: Level): ActionPlace {
    const varies = inBlock && this.#scope.isVarying('MAILDIR');
    return {
      scope: this.#scope,
      directory: varies || this.#scope.isVarying('MAILDIR') ? undefined : this.#scope.textOf('MAILDIR'),
      root: this.#root,
      separator: this.#options.separator ?? '/',
    };
  }

  #demand(names: Iterable<string>): void {
    for (const name of names) this.#requires.add(name);
  }

  // Assignments

  #assignment(item: Assignment, level: Level): string[] {
    const { name, value, line } = item;
    try {
      if (name === 'SWITCHRC' && (value === undefined || value === '""')) return this.#endOfFile(level);
      if (value === undefined) return this.#unset(name, level);
      const text = expanded(expandText(value, this.#scope));
      if (name === 'INCLUDERC' || name === 'SWITCHRC') return this.#include(name, text, level);
      if (name === 'LOG') return [];
      const own = whyNotSet(name, level.inBlock);
      if (own !== undefined) throw new CannotConvert(own);
      if (!settings.has(name) && (this.#scope.isVarying(name) || hasPlaceholder(text))) {
        const set = this.#set(name, text);
        this.#scope.setKept(name);
        return [level.indent + set];
      }
      this.#scope.setText(name, text);
      return [];
    } catch (error) {
      if (!(error instanceof CannotConvert)) throw error;
      if (name !== 'INCLUDERC' && name !== 'SWITCHRC')
        this.#scope.setUnknown(name, `is set in line ${line}, and ${error.message}`);
      this.#settings.push({ file: level.file.name, line, name, reason: error.message });
      return commented(level, line, line, `line ${line}, kept: ${error.message}`);
    }
  }

  #unset(name: string, level: Level): string[] {
    if (!this.#scope.isVarying(name) || settings.has(name)) {
      this.#scope.forget(name);
      return [];
    }
    return [level.indent + this.#set(name, '')];
  }

  #set(name: string, text: string): string {
    const command = `set "${sieveName(name)}" ${quotedText(text)};`;
    this.#requires.add('variables');
    return command;
  }

  /** As if the rcfile had ended here: what is left goes to DEFAULT. */
  #endOfFile(level: Level): string[] {
    if (level.file.depth > 0) throw new CannotConvert('it ends a file that another includes');
    return [`${level.indent}stop;`];
  }

  #include(name: 'INCLUDERC' | 'SWITCHRC', path: string, level: Level): string[] {
    if (path === '') return name === 'SWITCHRC' ? this.#endOfFile(level) : [];
    if (hasPlaceholder(path)) throw new CannotConvert('which file it is depends on the mail');
    if (name === 'SWITCHRC' && level.file.depth > 0)
      throw new CannotConvert('it ends a file that another includes');
    if (level.file.depth >= filesDeepMax) throw new CannotConvert('files include one another too deeply');
    const directory = this.#scope.textOf('MAILDIR');
    const whole = path.startsWith('/') || directory === undefined ? path : `${directory}/${path}`;
    const source = this.#options.read(whole);
    if (source === undefined) throw new CannotConvert(`${path} cannot be read`);
    this.#characters += source.length;
    if (this.#characters > procmailLimits.convertedCharactersMax)
      throw new CannotConvert('the files that it includes are too large together');
    const lines = this.#file(source, whole, level, level.file.depth + 1);
    const end = name === 'SWITCHRC' ? [`${level.indent}stop;`] : [];
    return [`${level.indent}# ${printable(name)}=${printable(whole)}`, ...lines, ...end];
  }

  // What is kept

  #keep(recipe: Recipe, reason: string, level: Level): string[] {
    const { line, endLine } = recipe;
    this.#reportKept(recipe, reason, level);
    if (changesVariable(recipe))
      this.#scope.setUnknown(recipe.action.variable, `is set in line ${line}, which is kept`);
    return ['', ...commented(level, line, endLine, `line ${line}, kept: ${reason}`)];
  }

  #reportKept({ line, action }: Recipe, reason: string, level: Level): void {
    this.#recipes.push({ file: level.file.name, line, converted: false, reason, notes: [] });
    if (action.kind !== 'block') return;
    for (const item of action.items) {
      if (item.kind === 'recipe') this.#reportKept(item, `it stands in the block of line ${line}`, level);
      else this.#scope.setUnknown(item.name, `is set in line ${item.line}, which is kept`);
    }
  }
}

function changesVariable(recipe: Recipe): recipe is Recipe & { action: { variable: string } } {
  return recipe.action.kind === 'pipe' && recipe.action.variable !== undefined;
}

/** A phrase where a script has nothing that a variable could be said with. */
function whyNotSet(name: string, inBlock: boolean): string | undefined {
  switch (name) {
    case 'TRAP':
      return 'it needs a program when all is done';
    case 'EXITCODE':
      return 'a Sieve script has no exit code (see reject, RFC 5429)';
    case 'HOST':
      return 'it ends the rcfile on other machines';
    case 'DELIVERED':
      return 'it says of mail that it is delivered (see discard)';
    case 'SHIFT':
      return 'a Sieve script has no arguments';
    case 'MAILDIR':
    case 'DEFAULT':
    case 'ORGMAIL':
      return inBlock ? 'where mail goes by default would depend on conditions' : undefined;
    default:
      return undefined;
  }
}
