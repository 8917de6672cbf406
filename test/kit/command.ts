/** Runs `mailfilter` as a user does, through its launcher, and gives back what it said. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './require.ts';

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  /** The Node that runs the launcher; this one when absent. */
  readonly node?: string;
}

export const launcher = join(projectRoot, 'src/mailfilter.js');

/** Resolves when it ended, whatever its exit code. */
export function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { MAILFILTER_CONFIG: _, ...inherited } = process.env;
  const child = spawn(options.node ?? process.execPath, [launcher, ...args], {
    cwd: options.cwd ?? projectRoot,
    env: { ...inherited, ...options.env },
  });
  return collect(child, options.input);
}

/** Gives a program its input and collects what it says. */
export function collect(
  child: ChildProcessWithoutNullStreams,
  input: string | Buffer = '',
): Promise<CommandResult> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  // A command that fails early does not read what it is given.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
