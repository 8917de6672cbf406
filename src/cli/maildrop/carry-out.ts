/** Carries out the steps of a running filter at once, as maildrop does, with the rights of the calling user. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';
import { describeError } from '../../../core/base/errors.ts';
import { maildropLimits } from '../../../core/base/limits/rules.ts';
import type { Running, Step, StepOutcome } from '../../../rules/maildrop/steps.ts';
import { deliveryCodes } from '../deliver/delivery-error.ts';
import { dropLockFile, takeLockFile } from '../deliver/procmail/lock-files.ts';
import { withOwnPrograms } from '../deliver/procmail/own-programs.ts';
import { endPrograms, runProgram } from '../deliver/procmail/programs.ts';
import { readFilter } from './read-filter.ts';
import { storeMail } from './store-mail.ts';

const done: StepOutcome = { ok: true };
const failed: StepOutcome = { ok: false };

/** File descriptors for what filters and their programs say. */
export interface Streams {
  readonly stdout: number;
  readonly stderr: number;
}
const lockPollMs = 100;

/** Runs a filter to its end. A signal, and the watchdog, end it with EX_TEMPFAIL: the mail comes again. */
export async function carryOutFilter<Result>(
  running: Running<Result>,
  streams: Streams = { stdout: 1, stderr: 2 },
): Promise<Result> {
  const hands = new Hands(streams);
  const end = (why: string) => {
    hands.say(why);
    endPrograms();
    hands.close();
    process.exit(deliveryCodes.tempFail);
  };
  const ends = (signal: NodeJS.Signals) => end(`ended by ${signal}`);
  for (const signal of endingSignals) process.on(signal, ends);
  const watchdog = setTimeout(() => end('Timeout quota exceeded.'), maildropLimits.runMs);
  try {
    let step = running.next();
    while (!step.done) step = running.next(await hands.carryOut(step.value));
    return step.value;
  } finally {
    clearTimeout(watchdog);
    for (const signal of endingSignals) process.off(signal, ends);
    hands.close();
  }
}

const endingSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

class Hands {
  readonly #streams: Streams;
  #log: number | undefined;
  readonly #dotLocks = new Set<string>();
  readonly #fileLocks = new Map<string, number>();

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  async carryOut(step: Step): Promise<StepOutcome> {
    switch (step.type) {
      case 'store':
        return this.#store(step);
      case 'pipe':
      case 'filter':
      case 'output':
      case 'system':
        return this.#run(step);
      case 'lock':
        return this.#lock(step);
      case 'unlock':
        this.#unlock(step);
        return done;
      case 'read':
        return read(step.path);
      case 'logfile':
        return this.#openLog(step.path);
      case 'log':
        if (this.#log !== undefined) writeSync(this.#log, step.text, null, 'latin1');
        return done;
      case 'print':
        writeSync(this.#streams.stdout, step.text, null, 'latin1');
        return done;
      case 'say':
        this.say(step.text);
        return done;
    }
  }

  say(text: string): void {
    writeSync(this.#streams.stderr, `maildrop: ${text}\n`);
  }

  close(): void {
    for (const path of this.#dotLocks) dropLockFile(path);
    for (const fd of this.#fileLocks.values()) closeSync(fd);
    this.#fileLocks.clear();
    if (this.#log !== undefined) closeSync(this.#log);
    this.#log = undefined;
  }

  async #store(step: Extract<Step, { type: 'store' }>): Promise<StepOutcome> {
    try {
      return { ok: true, length: await storeMail(step) };
    } catch (error) {
      this.say(`${step.path}: ${describeError(error)}`);
      return failed;
    }
  }

  async #run(step: Extract<Step, { type: 'pipe' | 'filter' | 'output' | 'system' }>): Promise<StepOutcome> {
    const { shell, line } = step.command;
    const collect = step.type === 'filter' || step.type === 'output';
    const { ok, exitCode, output } = await runProgram({
      command: { kind: 'shell', shell, flags: '-c', line },
      input: step.type === 'system' ? new Uint8Array(0) : step.input,
      environment: withOwnPrograms(step.environment),
      timeoutMs: 0,
      collect,
      output: this.#streams.stdout,
      log: this.#streams.stderr,
    });
    return { ok, exitCode, output };
  }

  async #lock({
    kind,
    path,
    sleepSeconds,
    timeoutSeconds,
  }: Extract<Step, { type: 'lock' }>): Promise<StepOutcome> {
    if (kind === 'dotlock') {
      const ok = await takeLockFile(path, { sleepSeconds, timeoutSeconds });
      if (ok) this.#dotLocks.add(path);
      return { ok };
    }
    try {
      const fd = openSync(path, 'a+', 0o600);
      while (!tryLock(fd)) await sleep(lockPollMs);
      this.#fileLocks.set(path, fd);
      return done;
    } catch {
      return failed;
    }
  }

  #unlock({ kind, path }: Extract<Step, { type: 'unlock' }>): void {
    if (kind === 'dotlock') {
      this.#dotLocks.delete(path);
      dropLockFile(path);
      return;
    }
    const fd = this.#fileLocks.get(path);
    if (fd !== undefined) closeSync(fd);
    this.#fileLocks.delete(path);
  }

  #openLog(path: string): StepOutcome {
    try {
      const log = openSync(path, 'a', 0o600);
      if (this.#log !== undefined) closeSync(this.#log);
      this.#log = log;
      return done;
    } catch {
      return failed;
    }
  }
}

function read(path: string): StepOutcome {
  try {
    return { ok: true, source: readFilter(path) };
  } catch {
    return failed;
  }
}
