/** A program of a test's own and all that it starts, as one process group: signals reach each of them. */
import { spawn } from 'node:child_process';

export interface ProcessGroup {
  /** To the program and its children; nothing where they are gone. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and the program's end. */
  kill(): Promise<void>;
}

export function startGroup(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ProcessGroup {
  const child = spawn(program, args, {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, ...env },
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  });
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  return {
    signal,
    kill: async () => {
      signal('SIGKILL');
      await ended;
    },
  };
}

/** A real daemon at one port of loopback, that can be ended and started again there. */
export interface RealDaemon {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly port: number;
  /** To the daemon and its workers. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL to them all. */
  kill(): Promise<void>;
  /** Again, after `kill`; until it listens. */
  start(): Promise<void>;
}
