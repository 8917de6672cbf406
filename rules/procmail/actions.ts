/** What recipes do, as steps: folders, programs, forwarding, with their locks. procmailrc(5), "Recipe action line". */
import { answered, commandOf } from './conditions.ts';
import { expandText, expandWords } from './expand.ts';
import { splitMail, withoutFromLine } from './mail.ts';
import type { Recipe } from './rcfile.ts';
import type { RunState } from './run-state.ts';
import type { Command, Parts, Running, StepOutcome } from './steps.ts';

type Flags = ReadonlySet<string>;

export class Actions {
  readonly #state: RunState;
  readonly #assign: (name: string, value: string) => Running<unknown>;

  /** @param assign sets a variable, with all that hangs on it */
  constructor(state: RunState, assign: (name: string, value: string) => Running<unknown>) {
    this.#state = state;
    this.#assign = assign;
  }

  /** With its lock held. */
  *perform({ action, flags }: Recipe, input: Parts, lock: string | undefined): Running<boolean> {
    switch (action.kind) {
      case 'forward':
        return yield* this.#inLock(lock, this.#forward(action.text, action.line, flags, input));
      case 'pipe':
        return yield* this.#inLock(lock, this.#pipe(action, flags, input));
      case 'folder': {
        const folders = yield* answered(expandWords(action.text, this.#state), action.line, this.#state);
        if (folders.length === 0) return false;
        return yield* this.store(folders, lock, action.line, input, flags.has('r'));
      }
      case 'block':
        return true;
    }
  }

  *#forward(text: string, line: number, flags: Flags, input: Parts): Running<boolean> {
    const house = this.#state;
    const recipients = yield* answered(expandWords(text, house), line, house);
    const sendmail = house.get('SENDMAIL') ?? '';
    const sendmailFlags = (house.get('SENDMAILFLAGS') ?? '').split(/[ \t\n]+/).filter((flag) => flag !== '');
    const argv = [sendmail, ...sendmailFlags, ...recipients];
    this.#state.variables.set('LASTFOLDER', argv.join(' '));
    const octets = withoutFromLine(this.#state.partOf(input, flags.has('r')));
    const outcome = yield {
      type: 'forward',
      argv,
      recipients,
      input: octets,
      wait: waitOf(flags),
      ignoreWriteErrors: flags.has('i'),
      ...this.#state.facts(line),
    };
    const ok = succeeded(outcome, waitOf(flags));
    if (ok) yield* this.#state.noteStored(argv.join(' '), octets.length);
    return ok;
  }

  *#pipe(action: Extract<Recipe['action'], { kind: 'pipe' }>, flags: Flags, input: Parts): Running<boolean> {
    const { text, line, variable } = action;
    const isFilter = flags.has('f') && variable === undefined;
    const octets = this.#state.partOf(input, flags.has('r'));
    if (text === '') {
      const { ok } = yield { type: 'print', input: octets, ...this.#state.facts(line) };
      return ok;
    }
    const command = yield* commandOf(text, line, this.#state);
    const name = nameOf(command);
    if (!isFilter && variable === undefined) this.#state.variables.set('LASTFOLDER', name);
    const output = isFilter ? 'filter' : variable === undefined ? 'none' : 'variable';
    const wait = waitOf(flags);
    const outcome = yield {
      type: 'program',
      command,
      output,
      input: octets,
      wait,
      ignoreWriteErrors: flags.has('i'),
      ...this.#state.facts(line),
    };
    const ok = succeeded(outcome, wait);
    if (outcome.output !== undefined && variable !== undefined) {
      const printed = Buffer.from(outcome.output).toString('latin1');
      yield* this.#assign(variable, printed.endsWith('\n') ? printed.slice(0, -1) : printed);
    } else if (isFilter && ok && outcome.output !== undefined) {
      this.#filter(outcome.output, input);
    } else if (output === 'none' && ok) {
      yield* this.#state.noteStored(name, octets.length);
    }
    return ok;
  }

  #filter(output: Uint8Array, { header, body }: Parts): void {
    if (header && body) this.#state.mail = splitMail(output);
    else if (header) this.#state.mail = splitMail(Buffer.concat([output, this.#state.mail.body]));
    else this.#state.mail = { header: this.#state.mail.header, body: output };
  }

  /** The first folder decides on the form. */
  *store(
    folders: readonly string[],
    lock: string | undefined,
    line: number,
    input: Parts,
    raw: boolean,
  ): Running<boolean> {
    if (lock !== undefined) {
      const { ok } = yield { type: 'lock', path: lock, ...this.#state.lockTimes() };
      if (!ok) return false;
    }
    const octets = this.#state.storedOctets(folders[0]!, input, raw);
    const outcome = yield { type: 'store', folders, input: octets, raw, ...this.#state.facts(line) };
    const name = outcome.name ?? folders[0]!;
    if (outcome.ok) {
      this.#state.variables.set('LASTFOLDER', name);
      yield* this.#state.noteStored(name, outcome.length ?? octets.length);
    }
    if (lock !== undefined) yield { type: 'unlock', path: lock };
    return outcome.ok;
  }

  *#inLock(lock: string | undefined, work: Running<boolean>): Running<boolean> {
    if (lock === undefined) return yield* work;
    const { ok } = yield { type: 'lock', path: lock, ...this.#state.lockTimes() };
    if (!ok) return false;
    const done = yield* work;
    yield { type: 'unlock', path: lock };
    return done;
  }

  /** The name of a recipe's lock; undefined for none, false where it has to have one and cannot. */
  *lockFor({ lock, action }: Recipe): Running<string | undefined | false> {
    if (lock === undefined) return undefined;
    const house = this.#state;
    if ('name' in lock) return yield* answered(expandText(lock.name, house), 0, house);
    if (action.kind === 'folder') {
      const [folder] = yield* answered(expandWords(action.text, house), action.line, house);
      return folder === undefined ? undefined : this.lockOf(folder);
    }
    if (action.kind === 'pipe') {
      const target = />>[ \t]*([^ \t|;&<>]+)/.exec(action.text)?.[1];
      if (target === undefined) return house.get('LOCKEXT') ?? '';
      return this.lockOf(yield* answered(expandText(target, house), action.line, house));
    }
    return undefined;
  }

  /** Directories need none. */
  lockOf(folder: string): string | undefined {
    return folder.endsWith('/') || folder.endsWith('/.')
      ? undefined
      : folder + (this.#state.variables.get('LOCKEXT') ?? '');
  }
}

/** What is waited for, and whether a failure is told. */
export function waitOf(flags: ReadonlySet<string>): 'no' | 'yes' | 'quietly' {
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
