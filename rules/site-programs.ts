/** Programs that the operator lets scripts run, by plain names in one folder: no path from a script, no shell, bounded in time and output. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../core/base/errors.ts';
import type { ProgramEnd } from './sieve/index.ts';

export interface SitePrograms {
  /** Absolute path, undefined where scripts may run no program of that name. */
  pathOf(name: string): string | undefined;
  /** Undefined where there is none of that name; one that cannot be started, or takes too long, has failed. */
  run(
    name: string,
    parameters: readonly string[],
    input: Uint8Array,
    limits: ProgramLimits,
  ): Promise<ProgramEnd | undefined>;
}

export interface ProgramLimits {
  readonly timeoutMs: number;
  readonly outputBytesMax: number;
  /** What the program sees besides PATH: SENDER, RECIPIENT, USER. */
  readonly environment: Readonly<Record<string, string>>;
}

/** @param folder absolute; undefined: no programs at all. @throws Error of the system when it is no folder */
export function openSitePrograms(folder: string | undefined): SitePrograms {
  if (folder !== undefined && !statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
  const pathOf = (name: string) => {
    if (folder === undefined || !isPlain(name)) return undefined;
    const path = join(folder, name);
    return isProgram(path) ? path : undefined;
  };
  return {
    pathOf,
    async run(name, parameters, input, limits) {
      const path = pathOf(name);
      return path === undefined ? undefined : runOne(path, parameters, input, limits);
    },
  };
}

/** A name that is no path: whoever writes scripts says it. */
function isPlain(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // What is not there, or not for us to run, is no program for scripts either.
    return false;
  }
}

function runOne(
  path: string,
  parameters: readonly string[],
  input: Uint8Array,
  { timeoutMs, outputBytesMax, environment }: ProgramLimits,
): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const output: Buffer[] = [];
    let octets = 0;
    // With a process group of its own, so that what it started ends with it.
    const child = spawn(path, parameters, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/bin:/bin', ...environment },
      detached: true,
    });
    const kill = () => {
      if (child.pid !== undefined) killGroup(child.pid);
      end(false);
    };
    const timer = setTimeout(kill, Math.max(1, timeoutMs));
    const end = (ok: boolean) => {
      clearTimeout(timer);
      child.stdout.destroy();
      resolve({ ok, output: ok ? Buffer.concat(output) : new Uint8Array(0) });
    };
    child.on('error', () => end(false));
    child.on('close', (code) => end(code === 0 && octets <= outputBytesMax));
    // What it leaves running may hold its output open for ever; what it said itself is read by then.
    child.on('exit', (code) => setTimeout(() => end(code === 0 && octets <= outputBytesMax), afterExitMs));
    child.stdout.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      if (octets <= outputBytesMax) output.push(chunk);
      else kill();
    });
    // A program need not read all, or anything: its exit code decides.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** How long after its end the output of a program is read. */
const afterExitMs = 1000;

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // All of it has ended.
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
