/** The real clamd of a test's own, with signatures of our own: it knows EICAR and nothing else. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './free-port.ts';
import { accepts } from './postfix.ts';
import { type ProcessGroup, type RealDaemon, startGroup } from './process-group.ts';
import { requireProgram } from './require.ts';
import { until } from './server.ts';

/** The standard test file, in two halves so that no scanner takes this file for one. */
export const eicar = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
/** clamd refuses to look at what is longer. */
export const streamMaxBytes = 1_000_000;

export interface Clamd extends RealDaemon {
  readonly socket: string;
  /** For clamdscan. */
  readonly configFile: string;
}

export async function startClamd(t: TestContext): Promise<Clamd | undefined> {
  const program = requireProgram(t, 'clamd');
  if (!program) return undefined;
  const clamd = await launchClamd(program);
  t.after(() => clamd[Symbol.asyncDispose]());
  return clamd;
}

/** Until it is disposed of, and its folder with it. */
export async function launchClamd(program: string): Promise<Clamd & AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-clamd-'));
  const database = join(directory, 'db');
  mkdirSync(database);
  const md5 = createHash('md5').update(eicar).digest('hex');
  // A signature of the whole file and one of its text wherever it stands: clamd takes mail apart for the first.
  writeFileSync(join(database, 'own.hdb'), `${md5}:${eicar.length}:Own-Eicar\n`);
  writeFileSync(join(database, 'own.ndb'), `Own-Eicar-Text:0:*:${Buffer.from(eicar).toString('hex')}\n`);
  const port = await freePort();
  const socket = join(directory, 'clamd.sock');
  const configFile = join(directory, 'clamd.conf');
  const lines = [
    'Foreground yes',
    `DatabaseDirectory ${database}`,
    `LocalSocket ${socket}`,
    `TCPSocket ${port}`,
    'TCPAddr 127.0.0.1',
    `StreamMaxLength ${streamMaxBytes}`,
    `LogFile ${join(directory, 'log')}`,
    'MaxThreads 4',
  ];
  writeFileSync(configFile, `${lines.join('\n')}\n`);
  let group: ProcessGroup;
  const start = async () => {
    group = startGroup(program, ['-c', configFile]);
    await until('clamd to listen', () => accepts(port), 60_000);
  };
  await start();
  const kill = () => group.kill();
  return {
    address: `127.0.0.1:${port}`,
    port,
    socket,
    configFile,
    signal: (name) => group.signal(name),
    kill,
    start,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
