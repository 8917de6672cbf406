/** What a running server left behind: its story of a message, its queue, its log, its memory. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../core/config/load.ts';
import type { StoredTrace } from '../../core/state/trace-store.ts';
import { openTraces } from '../../src/cli/explain.ts';
import type { WalkTrace } from '../../src/flow/house.ts';
import { readQueue } from '../../src/queue/open.ts';
import type { QueueEntry } from '../../src/queue/queue.ts';
import { type ServerOptions, startServer, type TestServer, until } from '../kit/server.ts';

/** The longer rounds of these tests. */
export const campaign = process.env.MAILFILTER_CAMPAIGN === '1';

export interface WholeServer extends TestServer, AsyncDisposable {}

/** A server whose folder goes with it. */
export async function openServer(options: ServerOptions = {}): Promise<WholeServer> {
  const server = await startServer(options);
  const dispose = async () => {
    await server.stop();
    rmSync(server.directory, { recursive: true, force: true });
  };
  return { ...server, [Symbol.asyncDispose]: dispose };
}

/** The trace of a transaction, by its id or Message-ID; it is written a moment after the answer. */
export async function traceOf({ configFile }: TestServer, id: string): Promise<StoredTrace<WalkTrace>> {
  const traces = openTraces(loadConfig(configFile));
  try {
    let found: StoredTrace<WalkTrace> | undefined;
    await until(`a trace of ${id}`, () => {
      found = traces.findAll(id, 1)[0];
      return found !== undefined;
    });
    return found!;
  } finally {
    traces.close();
  }
}

export function queueOf({ directory }: TestServer): QueueEntry[] {
  const queue = readQueue(join(directory, 'data', 'queue'));
  try {
    return queue.list({});
  } finally {
    queue.close();
  }
}

/** Lines of the log so far. Throws when the server wrote anything else, but for what it says of its listeners. */
export function logOf(server: TestServer): Record<string, unknown>[] {
  const lines = server.output().split('\n').slice(0, -1);
  return lines
    .filter((line) => !/^[a-z]+: (?:smtp|submission|lmtp) on /.test(line))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Raw messages of a user's INBOX. */
export function inboxOf(server: TestServer, user: string): Buffer[] {
  return server.messages(user).map((path) => readFileSync(path));
}

/** The transaction's id in a positive reply. */
export function idIn(reply: string | undefined): string {
  const id = /queued as (\w+)/.exec(reply ?? '')?.[1];
  if (id === undefined) throw new Error(`no transaction id in: ${reply}`);
  return id;
}

/** Memory of a process in MiB: proportional share now, and the highest resident size since `resetPeak`. */
export function memoryOf(pid: number): { pssMiB: number; peakMiB: number } {
  const kiB = (file: string, key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1]);
  return { pssMiB: kiB('smaps_rollup', 'Pss') / 1024, peakMiB: kiB('status', 'VmHWM') / 1024 };
}

/** Lets VmHWM begin anew. proc_pid_clear_refs(5). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
