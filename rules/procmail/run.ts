/**
 * Runs rcfiles on a mail, one step after the other: a generator that yields what is to be done and is told how it went,
 * so that the same rcfile delivers at once (as an MDA), is planned (in a server), or is only shown. procmailrc(5).
 */
import { procmailLimits } from '../../core/base/limits/rules.ts';
import { Actions, waitOf } from './actions.ts';
import { answered, type ConditionResult, commandOf, evaluateConditions } from './conditions.ts';
import { expandText } from './expand.ts';
import { splitMail } from './mail.ts';
import { type Assignment, type Item, parseRcfile, type Recipe } from './rcfile.ts';
import { RunState } from './run-state.ts';
import type { Parts, Running } from './steps.ts';

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
  readonly #state: RunState;
  readonly #actions: Actions;
  #frames: Frame[] = [];
  /** The last action went well. */
  #succeeded = true;
  #globalLock: string | undefined;
  #recipes: RecipeResult[];
  #steps = 0;

  constructor(input: RunInput, from?: Run) {
    this.#input = input;
    const mail = from === undefined ? splitMail(input.octets) : from.#state.mail;
    this.#state = new RunState(
      mail,
      input.positional,
      input.processId,
      from === undefined ? undefined : from.#state,
    );
    this.#actions = new Actions(this.#state, (name, value) => this.#assign(name, value));
    this.#recipes = from === undefined ? [] : from.#recipes;
    if (from !== undefined) {
      this.#frames = from.#frames.map((frame) => ({ ...frame }));
      this.#succeeded = from.#succeeded;
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
    this.#state.variables.set('_', path);
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
    if (file !== undefined) this.#state.variables.set('_', file);
  }

  /** What was not delivered goes to DEFAULT; then the lock, the log and TRAP. */
  *finish(delivered: boolean): Running<RunResult> {
    let done = delivered;
    if (!done) {
      done = yield* this.#deliverDefault();
      if (!done && isTrue(this.#state.variables.get('DELIVERED'))) {
        this.#state.nowhere = '**Lost**';
        done = true;
      }
    }
    yield* this.#unlockGlobal();
    const failure = this.#input.softly === true ? exitTempFail : exitCantCreate;
    const exitCode = yield* this.#trap(done ? 0 : failure);
    if (done) yield* this.#state.abstract('last');
    const lastFolder = this.#state.variables.get('LASTFOLDER') ?? '';
    return { exitCode, delivered: done, lastFolder, recipes: this.#recipes };
  }

  *#deliverDefault(): Running<boolean> {
    const { DEFAULT: first = '', ORGMAIL: last = '' } = Object.fromEntries(this.#state.variables);
    for (const folder of new Set([first, last])) {
      if (folder === '') continue;
      if (folder === '|') {
        // Of old: to standard output.
        const { ok } = yield {
          type: 'print',
          input: this.#state.partOf(wholeMail, false),
          ...this.#state.facts(0),
        };
        if (ok) return true;
        continue;
      }
      if (yield* this.#actions.store([folder], this.#actions.lockOf(folder), 0, wholeMail, false))
        return true;
    }
    return false;
  }

  *#trap(exitCode: number): Running<number> {
    const trap = this.#state.variables.get('TRAP') ?? '';
    const wanted = this.#state.variables.get('EXITCODE');
    const own = wanted !== undefined && /^\d/.test(wanted) ? Number.parseInt(wanted, 10) : exitCode;
    if (trap === '') return own;
    const trapDecides = wanted === '';
    if (wanted === undefined) this.#state.variables.set('EXITCODE', String(exitCode));
    const command = yield* commandOf(trap, 0, this.#state);
    const outcome = yield {
      type: 'test',
      command,
      input: this.#state.partOf(wholeMail, false),
      ...this.#state.facts(0),
    };
    return trapDecides ? (outcome.exitCode ?? exitCode) : own;
  }

  // Assignments

  *#assignment({ name, value, line }: Assignment): Running<Ending | undefined> {
    if (value === undefined) return yield* this.#unset(name);
    const text = yield* answered(expandText(value, this.#state), line, this.#state);
    return yield* this.#assign(name, text);
  }

  *#unset(name: string): Running<Ending | undefined> {
    this.#state.variables.delete(name);
    // As if the file had ended here.
    if (name === 'SWITCHRC') this.#abandonFile();
    if (name === 'LOCKFILE') yield* this.#unlockGlobal();
    return undefined;
  }

  *#assign(name: string, value: string): Running<Ending | undefined> {
    this.#state.variables.set(name, value);
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
        this.#state.positional = this.#state.positional.slice(Math.max(0, Number.parseInt(value, 10) || 0));
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
    const { ok } = yield { type: 'lock', path, ...this.#state.lockTimes() };
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
      const judged = yield* evaluateConditions(recipe.conditions, flags, this.#state);
      ({ matched, score, conditions } = judged);
      this.#state.variables.set('=', formatScore(score));
    } else {
      this.#state.variables.set('=', '0');
    }
    if (!flags.has('A') && !flags.has('a')) frame.chained = matched;
    if (!frame.executed || !flags.has('E')) frame.executed = matched;
    const rcfile = this.#state.variables.get('_') ?? '';
    const result: { -readonly [Key in keyof RecipeResult]: RecipeResult[Key] } = {
      rcfile,
      line: recipe.line,
      matched,
      score,
      conditions,
    };
    if (this.#recipes.length < procmailLimits.tracedRecipesMax) this.#recipes.push(result);
    // procmail counts nothing in the recipes of a block that it passes over, and that is their score.
    if (!matched && holdsRecipe(recipe)) this.#state.variables.set('=', '0');
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
    const lock = yield* this.#actions.lockFor(recipe);
    if (lock === false) {
      this.#succeeded = false;
      return false;
    }
    this.#succeeded = yield* this.#actions.perform(recipe, input, lock);
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
    if (items.some(({ kind }) => kind === 'recipe')) this.#state.variables.set('=', '0');
    return false;
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

function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(?:[1-9]|on|y|t|e)/i.test(value);
}

function formatScore(score: number): string {
  // Whatever matched is not shown as nothing.
  return String(score > 0 && score < 1 ? 1 : Math.trunc(score));
}
