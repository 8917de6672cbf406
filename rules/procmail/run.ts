/**
 * Runs rcfiles on a mail, one step after the other: a generator that yields what is to be done and is told how it went,
 * so that the same rcfile delivers at once (as an MDA), is planned (in a server), or is only shown. procmailrc(5).
 */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import { logAbstract } from './abstract.ts';
import {
  answered,
  type ConditionHouse,
  type ConditionResult,
  commandOf,
  compileSearch,
  evaluateConditions,
} from './conditions.ts';
import { expandText, expandWords } from './expand.ts';
import { type Mail, partsOf, splitMail, withoutFromLine } from './mail.ts';
import { type Assignment, type Item, parseRcfile, type Recipe } from './rcfile.ts';
import type { Search } from './search.ts';
import type { Command, Environment, Parts, Step, StepFacts, StepOutcome } from './steps.ts';

export interface RunInput {
  readonly octets: Uint8Array;
  /** rcfiles by path, the first that can be read is run; the next where its HOST does not fit. */
  readonly rcfiles: readonly string[];
  /** Run before them, whatever its HOST says. */
  readonly siteRcfile?: string;
  /** Set before the first rcfile: defaults, then the command line's. */
  readonly variables: Readonly<Record<string, string>>;
  /** `$1`, `$2` ... */
  readonly positional: readonly string[];
  /** Name of the machine, which HOST is compared with. */
  readonly host: string;
  readonly processId: number;
  /** Failures are temporary: -t. */
  readonly softly?: boolean;
}

/** What a recipe came to, for a trace. */
export interface RecipeResult {
  readonly rcfile: string;
  readonly line: number;
  readonly matched: boolean;
  readonly score: number;
  readonly conditions: readonly ConditionResult[];
  readonly outcome?: 'done' | 'failed';
}

export interface RunResult {
  /** Of sysexits.h. */
  readonly exitCode: number;
  readonly delivered: boolean;
  /** Where it lies, or which program took it. */
  readonly lastFolder: string;
  readonly recipes: readonly RecipeResult[];
}

export type Running<Result> = Generator<Step, Result, StepOutcome>;

const wholeMail: Parts = { header: true, body: true };
const exitCantCreate = 73;
const exitTempFail = 75;

/** Delivers to DEFAULT, and failing that to ORGMAIL, what no recipe delivered. */
export function* runProcmail(input: RunInput): Running<RunResult> {
  const run = new Run(input);
  yield* run.setAll(input.variables);
  if (input.siteRcfile !== undefined) {
    const { ok, source } = yield { type: 'read', path: input.siteRcfile, included: false };
    if (ok && source !== undefined) {
      run.enter(input.siteRcfile, source);
      if ((yield* run.proceed()) === 'delivered') return yield* run.finish(true);
    }
  }
  let wrongHost = false;
  for (const path of input.rcfiles) {
    const { ok, source } = yield { type: 'read', path, included: false };
    if (!ok || source === undefined) continue;
    run.enter(path, source);
    const ended = yield* run.proceed();
    if (ended !== 'wrong-host') return yield* run.finish(ended === 'delivered');
    wrongHost = true;
  }
  return yield* run.finish(wrongHost);
}

/** How far a list of items has got, and what `A`, `a`, `E` and `e` refer to. */
interface Frame {
  readonly items: readonly Item[];
  next: number;
  /** Set where the frame is a file's, not a block's. */
  readonly rcfile: string | undefined;
  /** The last recipe without A or a matched. */
  chained: boolean;
  /** The recipe before was executed. */
  executed: boolean;
}

type Ending = 'end' | 'delivered' | 'wrong-host';

class Run {
  readonly #input: RunInput;
  readonly #variables: Map<string, string>;
  #positional: readonly string[];
  #mail: Mail;
  #frames: Frame[] = [];
  /** The last action went well. */
  #succeeded = true;
  #globalLock: string | undefined;
  #searches = new Map<string, Search>();
  #recipes: RecipeResult[];
  #stored: { readonly name: string; readonly length: number } | undefined;
  #steps = 0;
  /** What the log calls a mail that went nowhere. */
  #nowhere = '';

