/** Carries out the steps of a running rcfile at once, as procmail does, with the rights of the calling user. */
import { closeSync, constants, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError } from '../../../../core/base/errors.ts';
import type { Command, Running, Step, StepOutcome } from '../../../../rules/procmail/steps.ts';
import { storeInFolders } from './folders.ts';
import { dropLockFile, takeLockFile } from './lock-files.ts';
import { withOwnPrograms } from './own-programs.ts';
import { endPrograms, runProgram } from './programs.ts';

const done: StepOutcome = { ok: true };
const failed: StepOutcome = { ok: false };
const stderr = 2;
/** S_ISVTX: only owners remove files from such a folder. */
const stickyBit = 0o1000;

/** Whose rcfiles may be believed. */
export interface RcfileOwner {
  /** Undefined where anybody's will do: -m. */
  readonly userId: number | undefined;
  /** The user's standing one, with which procmail is stricter than with one that was named. */
  readonly ownRcfile: string | undefined;
}

/**
 * Runs an rcfile to its end. Rejects only for a bug; locks that it holds then are given back. A signal that ends the
 * process ends it with EX_TEMPFAIL between two steps: what was stored is whole, and the mail comes again.
 */
export async function carryOutSteps<Result>(running: Running<Result>, owner: RcfileOwner): Promise<Result> {
  const hands = new Hands(owner);
  const ends = (signal: NodeJS.Signals) => {
    hands.say(`Terminating prematurely by ${signal}`);
    endPrograms();
    hands.close();
    process.exit(exitTempFail);
  };
  for (const signal of endingSignals) process.on(signal, ends);
  try {
    let step = running.next();
    while (!step.done) step = running.next(await hands.carryOut(step.value));
    return step.value;
  } finally {
    for (const signal of endingSignals) process.off(signal, ends);
    hands.close();
  }
}

const endingSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
const exitTempFail = 75;

class Hands {
  #log = stderr;
  #umask = process.umask();
  readonly #locks = new Set<string>();
  readonly #owner: RcfileOwner;

  constructor(owner: RcfileOwner) {
    this.#owner = owner;
  }

  async carryOut(step: Step): Promise<StepOutcome> {
    switch (step.type) {
      case 'output':
      case 'test':
        return this.#run(step, step.type === 'output');
      case 'program':
        return this.#runProgram(step);
      case 'forward':
        return this.#run({ ...step, command: { kind: 'program', argv: step.argv } }, false);
      case 'print':
        writeSync(1, step.input);
        return done;
      case 'store':
        return this.#store(step);
      case 'lock': {
        const ok = await takeLockFile(step.path, step);
        if (ok) this.#locks.add(step.path);
        else this.say(`Couldn't create lockfile "${step.path}"`);
        return { ok };
      }
      case 'unlock':
        this.#locks.delete(step.path);
        dropLockFile(step.path);
        return done;
      case 'read':
        return this.#read(step);
      case 'directory':
        return this.#enter(step.path);
      case 'umask':
        this.#umask = step.mask;
        process.umask(step.mask);
        return done;
      case 'logfile':
        return this.#openLog(step.path);
      case 'log':
        writeSync(this.#log, step.text, null, 'latin1');
        return done;
    }
  }

  /** A line as procmail writes them. */
  say(text: string): void {
    writeSync(this.#log, `procmail: ${text}\n`);
  }

  close(): void {
    for (const path of this.#locks) dropLockFile(path);
    if (this.#log !== stderr) closeSync(this.#log);
  }

  async #run(
    step: Extract<Step, { type: 'output' | 'test' | 'forward' }> & { readonly command: Command },
    collect: boolean,
  ): Promise<StepOutcome> {
    const { command, input, environment, timeoutSeconds } = step;
    return runProgram({
      command,
      input,
      environment: withOwnPrograms(environment),
      timeoutMs: timeoutSeconds * 1000,
      collect,
      log: this.#log,
    });
  }

  async #runProgram(step: Extract<Step, { type: 'program' }>): Promise<StepOutcome> {
    const { command, input, environment, timeoutSeconds, wait } = step;
    const end = await runProgram({
      ...{ command, input, environment: withOwnPrograms(environment), log: this.#log },
      timeoutMs: timeoutSeconds * 1000,
      collect: step.output !== 'none',
    });
    const name = command.kind === 'shell' ? command.line : (command.argv[0] ?? '');
    if (end.exitCode === 127 && !end.ok) this.say(`Failed to execute "${name}"`);
    else if (end.exitCode !== 0 && wait === 'yes') this.say(`Program failure (${end.exitCode}) of "${name}"`);
    return { ...end, ok: end.ok || (step.ignoreWriteErrors && end.exitCode !== 127) };
  }

  async #store(step: Extract<Step, { type: 'store' }>): Promise<StepOutcome> {
    try {
      const options = { prefix: step.environment.MSGPREFIX ?? 'msg.', raw: step.raw, umask: this.#umask };
      return { ok: true, ...(await storeInFolders(step.folders, step.input, options)) };
    } catch (error) {
      this.say(`Error while writing to "${step.folders[0]}": ${describeError(error)}`);
      return failed;
    }
  }

  #read({ path, included }: Extract<Step, { type: 'read' }>): StepOutcome {
    try {
      if (path === '/dev/null') return { ok: true, source: '' };
      if (!statSync(path).isFile()) throw new Error('not a regular file');
      if (included || !this.#isSuspicious(path)) return { ok: true, source: readFileSync(path, 'latin1') };
      this.say(`Suspicious rcfile "${path}"`);
    } catch {
      // One that is not there and one that is not believed are told of alike.
    }
    this.say(`Couldn't read "${path}"`);
    return failed;
  }

  /** Others may have written it. procmail(1), "Suspicious rcfile". */
  #isSuspicious(path: string): boolean {
    const { userId, ownRcfile } = this.#owner;
    const forbidden = path === ownRcfile ? constants.S_IWGRP | constants.S_IWOTH : constants.S_IWOTH;
    const file = statSync(path);
    const folder = statSync(dirname(path));
    const sticky = (folder.mode & stickyBit) !== 0;
    return (
      (userId !== undefined && file.uid !== userId && file.uid !== 0) ||
      (file.mode & forbidden) !== 0 ||
      (!sticky && (folder.mode & forbidden) !== 0)
    );
  }

  #enter(path: string): StepOutcome {
    try {
      process.chdir(path);
      return done;
    } catch {
      this.say(`Couldn't chdir to "${path}"`);
      return failed;
    }
  }

  #openLog(path: string): StepOutcome {
    try {
      const log = openSync(path, 'a', 0o600);
      if (this.#log !== stderr) closeSync(this.#log);
      this.#log = log;
      return done;
    } catch (error) {
      this.say(`Couldn't open LOGFILE "${path}": ${describeError(error)}`);
      return failed;
    }
  }
}
