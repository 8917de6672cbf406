/** Carries out the steps of a running rcfile at once, as procmail does, with the rights of the calling user. */
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { describeError } from '../../../../core/base/errors.ts';
import type { Running } from '../../../../rules/procmail/run.ts';
import type { Command, Step, StepOutcome } from '../../../../rules/procmail/steps.ts';
import { storeInFolders } from './folders.ts';
import { dropLockFile, takeLockFile } from './lock-files.ts';
import { runProgram } from './programs.ts';

const done: StepOutcome = { ok: true };
const failed: StepOutcome = { ok: false };
const stderr = 2;

/** Runs an rcfile to its end. Rejects only for a bug; locks that it holds then are given back. */
export async function carryOutSteps<Result>(running: Running<Result>): Promise<Result> {
  const hands = new Hands();
  try {
    let step = running.next();
    while (!step.done) step = running.next(await hands.carryOut(step.value));
    return step.value;
  } finally {
    hands.close();
  }
}

class Hands {
  #log = stderr;
  #umask = process.umask();
  readonly #locks = new Set<string>();

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
        return this.#read(step.path);
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
      environment,
      timeoutMs: timeoutSeconds * 1000,
      collect,
      log: this.#log,
    });
  }

  async #runProgram(step: Extract<Step, { type: 'program' }>): Promise<StepOutcome> {
    const { command, input, environment, timeoutSeconds, wait } = step;
    const end = await runProgram({
      ...{ command, input, environment, log: this.#log },
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

  #read(path: string): StepOutcome {
    try {
      if (path === '/dev/null') return { ok: true, source: '' };
      if (!statSync(path).isFile()) throw new Error('not a regular file');
      return { ok: true, source: readFileSync(path, 'latin1') };
    } catch {
      this.say(`Couldn't read "${path}"`);
      return failed;
    }
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
