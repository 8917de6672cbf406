/**
 * The supervisor: starts one process per role, restarts one that dies within a second, and lets the others live.
 * It holds no mail and parses nothing from the network; started as root it stays root so that a role can bind again.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { withCompileCache } from '../core/base/compile-cache.ts';
import { describeError } from '../core/base/errors.ts';
import { type Config, isAccessProtocol } from '../core/config/config.ts';
import { loadConfig } from '../core/config/load.ts';
import { removePidFile, writePidFile, writeRunFile } from './data-directory.ts';

/** `mta`: one per dataDirectory, the only writer of journal, queue and state. `access`: IMAP, POP3, ManageSieve. */
export type Role = 'mta' | 'access';

/** What a role tells the supervisor. */
export type RoleMessage =
  | { readonly ready: true; readonly lines: readonly string[]; readonly listeners: readonly ListenerFacts[] }
  | { readonly failed: string; readonly exitCode: number };

/** One socket that a role serves, for tools: the port that was bound where the config left it open. */
export interface ListenerFacts {
  readonly name: string;
  readonly protocol: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** A role that died is started again at once; one that keeps dying, with a growing delay. */
const restartDelayMsMin = 50;
const restartDelayMsMax = 30_000;
/** A role that lived this long starts with the smallest delay again. */
const stableAfterMs = 10_000;
/** Longer than a role takes to drain. */
const drainTimeoutMs = 35_000;

/** Syncs wait in libuv's pool, and most at once count: with 16 threads `"durability": "file"` syncs a quarter more than with 4. */
const ioThreads = 16;

interface RoleProcess {
  readonly role: Role;
  /** Among the processes of that role; the first alone serves what cannot be shared. */
  readonly index: number;
  lines: readonly string[];
  listeners: readonly ListenerFacts[];
  child: ChildProcess | undefined;
  ready: boolean;
  startedAt: number;
  delayMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Signals that came before it could hear them: without a handler they would end it. */
  readonly missed: Set<NodeJS.Signals>;
}

export interface ServeOptions {
  /** No lines on stdout when all roles are ready. */
  readonly quiet?: boolean;
  /** Called once, when every role is ready for the first time, with what they listen on. */
  readonly onReady?: (lines: readonly string[]) => void;
}

/** Runs until SIGTERM or SIGINT; answers the exit code. A role that fails before it was ever ready ends everything. */
export async function serve(configFile: string, options: ServeOptions = {}): Promise<number> {
  const config = await loadConfig(configFile);
  return new Supervisor(configFile, config, options).run();
}

class Supervisor {
  readonly #configFile: string;
  readonly #dataDirectory: string;
  /** Of the config: before all of them are served, nobody is told of any. */
  readonly #listenersMin: number;
  readonly #options: ServeOptions;
  readonly #roles: RoleProcess[];
  #stopping = false;
  #wasReady = false;
  #exitCode = 0;
  #finish: (code: number) => void = () => {};

