/**
 * Power cuts from outside: a process accepts mail under strace; from what it wrote and synced, worlds are built as a
 * power cut might have left them at any moment, and recovery runs in each. Every acknowledged message must be found,
 * whole, exactly once.
 *
 *     node test/crash/power-cut.ts [--rounds N] [--durability journal|file] [--seed N] [--messages N]
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createFileSystems } from '../../src/flow/file-systems.ts';
import { createSpool } from '../../src/flow/spool.ts';
import { openAcceptance } from '../flow/acceptance-kit.ts';
import { Disk, type World } from './disk.ts';
import { countCopies, idOf, storesOf } from './mail.ts';
import { readSystemCalls, type SystemCall, straceOptions } from './system-calls.ts';

export interface PowerCutOptions {
  readonly durability: 'journal' | 'file';
  readonly messages: number;
  /** Moments at which the power is cut; each gives one world of every kind. */
  readonly moments: number;
  readonly seed: number;
  /** Calls that are taken for never made: the harness must find out what that costs. */
  readonly without?: readonly string[];
}

export interface PowerCutReport {
  readonly acknowledged: number;
  readonly worlds: number;
  readonly replayed: number;
  /** Damage that recovery saw and reported. */
  readonly damage: number;
  /** What went wrong, one line each; empty is good. */
  readonly failures: string[];
}

/** Asked for an operation that was not synced: whether it is there, or how many of its octets. */
export type Survives = (operation: Disk['operations'][number]) => boolean | number;

/** Kinds of worlds: what becomes of everything that was not synced. */
export const worldKinds: Record<string, (random: () => number) => Survives> = {
  'nothing survives': () => () => false,
  'names survive without data': () => (operation) => operation.kind === 'name' || operation.kind === 'unname',
  'everything survives': () => () => true,
  'a random subset survives': (random) => () => random() < 0.5,
  'writes are cut off': (random) => (operation) =>
    operation.kind === 'data' ? Math.floor((random() * operation.octets.length) / 512) * 512 : random() < 0.5,
};