  constructor(input: RunInput, from?: Run) {
    this.#input = input;
    this.#variables = new Map(from === undefined ? [] : from.#variables);
    this.#positional = from === undefined ? input.positional : from.#positional;
    this.#mail = from === undefined ? splitMail(input.octets) : from.#mail;
    this.#recipes = from === undefined ? [] : from.#recipes;
    if (from !== undefined) {
      this.#frames = from.#frames.map((frame) => ({ ...frame }));
      this.#succeeded = from.#succeeded;
      this.#searches = from.#searches;
    }
  }

  /** Files that include one another for ever end here. */
  enter(path: string, source: string): void {
    if (this.#frames.length >= procmailLimits.nestingMax) return;
    this.#frames.push({
      items: parseRcfile(source).items,
      next: 0,
      rcfile: path,
      chained: false,
      executed: false,
    });
    this.#variables.set('_', path);
  }

  *setAll(variables: Readonly<Record<string, string>>): Running<void> {
    for (const [name, value] of Object.entries(variables)) yield* this.#assign(name, value);
  }

  /** To the end of all frames, or of the mail's way. */
  *proceed(): Running<Ending> {
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return 'end';
      const item = frame.items[frame.next];
      frame.next += 1;
      this.#steps += 1;
      if (this.#steps > procmailLimits.itemsMax) return 'end';
      if (item === undefined) {
        this.#leave();
      } else if (item.kind === 'assignment') {
        const ended = yield* this.#assignment(item);
        if (ended !== undefined) return ended;
      } else if (yield* this.#recipe(item, frame)) {
        return 'delivered';
      }
    }
  }

  #leave(): void {
    this.#frames.pop();
    const file = this.#frames.findLast(({ rcfile }) => rcfile !== undefined)?.rcfile;
    if (file !== undefined) this.#variables.set('_', file);
  }

  /** What was not delivered goes to DEFAULT; then the lock, the log and TRAP. */
  *finish(delivered: boolean): Running<RunResult> {
    let done = delivered;
    if (!done) {
      done = yield* this.#deliverDefault();
      if (!done && isTrue(this.#variables.get('DELIVERED'))) {
        this.#nowhere = '**Lost**';
        done = true;
      }
    }
    yield* this.#unlockGlobal();
    const failure = this.#input.softly === true ? exitTempFail : exitCantCreate;
    const exitCode = yield* this.#trap(done ? 0 : failure);
    if (done) yield* this.#abstract('last');
    const lastFolder = this.#variables.get('LASTFOLDER') ?? '';
    return { exitCode, delivered: done, lastFolder, recipes: this.#recipes };
  }

  *#deliverDefault(): Running<boolean> {
    const { DEFAULT: first = '', ORGMAIL: last = '' } = Object.fromEntries(this.#variables);
    for (const folder of new Set([first, last])) {
      if (folder === '') continue;
      if (folder === '|') {
        // Of old: to standard output.
        const { ok } = yield { type: 'print', input: this.#octets(wholeMail, false), ...this.#facts(0) };
        if (ok) return true;
        continue;
      }
      if (yield* this.#storeLocked([folder], this.#lockOf(folder), 0, wholeMail, false)) return true;
    }
    return false;
  }

  *#trap(exitCode: number): Running<number> {
    const trap = this.#variables.get('TRAP') ?? '';
    const wanted = this.#variables.get('EXITCODE');
    const own = wanted !== undefined && /^\d/.test(wanted) ? Number.parseInt(wanted, 10) : exitCode;
    if (trap === '') return own;
    const trapDecides = wanted === '';
    if (wanted === undefined) this.#variables.set('EXITCODE', String(exitCode));
    const command = yield* commandOf(trap, 0, this.#house());
    const outcome = yield { type: 'test', command, input: this.#octets(wholeMail, false), ...this.#facts(0) };
    return trapDecides ? (outcome.exitCode ?? exitCode) : own;
  }

  // Assignments

  *#assignment({ name, value, line }: Assignment): Running<Ending | undefined> {
    if (value === undefined) return yield* this.#unset(name);
    const text = yield* answered(expandText(value, this.#house()), line, this.#house());
    return yield* this.#assign(name, text);
  }

  *#unset(name: string): Running<Ending | undefined> {
    this.#variables.delete(name);
    // As if the file had ended here.
    if (name === 'SWITCHRC') this.#abandonFile();
    if (name === 'LOCKFILE') yield* this.#unlockGlobal();
    return undefined;
  }

  *#assign(name: string, value: string): Running<Ending | undefined> {
    this.#variables.set(name, value);
    switch (name) {
      case 'MAILDIR':
        yield { type: 'directory', path: value };
        return undefined;
      case 'LOGFILE':
        yield { type: 'logfile', path: value };
        return undefined;
      case 'LOG':
        yield { type: 'log', text: value };
        return undefined;
      case 'UMASK':
        yield { type: 'umask', mask: Number.parseInt(value, 8) || 0 };
        return undefined;
      case 'SHIFT':
        this.#positional = this.#positional.slice(Math.max(0, Number.parseInt(value, 10) || 0));
        return undefined;
      case 'HOST':
        return value === this.#input.host ? undefined : this.#wrongHost();
      case 'LOCKFILE':
        return yield* this.#lockGlobal(value);
      case 'INCLUDERC':
      case 'SWITCHRC':
        return yield* this.#include(name, value);
      default:
        return undefined;
    }
  }

  #wrongHost(): Ending {
    this.#frames = [];
    return 'wrong-host';
  }

  *#include(name: string, path: string): Running<undefined> {
    if (path === '') {
      if (name === 'SWITCHRC') this.#abandonFile();
      return undefined;
    }
    const { ok, source } = yield { type: 'read', path, included: true };
    if (!ok || source === undefined) return undefined;
    if (name === 'SWITCHRC') this.#abandonFile();
    this.enter(path, source);
    return undefined;
  }

  /** Leaves the file that is being read, its blocks included. */
  #abandonFile(): void {
    while (this.#frames.length > 0 && this.#frames.at(-1)!.rcfile === undefined) this.#frames.pop();
    this.#leave();
  }

  *#lockGlobal(path: string): Running<undefined> {
    yield* this.#unlockGlobal();
    if (path === '') return undefined;
    const { ok } = yield { type: 'lock', path, ...this.#lockTimes() };
    if (ok) this.#globalLock = path;
    return undefined;
  }

  *#unlockGlobal(): Running<void> {
    if (this.#globalLock === undefined) return;
    const path = this.#globalLock;
    this.#globalLock = undefined;
    yield { type: 'unlock', path };
  }

  // Recipes

  /** True when the mail has found its place. */
  *#recipe(recipe: Recipe, frame: Frame): Running<boolean> {
    const { flags } = recipe;
    let matched = this.#mayRun(flags, frame);
    let score = 0;
    let conditions: readonly ConditionResult[] = [];
    if (matched) {
      const judged = yield* evaluateConditions(recipe.conditions, flags, this.#house());
      ({ matched, score, conditions } = judged);
      this.#variables.set('=', formatScore(score));
    } else {
      this.#variables.set('=', '0');
    }
    if (!flags.has('A') && !flags.has('a')) frame.chained = matched;
    if (!frame.executed || !flags.has('E')) frame.executed = matched;
    const rcfile = this.#variables.get('_') ?? '';
    const result: { -readonly [Key in keyof RecipeResult]: RecipeResult[Key] } = {
      rcfile,
      line: recipe.line,
      matched,
      score,
      conditions,
    };
    if (this.#recipes.length < procmailLimits.tracedRecipesMax) this.#recipes.push(result);
    // procmail counts nothing in the recipes of a block that it passes over, and that is their score.
    if (!matched && holdsRecipe(recipe)) this.#variables.set('=', '0');
    if (!matched) return false;
    const delivered = yield* this.#act(recipe);
    result.outcome = this.#succeeded ? 'done' : 'failed';
    return delivered;
  }

  #mayRun(flags: ReadonlySet<string>, { chained, executed }: Frame): boolean {
    if (flags.has('A') && !chained) return false;
    if (flags.has('a') && !(chained && this.#succeeded)) return false;
    if (flags.has('E') && executed) return false;
    return !flags.has('e') || (executed && !this.#succeeded);
  }

  *#act(recipe: Recipe): Running<boolean> {
    const { action, flags } = recipe;
    if (action.kind === 'block') return yield* this.#block(action.items, flags);
    const input = inputOf(flags);
    const lock = yield* this.#lockFor(recipe);
    if (lock === false) {
      this.#succeeded = false;
      return false;
    }
    this.#succeeded = yield* this.#actLocked(recipe, input, lock);
    const takes =
      !flags.has('c') && !(action.kind === 'pipe' && (flags.has('f') || action.variable !== undefined));
    return this.#succeeded && takes;
  }

  /** A block with `c` goes its own way on a copy, to the very end; with `w` its exit code tells how it went. */
  *#block(items: readonly Item[], flags: ReadonlySet<string>): Running<boolean> {
    // Its first recipe may refer to the one that it belongs to.
    const block: Frame = { items, next: 0, rcfile: undefined, chained: true, executed: true };
    if (!flags.has('c')) {
      this.#succeeded = true;
      this.#frames.push(block);
      return false;
    }
    const clone = new Run(this.#input, this);
    clone.#frames.push(block);
    const ended = yield* clone.proceed();
    const { exitCode } = yield* clone.finish(ended === 'delivered');
    this.#succeeded = waitOf(flags) === 'no' || exitCode === 0;
    if (items.some(({ kind }) => kind === 'recipe')) this.#variables.set('=', '0');
    return false;
  }

  *#actLocked({ action, flags }: Recipe, input: Parts, lock: string | undefined): Running<boolean> {
    switch (action.kind) {
      case 'forward':
        return yield* this.#inLock(lock, this.#forward(action.text, action.line, flags, input));
      case 'pipe':
        return yield* this.#inLock(lock, this.#pipe(action, flags, input));
      case 'folder': {
        const folders = yield* answered(expandWords(action.text, this.#house()), action.line, this.#house());
        if (folders.length === 0) return false;
        return yield* this.#storeLocked(folders, lock, action.line, input, flags.has('r'));
      }
      case 'block':
        return true;
    }
  }

  *#forward(text: string, line: number, flags: ReadonlySet<string>, input: Parts): Running<boolean> {
    const house = this.#house();
    const recipients = yield* answered(expandWords(text, house), line, house);
    const sendmail = house.get('SENDMAIL') ?? '';
    const sendmailFlags = (house.get('SENDMAILFLAGS') ?? '').split(/[ \t\n]+/).filter((flag) => flag !== '');
    const argv = [sendmail, ...sendmailFlags, ...recipients];
    this.#variables.set('LASTFOLDER', argv.join(' '));
    const octets = withoutFromLine(this.#octets(input, flags.has('r')));
    const outcome = yield {
      type: 'forward',
      argv,
      recipients,
      input: octets,
      wait: waitOf(flags),
      ignoreWriteErrors: flags.has('i'),
      ...this.#facts(line),
    };
    const ok = succeeded(outcome, waitOf(flags));
    if (ok) yield* this.#noteStored(argv.join(' '), octets.length);
    return ok;
  }

  *#pipe(
    action: Extract<Recipe['action'], { kind: 'pipe' }>,
    flags: ReadonlySet<string>,
    input: Parts,
  ): Running<boolean> {
    const { text, line, variable } = action;
    const isFilter = flags.has('f') && variable === undefined;
    const octets = this.#octets(input, flags.has('r'));
    if (text === '') {
      const { ok } = yield { type: 'print', input: octets, ...this.#facts(line) };
      return ok;
    }
    const command = yield* commandOf(text, line, this.#house());
    const name = nameOf(command);
    if (!isFilter && variable === undefined) this.#variables.set('LASTFOLDER', name);
    const output = isFilter ? 'filter' : variable === undefined ? 'none' : 'variable';
    const wait = waitOf(flags);
    const outcome = yield {
      type: 'program',
      command,
      output,
      input: octets,
      wait,
      ignoreWriteErrors: flags.has('i'),
      ...this.#facts(line),
    };
    const ok = succeeded(outcome, wait);
    if (outcome.output !== undefined && variable !== undefined) {
      const printed = Buffer.from(outcome.output).toString('latin1');
      yield* this.#assign(variable, printed.endsWith('\n') ? printed.slice(0, -1) : printed);
    } else if (isFilter && ok && outcome.output !== undefined) {
      this.#filter(outcome.output, input);
    } else if (output === 'none' && ok) {
      yield* this.#noteStored(name, octets.length);
    }
    return ok;
  }

  #filter(output: Uint8Array, { header, body }: Parts): void {
    if (header && body) this.#mail = splitMail(output);
    else if (header) this.#mail = splitMail(Buffer.concat([output, this.#mail.body]));
    else this.#mail = { header: this.#mail.header, body: output };
  }

  *#storeLocked(
    folders: readonly string[],
    lock: string | undefined,
    line: number,
    input: Parts,
    raw: boolean,
  ): Running<boolean> {
    if (lock !== undefined) {
      const { ok } = yield { type: 'lock', path: lock, ...this.#lockTimes() };
      if (!ok) return false;
    }
    const octets = this.#storedOctets(folders[0]!, input, raw);
    const outcome = yield { type: 'store', folders, input: octets, raw, ...this.#facts(line) };
    const name = outcome.name ?? folders[0]!;
    if (outcome.ok) {
      this.#variables.set('LASTFOLDER', name);
      yield* this.#noteStored(name, outcome.length ?? octets.length);
    }
    if (lock !== undefined) yield { type: 'unlock', path: lock };
    return outcome.ok;
  }

  *#inLock(lock: string | undefined, work: Running<boolean>): Running<boolean> {
    if (lock === undefined) return yield* work;
    const { ok } = yield { type: 'lock', path: lock, ...this.#lockTimes() };
    if (!ok) return false;
    const done = yield* work;
    yield { type: 'unlock', path: lock };
    return done;
  }

  /** The name of a recipe's lock; undefined for none, false where it has to have one and cannot. */
  *#lockFor({ lock, action }: Recipe): Running<string | undefined | false> {
    if (lock === undefined) return undefined;
    const house = this.#house();
    if ('name' in lock) return yield* answered(expandText(lock.name, house), 0, house);
    if (action.kind === 'folder') {
      const [folder] = yield* answered(expandWords(action.text, house), action.line, house);
      return folder === undefined ? undefined : this.#lockOf(folder);
    }
    if (action.kind === 'pipe') {
      const target = />>[ \t]*([^ \t|;&<>]+)/.exec(action.text)?.[1];
      if (target === undefined) return house.get('LOCKEXT') ?? '';
      return this.#lockOf(yield* answered(expandText(target, house), action.line, house));
    }
    return undefined;
  }

  /** Directories need none. */
  #lockOf(folder: string): string | undefined {
    return folder.endsWith('/') || folder.endsWith('/.')
      ? undefined
      : folder + (this.#variables.get('LOCKEXT') ?? '');
  }

  // The mail, the log

  /** An empty line at the end keeps mails of a folder apart. */
  #octets(input: Parts, raw: boolean): Uint8Array {
    const octets = partsOf(this.#mail, input);
    if (raw) return octets;
    const end = Buffer.from(octets.subarray(-2)).toString('latin1');
    return end === '\n\n' ? octets : Buffer.concat([octets, Buffer.from('\n')]);
  }

  /** A Maildir parts mails by itself, and needs neither From_ line nor empty line. */
  #storedOctets(folder: string, input: Parts, raw: boolean): Uint8Array {
    if (folder.endsWith('/')) return withoutFromLine(this.#octets(input, true));
    return this.#octets(input, raw || folder === '/dev/null');
  }

  *#noteStored(name: string, length: number): Running<void> {
    this.#stored = { name, length };
    if (/^a/i.test(this.#variables.get('LOGABSTRACT') ?? '')) yield* this.#abstract('each');
  }

  *#abstract(when: 'each' | 'last'): Running<void> {
    const wanted = this.#variables.get('LOGABSTRACT') ?? 'yes';
    if (/^(?:n|off|0|f|d)/i.test(wanted)) return;
    if (when === 'last' && /^a/i.test(wanted)) return;
    if (this.#variables.get('LOGFILE') === undefined) return;
    yield {
      type: 'log',
      text: logAbstract(this.#mail, this.#stored?.name ?? this.#nowhere, this.#stored?.length ?? 0),
    };
  }

  #facts(line: number): StepFacts {
    return { line, environment: this.#environment(), timeoutSeconds: this.#seconds('TIMEOUT', 960) };
  }

  #lockTimes(): { sleepSeconds: number; timeoutSeconds: number } {
    return {
      sleepSeconds: this.#seconds('LOCKSLEEP', 8),
      timeoutSeconds: this.#seconds('LOCKTIMEOUT', 1024),
    };
  }

  #seconds(name: string, otherwise: number): number {
    const seconds = Number.parseInt(this.#variables.get(name) ?? '', 10);
    return Number.isNaN(seconds) ? otherwise : seconds;
  }

  #environment(): Environment {
    const names = [...this.#variables.keys()].filter(
      (name) => /^[A-Za-z_][A-Za-z_0-9]*$/.test(name) && name !== '_',
    );
    return Object.fromEntries(names.map((name) => [name, this.#variables.get(name)!]));
  }

  #house(): ConditionHouse {
    const get = (name: string) => this.#get(name);
    const house: ConditionHouse = {
      mail: this.#mail,
      positional: this.#positional,
      get,
      set: (name, value) => this.#variables.set(name, value),
      octets: (parts) => this.#octets(parts, false),
      facts: (line) => this.#facts(line),
      search: (expression, caseSensitive) => this.#search(expression, caseSensitive),
    };
    return house;
  }

  #search(expression: string, caseSensitive: boolean): Search {
    const key = `${caseSensitive ? 'D' : ' '}${expression}`;
    let search = this.#searches.get(key);
    if (search === undefined) {
      search = compileSearch(expression, caseSensitive);
      this.#searches.set(key, search);
    }
    return search;
  }

  #get(name: string): string | undefined {
    switch (name) {
      case '$':
        return String(this.#input.processId);
      case '#':
        return String(this.#positional.length);
      case '-':
        return this.#variables.get('LASTFOLDER');
      case '=':
        return this.#variables.get('=') ?? '0';
      case '?':
        return this.#variables.get('?') ?? '0';
      default:
        return /^[0-9]$/.test(name)
          ? name === '0'
            ? 'procmail'
            : this.#positional[Number(name) - 1]
          : this.#variables.get(name);
    }
  }
}

function holdsRecipe({ action }: Recipe): boolean {
  return action.kind === 'block' && action.items.some(({ kind }) => kind === 'recipe');
}

/** Both, unless only one is asked for. */
function inputOf(flags: ReadonlySet<string>): Parts {
  const header = flags.has('h');
  const body = flags.has('b');
  return header === body ? { header: true, body: true } : { header, body };
}

function waitOf(flags: ReadonlySet<string>): 'no' | 'yes' | 'quietly' {
  if (flags.has('W')) return 'quietly';
  return flags.has('w') ? 'yes' : 'no';
}

function succeeded({ ok, exitCode = 0 }: StepOutcome, wait: 'no' | 'yes' | 'quietly'): boolean {
  return ok && (wait === 'no' || exitCode === 0);
}

/** A program as LASTFOLDER and the log name it. */
function nameOf(command: Command): string {
  return command.kind === 'shell' ? command.line : command.argv.join(' ');
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(?:[1-9]|on|y|t|e)/i.test(value);
}

function formatScore(score: number): string {
  // Whatever matched is not shown as nothing.
  return String(score > 0 && score < 1 ? 1 : Math.trunc(score));
}