  constructor(configFile: string, config: Config, options: ServeOptions) {
    this.#configFile = configFile;
    this.#dataDirectory = config.dataDirectory;
    this.#listenersMin = config.listeners.length;
    this.#options = options;
    // Without mail to read there is nothing to serve, and nothing that takes memory for it.
    const hasAccess = config.listeners.some(({ protocol }) => isAccessProtocol(protocol));
    const access = Array.from({ length: hasAccess ? config.processes.access : 0 }, (_, index) => ({
      role: 'access' as Role,
      index,
    }));
    this.#roles = [{ role: 'mta' as Role, index: 0 }, ...access].map((one) => ({
      ...one,
      lines: [],
      listeners: [],
      child: undefined,
      ready: false,
      startedAt: 0,
      delayMs: restartDelayMsMin,
      timer: undefined,
      missed: new Set(),
    }));
  }

  run(): Promise<number> {
    process.title = 'mailfilter supervisor';
    const onTerminal = isatty(0);
    const signals: Record<string, () => void> = {
      SIGTERM: () => this.#stop(0),
      SIGINT: () => this.#stop(0),
      // A terminal that was closed says so with the same signal; then nobody is left to end the server.
      SIGHUP: () => (onTerminal && !isatty(0) ? this.#stop(0) : this.#signalReady('SIGHUP')),
      SIGUSR1: () => this.#signalReady('SIGUSR1'),
    };
    // Nobody reads what is said here any more: that must not end the server.
    process.stderr.on('error', () => {});
    for (const [signal, handler] of Object.entries(signals)) process.on(signal, handler);
    return new Promise<number>((resolve) => {
      this.#finish = resolve;
      // The mta makes and locks the data directory; the others find it there.
      this.#start(this.#roles[0]!);
    }).finally(() => {
      for (const [signal, handler] of Object.entries(signals)) process.off(signal, handler);
      if (this.#wasReady) removePidFile(this.#dataDirectory, 'mailfilter');
    });
  }

  #start(role: RoleProcess): void {
    role.startedAt = Date.now();
    role.ready = false;
    role.missed.clear();
    let child: ChildProcess;
    try {
      child = forkRole(role, this.#configFile);
    } catch (error) {
      // No memory for another process, as after the kernel ended one for want of it: tried again like any end.
      this.#ended(role, describeError(error));
      return;
    }
    role.child = child;
    child.on('message', (message) => this.#heard(role, message as RoleMessage));
    child.on('error', (error) => {
      if (child.pid === undefined) this.#ended(role, describeError(error));
      else process.stderr.write(`mailfilter: ${role.role}: ${describeError(error)}\n`);
    });
    child.on('exit', (code, signal) => this.#ended(role, signal ?? `exit ${code}`, code ?? undefined));
  }

  #heard(role: RoleProcess, message: RoleMessage): void {
    if ('failed' in message) {
      process.stderr.write(`mailfilter: ${message.failed}\n`);
      if (!this.#wasReady) this.#stop(message.exitCode);
      return;
    }
    role.ready = true;
    for (const signal of role.missed) role.child?.kill(signal);
    role.missed.clear();
    role.lines = message.lines;
    role.listeners = message.listeners;
    this.#tellListeners();
    if (role.role === 'mta' && !this.#wasReady) {
      writePidFile(this.#dataDirectory, 'mailfilter');
      for (const other of this.#roles.slice(1)) this.#start(other);
    }
    if (this.#wasReady || !this.#roles.every((each) => each.ready)) return;
    this.#wasReady = true;
    const lines = this.#roles.flatMap((each) => each.lines);
    this.#options.onReady?.(lines);
    if (!this.#options.quiet && !this.#options.onReady)
      for (const line of lines) process.stdout.write(`${line}\n`);
  }

  /** Once every listener of the config is served, and again when a role is back, perhaps on another port. */
  #tellListeners(): void {
    const listeners = this.#roles.flatMap((each) => each.listeners);
    if (listeners.length < this.#listenersMin) return;
    writeRunFile(this.#dataDirectory, 'listeners.json', `${JSON.stringify(listeners)}\n`);
  }

  #ended(role: RoleProcess, how: string, code?: number): void {
    role.child = undefined;
    role.ready = false;
    if (this.#stopping) {
      if (this.#roles.every((each) => !each.child)) this.#finish(this.#exitCode);
      return;
    }
    if (!this.#wasReady) {
      this.#stop(code || 70);
      return;
    }
    const stable = Date.now() - role.startedAt > stableAfterMs;
    role.delayMs = stable ? restartDelayMsMin : Math.min(role.delayMs * 2, restartDelayMsMax);
    process.stderr.write(
      `mailfilter: ${role.role} ended (${how}), starting it again in ${role.delayMs} ms\n`,
    );
    role.timer = setTimeout(() => this.#start(role), role.delayMs);
  }

  #stop(exitCode: number): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#exitCode = exitCode;
    for (const role of this.#roles) clearTimeout(role.timer);
    if (this.#roles.every((each) => !each.child)) {
      this.#finish(exitCode);
      return;
    }
    this.#signalAll('SIGTERM');
    const late = setTimeout(() => this.#signalAll('SIGKILL'), drainTimeoutMs);
    late.unref();
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const role of this.#roles) role.child?.kill(signal);
  }

  /** A role that starts has read some of the old already, and hears it once it serves. */
  #signalReady(signal: NodeJS.Signals): void {
    for (const role of this.#roles) {
      if (role.ready) role.child?.kill(signal);
      else role.missed.add(signal);
    }
  }
}

function forkRole({ role, index }: RoleProcess, configFile: string): ChildProcess {
  return fork(
    fileURLToPath(new URL(`./role${extname(import.meta.url)}`, import.meta.url)),
    [role, configFile, `${index}`],
    {
      // A Ctrl-C on the terminal reaches the supervisor alone, which then drains its roles.
      detached: true,
      // Code runs compiled from its second call on: the first thousand messages cost a tenth less.
      execArgv: [...process.execArgv, '--always-sparkplug'],
      env: {
        ...withCompileCache(process.env),
        UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? `${ioThreads}`,
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
}
