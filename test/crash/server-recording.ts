/** Everything that a whole server does to its files under load, as strace saw it, and when it answered. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerOptions, startServer } from '../kit/server.ts';
import { idIn } from '../server/observe.ts';
import { type Durability, type Format, type Letter, Load, loadConfig } from './server-load.ts';
import { readSystemCalls, type SystemCall, straceOptions } from './system-calls.ts';

export interface Acknowledgement {
  readonly letter: Letter;
  /** Of the transaction. */
  readonly id: string;
  /** When the reply was begun to be written. */
  readonly start: number;
}

export interface Recording {
  /** The server's folder: what lies in it before the server starts is config. */
  readonly root: string;
  readonly calls: readonly SystemCall[];
  readonly letters: readonly Letter[];
  readonly acknowledgements: readonly Acknowledgement[];
}

export interface RecordingOptions {
  readonly durability?: Durability;
  readonly format?: Format;
  readonly letters: number;
  /** Every sync ends late, so that an answer that does not wait for it comes before. */
  readonly slowSyncs?: boolean;
  /** In the place of what the load is made for. */
  readonly config?: ServerOptions['config'];
  /** Two at most speak SMTP alone. */
  readonly clients?: number;
  /** Keeps the server's folder, with config and users. */
  readonly keep?: boolean;
}

/** By 4 ms. */
const slowSyncs = ['-e', 'inject=fdatasync,fsync:delay_exit=4000'];

/** Runs a server until all letters are answered, and to its end. */
export async function recordServer(options: RecordingOptions): Promise<Recording> {
  const { durability = 'journal', format = 'maildir' } = options;
  const parent = mkdtempSync(join(tmpdir(), 'recorded-'));
  const root = join(parent, 'server');
  const output = join(parent, 'calls');
  const server = await startServer({
    directory: root,
    config: { ...loadConfig(format, durability), ...options.config },
    wrap: ['strace', ...straceOptions, ...(options.slowSyncs ? slowSyncs : []), '-o', output],
  });
  const load = new Load();
  const pid = server.pidOf('mta');
  try {
    const { letters: count, clients = 4 } = options;
    await load.run(server.ports, { count, clients });
  } finally {
    // In order: strace may hang over a process that is stopped and killed at once.
    await server.stop();
  }
  const calls = readSystemCalls(output, pid);
  rmSync(options.keep ? output : parent, { recursive: true });
  return { root, calls, letters: load.letters, acknowledgements: acknowledgementsIn(calls, load.letters) };
}

function acknowledgementsIn(calls: readonly SystemCall[], letters: readonly Letter[]): Acknowledgement[] {
  const begun = new Map<string, number>();
  for (const { name, strings, start } of calls) {
    if (name !== 'write' && name !== 'writev') continue;
    const text = Buffer.concat(strings).toString('latin1');
    // A log line tells of it as well.
    if (!text.startsWith('250 ')) continue;
    for (const [, id] of text.matchAll(/queued as (\w+)/g))
      begun.set(id!, Math.min(start, begun.get(id!) ?? start));
  }
  return letters
    .filter(({ acknowledged }) => acknowledged.size > 0)
    .map((letter) => {
      const id = idIn(letter.replies[0]);
      const start = begun.get(id);
      if (start === undefined) throw new Error(`the answer ${id} was not seen`);
      return { letter, id, start };
    });
}
