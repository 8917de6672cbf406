/** Programs that the operator lets scripts run, by plain names in one folder: no path from a script, no shell, bounded in time and output. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
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
    if (folder === undefined) return undefined;
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
    const child = spawn(path, parameters, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/bin:/bin', ...environment },
      timeout: Math.max(1, timeoutMs),
      killSignal: 'SIGKILL',
    });
    const end = (ok: boolean) => resolve({ ok, output: ok ? Buffer.concat(output) : new Uint8Array(0) });
    child.on('error', () => end(false));
    child.on('close', (code) => end(code === 0 && octets <= outputBytesMax));
    child.stdout.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      if (octets <= outputBytesMax) output.push(chunk);
      else child.kill('SIGKILL');
    });
    // A program need not read all, or anything: its exit code decides.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
