/** A whole server for a test: its own folder, users alice and bob, free ports, ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPassword } from '../../src/users/password.ts';
import { launcher } from './command.ts';

export const password = 'correct horse battery staple';

export interface ServerOptions {
  /** Merged over the base config, one level deep. */
  readonly config?: Record<string, unknown>;
  /** Entries of the pipeline `inbound`. */
  readonly inbound?: readonly unknown[];
  /** Further files beside the config, name to text. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Record<string, string>;
  /** Command put in front of the server's (strace, say). */
  readonly wrap?: readonly string[];
  /** Folder to use (again) instead of a new one. */
  readonly directory?: string;
}

export interface TestServer {
  readonly directory: string;
  readonly configFile: string;
  readonly process: ChildProcess;
  /** Port by listener name: smtp, submission, lmtp. */
  readonly ports: Readonly<Record<string, number>>;
  /** Everything the server wrote to standard error and output so far. */
  output(): string;
  /** Pid of a role or of the supervisor (`mailfilter`), from its pid file. */
  pidOf(role: 'mta' | 'access' | 'mailfilter'): number;
  /** Root of a user's Maildir. */
  mailbox(user: string): string;
  /** Messages in new/ and cur/ of a user's INBOX. */
  messages(user: string): string[];
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to every process of the server. */
  kill(): Promise<void>;
}

let usersText: string | undefined;

/** Starts `mailfilter serve` and waits until it listens; throws with its output when it does not. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'mailfilter-test-'));
  const configFile = join(directory, 'mailfilter.json');
  const dataDirectory = join(directory, 'data');
  if (!existsSync(configFile)) await writeConfig(directory, configFile, options);
  rmSync(join(dataDirectory, 'run', 'listeners.json'), { force: true });
  const command = [...(options.wrap ?? []), process.execPath, launcher, 'serve', '-c', configFile];
  const child = spawn(command[0]!, command.slice(1), {
    cwd: directory,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout!.on('data', (chunk) => (output += chunk));
  child.stderr!.on('data', (chunk) => (output += chunk));
  const ports = await waitForListeners(join(dataDirectory, 'run', 'listeners.json'), child, () => output);
  const pidOf = (role: string) => Number(readFileSync(join(dataDirectory, 'run', `${role}.pid`), 'utf8'));
  const mailbox = (user: string) => join(directory, 'mail', 'example.test', user);
  return {
    directory,
    configFile,
    process: child,
    ports,
    output: () => output,
    pidOf,
    mailbox,
    messages: (user) => messagesIn(mailbox(user)),
    stop: async () => {
      // A command put in front does not hand signals on.
      if (!options.wrap) child.kill('SIGTERM');
      else if (isRunning(child)) process.kill(pidOf('mailfilter'), 'SIGTERM');
      return ended(child);
    },
    kill: async () => {
      if (isRunning(child)) killAll(options.wrap ? pidOf('mailfilter') : child.pid!);
      await ended(child);
      await sleep(20);
    },
  };
}

/** Absolute paths of the messages of a Maildir's INBOX. */
export function messagesIn(maildir: string): string[] {
  return ['new', 'cur'].flatMap((folder) => {
    const path = join(maildir, folder);
    return existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : [];
  });
}

/** Polls until the condition holds; throws after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await sleep(10);
  }
}

async function writeConfig(
  directory: string,
  configFile: string,
  { config, inbound, files = {} }: ServerOptions,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  usersText ??= await usersFile();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  writeFileSync(join(directory, 'users.json'), usersText, { mode: 0o600 });
  const base = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    domains: ['example.test'],
    listeners: {
      smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' },
      submission: {
        protocol: 'submission',
        address: '127.0.0.1:0',
        tls: 'none',
        authWithoutTls: true,
        pipeline: 'outbound',
      },
      lmtp: { protocol: 'lmtp', address: '127.0.0.1:0', pipeline: 'inbound' },
    },
    pipelines: { inbound: inbound ?? [], outbound: ['strip-origin'] },
    users: { file: 'users.json' },
    mailbox: { format: 'maildir', path: 'mail/{domain}/{user}' },
    routes: [
      { to: '@example.test', deliver: 'mailbox' },
      { to: '*', reject: '550 5.7.1 relaying denied' },
    ],
    log: { level: 'info' },
  };
  writeFileSync(configFile, JSON.stringify({ ...base, ...config }, null, 2));
}

async function usersFile(): Promise<string> {
  const hash = await hashPassword(password);
  const user = (aliases: string[]) => ({
    password: hash,
    aliases,
    forward: [],
    quotaBytes: 0,
    disabled: false,
  });
  return JSON.stringify({
    version: 1,
    users: {
      'alice@example.test': user(['postmaster@example.test']),
      'bob@example.test': user([]),
      'carol@example.test': user([]),
    },
  });
}

async function waitForListeners(
  file: string,
  child: ChildProcess,
  output: () => string,
): Promise<Record<string, number>> {
  const end = Date.now() + 30_000;
  while (Date.now() < end) {
    if (!isRunning(child)) break;
    if (existsSync(file)) {
      const listeners = JSON.parse(readFileSync(file, 'utf8')) as { name: string; port?: number }[];
      return Object.fromEntries(listeners.map(({ name, port }) => [name, port ?? 0]));
    }
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(`the server did not start:\n${output()}`);
}

/** SIGKILL to a supervisor and its roles, which have no time to notice. */
export function killAll(supervisor: number): void {
  if (!signal(supervisor, 'SIGSTOP')) return;
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8');
  const roles = children.split(' ').filter(Boolean).map(Number);
  for (const pid of roles) signal(pid, 'SIGSTOP');
  for (const pid of [supervisor, ...roles]) signal(pid, 'SIGKILL');
}

/** False when it is gone already. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function ended(child: ChildProcess): Promise<number | null> {
  if (!isRunning(child)) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}
