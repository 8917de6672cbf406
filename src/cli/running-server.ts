/** The server of a config, as its files under `<dataDirectory>/run` tell of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../core/config/config.ts';

/** What the server writes after it tried to reload. */
export interface ReloadOutcome {
  /** ISO 8601, or epoch milliseconds. */
  readonly at: string | number;
  readonly ok: boolean;
  readonly error?: string;
}

/** Where the role that takes mail leaves its process id. */
export function pidFile(config: Config): string {
  return join(config.dataDirectory, 'run', 'mta.pid');
}

/** Where the traces of a server lie. */
export function traceDirectory(config: Config): string {
  return join(config.dataDirectory, 'state');
}

/** One socket of the running server: the port that was bound, where the config left it open. */
export interface RunningListener {
  readonly name: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

export function runningListeners(config: Config): readonly RunningListener[] {
  const text = readOptional(join(config.dataDirectory, 'run', 'listeners.json'));
  return text === undefined ? [] : (JSON.parse(text) as RunningListener[]);
}

/** Process id of the role that takes mail, or undefined when no server runs on this dataDirectory. */
export function runningServer(config: Config): number | undefined {
  return livingProcess(pidFile(config));
}

/** Process id of what hands SIGHUP on to every role: the supervisor; where none runs, the role that takes mail. */
export function runningSupervisor(config: Config): number | undefined {
  return livingProcess(join(config.dataDirectory, 'run', 'mailfilter.pid')) ?? runningServer(config);
}

function livingProcess(file: string): number | undefined {
  const pid = Number(readOptional(file)?.trim());
  return Number.isInteger(pid) && pid > 1 && isOurs(pid) ? pid : undefined;
}

/** The last reload, or undefined before the first. */
export function lastReload(config: Config): ReloadOutcome | undefined {
  const text = readOptional(join(config.dataDirectory, 'run', 'reload.json'));
  return text === undefined ? undefined : (JSON.parse(text) as ReloadOutcome);
}

/** A process id may have gone to another program since: where /proc tells, the command line has to be ours. */
function isOurs(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const commandLine = readOptional(`/proc/${pid}/cmdline`);
  return commandLine === undefined || commandLine.includes('mailfilter');
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // ENOTDIR: the dataDirectory is no folder, so no server has run on it.
    if (/^(ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
