/** Where mails go: to standard output, or each into a program of its own, some of them beside one another. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { formailLimits } from '../../../core/base/limits/rules.ts';
import type { SplitOptions } from '../../../rules/formail/arguments.ts';
import { exitCodes } from '../exit-codes.ts';

/** Octets that are gathered before they are handed on. */
const gatheredMax = 64 * 1024;

export class Output {
  readonly #split: SplitOptions | undefined;
  readonly #numbers = new FileNumbers();
  #gathered: string[] = [];
  #length = 0;
  /** Of the mail that is being written. */
  #target: Writable | undefined;
  /** Not all of it was taken. */
  #failed = false;
  /** The exit code of its program. */
  #ending: Promise<number> | undefined;
  /** Programs that run beside this one. */
  readonly #running = new Set<Promise<void>>();
  #exitCode = 0;

  constructor(split: SplitOptions | undefined) {
    this.#split = split;
  }

  /** Waits for room, where programs run beside one another. */
  async open(): Promise<void> {
    const [program, ...rest] = this.#split?.program ?? [];
    if (program === undefined) {
      this.#target ??= failing(process.stdout);
      return;
    }
    const max = Math.min(this.#split?.parallel || formailLimits.programsMax, formailLimits.programsMax);
    while (this.#running.size >= max) await Promise.race(this.#running);
    const child = spawn(program, rest, {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...process.env, ...this.#numbers.next() },
    });
    this.#target = failing(child.stdin!);
    this.#ending = endOf(child, program);
  }

  async write(text: string): Promise<void> {
    this.#gathered.push(text);
    this.#length += text.length;
    if (this.#length > gatheredMax) await this.#flush();
  }

  /** The end of a mail; with programs beside one another the exit code is told by `finish`. */
  async close(): Promise<{ readonly exitCode?: number; readonly failed?: boolean }> {
    await this.#flush();
    const failed = this.#failed;
    this.#failed = false;
    const ending = this.#ending;
    if (ending === undefined) return { failed };
    this.#ending = undefined;
    this.#target?.end();
    if (this.#split?.parallel === undefined) return { exitCode: await ending, failed };
    const noted = ending.then((exitCode) => {
      this.#running.delete(noted);
      if (exitCode !== 0) this.#exitCode = exitCode;
    });
    this.#running.add(noted);
    return { failed };
  }

  /** The exit code of those that ran beside one another, once all have ended; 0 where each did well. */
  async finish(): Promise<number> {
    await Promise.all(this.#running);
    return this.#exitCode < 0 ? exitCodes.unavailable : this.#exitCode;
  }

  async #flush(): Promise<void> {
    const target = this.#target;
    const octets = Buffer.from(this.#gathered.join(''), 'latin1');
    this.#gathered = [];
    this.#length = 0;
    if (target === undefined || octets.length === 0) return;
    // A reader that goes away fails the write; it is told when the mail ends.
    await new Promise<void>((resolve) => {
      target.write(octets, (error) => {
        if (error != null) this.#failed = true;
        resolve();
      });
    });
  }
}

/** What fails is told to whoever writes. */
function failing<Target extends Writable>(target: Target): Target {
  if (target.listenerCount('error') === 0) target.on('error', () => undefined);
  return target;
}

/** The exit code; negative where a signal ended it. */
async function endOf(child: ChildProcess, program: string): Promise<number> {
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return code ?? -constants.signals[signal ?? 'SIGKILL'];
  } catch {
    process.stderr.write(`formail: Failed to execute "${program}"\n`);
    return exitCodes.unavailable;
  }
}

/** FILENO: the number of the mail, as wide as it was given, or as it was given where it is no number. formail(1). */
class FileNumbers {
  readonly #isNumber: boolean;
  readonly #width: number;
  #next: number;

  constructor(given = process.env.FILENO ?? '000') {
    this.#isNumber = /^[ \t]*[-+]?\d*$/.test(given);
    this.#next = Number.parseInt(given, 10) || 0;
    this.#width = Math.min(given.length, 26) - (this.#next < 0 ? 1 : 0);
  }

  next(): { readonly FILENO?: string } {
    if (!this.#isNumber) return {};
    const number = this.#next;
    this.#next += 1;
    const digits = String(Math.abs(number));
    return {
      FILENO: number < 0 ? `-${digits.padStart(this.#width - 1, '0')}` : digits.padStart(this.#width, '0'),
    };
  }
}