export async function cutPower(options: PowerCutOptions): Promise<PowerCutReport> {
  const parent = mkdtempSync(join(tmpdir(), 'power-cut-'));
  const root = join(parent, 'data');
  mkdirSync(root);
  try {
    const traced = await traceWorkload(root, join(parent, 'calls'), options);
    const calls = traced.filter(({ name }) => !options.without?.includes(name));
    const acknowledged = acknowledgements(calls);
    const disk = new Disk(root, calls);
    const random = randomFrom(options.seed);
    const totals = { worlds: 0, replayed: 0, damage: 0, failures: [] as string[] };
    for (const moment of moments(calls, acknowledged, options.moments, random)) {
      const heard = acknowledged.filter(({ start }) => start < moment).map(({ number }) => number);
      for (const [kind, survives] of Object.entries(worldKinds)) {
        const world = disk.worldAt(moment, survives(random));
        const outcome = await recoverIn(world, root, options);
        totals.worlds += 1;
        totals.replayed += outcome.replayed;
        totals.damage += outcome.damage;
        const where = `seed ${options.seed}, line ${moment}, ${kind}`;
        totals.failures.push(...judge(root, heard, options).map((failure) => `${where}: ${failure}`));
        if (outcome.corrupt > 0) totals.failures.push(`${where}: acknowledged records reported as damaged`);
      }
    }
    return { acknowledged: acknowledged.length, ...totals };
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Runs the workload on `root` to its end and gives its file operations. */
export async function traceWorkload(
  root: string,
  output: string,
  { durability, messages }: Pick<PowerCutOptions, 'durability' | 'messages'>,
): Promise<SystemCall[]> {
  const workload = fileURLToPath(new URL('workload.ts', import.meta.url));
  const args = [
    ...straceOptions,
    '-o',
    output,
    process.execPath,
    workload,
    root,
    durability,
    '0',
    String(messages),
    '6',
  ];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the workload ended with ${code}: ${errors.slice(0, 2000)}`);
  const calls = readSystemCalls(output);
  rmSync(output);
  return calls;
}

/** When each message's `250` was begun to be written. */
export function acknowledgements(calls: readonly SystemCall[]): { number: number; start: number }[] {
  return calls.flatMap(({ name, args, strings, start }) => {
    const match =
      name === 'write' && args[0] === '1' ? /^250 (\d+)\n$/.exec(strings[0]!.toString('latin1')) : null;
    return match ? [{ number: Number(match[1]), start }] : [];
  });
}

/** Right after an acknowledgement, where most is at stake, and anywhere. */
function moments(
  calls: readonly SystemCall[],
  acknowledged: readonly { start: number }[],
  count: number,
  random: () => number,
): number[] {
  const last = Math.max(...calls.filter(({ end }) => end < Number.MAX_SAFE_INTEGER).map(({ end }) => end));
  return Array.from({ length: count }, (_, index) =>
    index % 3 === 2
      ? Math.floor(random() * last)
      : acknowledged[Math.floor(random() * acknowledged.length)]!.start + 1,
  );
}

async function recoverIn(world: World, root: string, { durability }: PowerCutOptions) {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  for (const [path, octets] of world) {
    if (octets === undefined) mkdirSync(path);
    else writeFileSync(path, octets);
    // The machine was off for a while: dot locks are those of before.
    if (octets && path.endsWith('.lock')) utimesSync(path, 1, 1);
  }
  createSpool({
    directory: join(root, 'spool'),
    limits: { memoryMessageBytesMax: 0, memoryTotalBytesMax: 0 },
  }).recover();
  const { acceptance } = openAcceptance(root, {
    durability,
    bootId: `after-${Math.random()}`,
    // Real syncs would only cost time here: nobody cuts the power of this process.
    fileSystems: { ...createFileSystems(null), byPath: false, sync: async () => {} },
  });
  const report = await acceptance.recover();
  await acceptance.drain();
  await acceptance.close();
  const corrupt = report.damage.filter(({ kind }) => kind !== 'torn').length + report.lost.length;
  return { replayed: report.replayed, damage: report.damage.length, corrupt };
}

function judge(
  root: string,
  acknowledged: readonly number[],
  { messages, durability }: PowerCutOptions,
): string[] {
  const { whole, partial } = countCopies(root, messages);
  const failures: string[] = [];
  const heard = new Set(acknowledged);
  for (let number = 0; number < messages; number += 1) {
    const wanted = storesOf(number, root).length;
    const found = whole.get(number) ?? 0;
    if (heard.has(number) && found !== wanted)
      failures.push(`${idOf(number)} has ${found} copies, not ${wanted}`);
    if (found > wanted) failures.push(`${idOf(number)} was not acknowledged and has ${found} copies`);
  }
  // Without a journal nobody comes back for what a cut left of a message that was not acknowledged.
  if (durability === 'journal') failures.push(...partialOfAcknowledged(partial));
  return failures;
}

/** With the journal a name without data can only be of a message whose record was not synced: never acknowledged. */
function partialOfAcknowledged(partial: readonly string[]): string[] {
  return partial.map((path) => `${path} is not whole`);
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await campaign();

async function campaign(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      durability: { type: 'string', default: 'journal' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      messages: { type: 'string', default: '150' },
    },
  });
  const durability = values.durability === 'file' ? 'file' : 'journal';
  let failed = false;
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const seed = Number(values.seed) + round;
    const report = await cutPower({ durability, messages: Number(values.messages), moments: 40, seed });
    const { failures, ...numbers } = report;
    console.log(
      `seed ${seed}: ${JSON.stringify(numbers)}${failures.length === 0 ? '' : `, ${failures.length} FAILURES`}`,
    );
    for (const failure of failures.slice(0, 20)) console.log(`  ${failure}`);
    failed ||= failures.length > 0;
  }
  process.exitCode = failed ? 1 : 0;
}
