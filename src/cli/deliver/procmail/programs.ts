/** Programs of an rcfile: run with the rights of whoever runs it, given the mail, ended when they take too long. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Command, Environment } from '../../../../rules/procmail/steps.ts';

/** What a pipe holds while nobody reads it. pipe(7). */
const pipeOctets = 64 * 1024;

export interface ProgramRun {
  readonly command: Command;
  readonly input: Uint8Array;
  readonly environment: Environment;
  /** Milliseconds after which it gets SIGTERM; 0: never. */
  readonly timeoutMs: number;
  /** Its output is wanted; else it goes to `output`. */
  readonly collect: boolean;
  /** File descriptor; absent: `log`, as for what it says on standard error. */
  readonly output?: number;
  /** File descriptor. */
  readonly log: number;
}

export interface ProgramEnd {
  /** It was started, and took its input. */
  readonly ok: boolean;
  /** 128 and the signal's number where one ended it; 127 where it could not be started. */
  readonly exitCode: number;
  readonly output: Uint8Array;
}

const running = new Set<ChildProcess>();

/** SIGTERM to those that run: whoever waits for them is about to end. */
export function endPrograms(): void {
  for (const child of running) child.kill('SIGTERM');
}

/** Never rejects. */
export function runProgram({
  command,
  input,
  environment,
  timeoutMs,
  collect,
  log,
  output: target = log,
}: ProgramRun): Promise<ProgramEnd> {
  const argv = command.kind === 'shell' ? [command.shell, command.flags, command.line] : command.argv;
  const [program = '', ...rest] = argv;
  return new Promise((resolve) => {
    const output: Buffer[] = [];
    let started = false;
    let unread = false;
    const child = spawn(program, rest, {
      env: environment,
      stdio: ['pipe', collect ? 'pipe' : target, log],
    });
    running.add(child);
    const timer =
      timeoutMs > 0
        ? setTimeout(() => {
            child.kill('SIGTERM');
          }, timeoutMs)
        : undefined;
    const end = (ok: boolean, exitCode: number) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ ok: ok && !unread, exitCode, output: Buffer.concat(output) });
    };
    child.on('spawn', () => {
      started = true;
    });
    child.on('error', () => {
      if (!started) end(false, 127);
    });
    child.stdin!.on('error', () => {
      // What fits into the pipe counts as written, whether it is read or not.
      unread = input.length > pipeOctets;
    });
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.on('close', (code, signal) => end(signal === null, code ?? (signal === null ? 1 : 143)));
    child.stdin!.end(input);
  });
}
