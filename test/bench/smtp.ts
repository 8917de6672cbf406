/**
 * Accepted, filtered, durably delivered: this server beside its peers, cell by cell in one run.
 * `node test/bench/smtp.ts [--peers postfix] [--sessions 1,10,50] [--n 3000] [--rounds 3] [--keep] [--durability file] [--bare]`
 * needs the bench scripts beside the project (../shared/bench) and root, as they do. Every cell has a fresh folder, and
 * nothing is deleted: where many files were removed a moment ago, ext4 without a journal creates new ones slowly.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hashPassword } from '../../src/users/password.ts';
import { projectRoot } from '../kit/require.ts';

const { values: options } = parseArgs({
  options: {
    peers: { type: 'string', default: 'postfix' },
    sessions: { type: 'string', default: '1,10,50' },
    n: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '3' },
    durability: { type: 'string', default: 'journal' },
    port: { type: 'string', default: '27525' },
    /** Many messages on each connection instead of one. */
    keep: { type: 'boolean', default: false },
    /** Without plugins: the difference is what filtering costs. */
    bare: { type: 'boolean', default: false },
    'cpu-prof': { type: 'boolean', default: false },
  },
});

interface Row {
  readonly peer: string;
  readonly error?: string;
  readonly deliver_per_s: number;
  readonly cpu_ms_per_msg: number;
  readonly peak_pss_mb: number;
  readonly lost: number;
}

const parent = process.env.BENCH_DIR ?? '/var/tmp';
mkdirSync(parent, { recursive: true });
const base = mkdtempSync(join(parent, 'mailbench-'));
chmodSync(base, 0o755);
const user = {
  password: await hashPassword('bench'),
  aliases: [],
  forward: [],
  quotaBytes: 0,
  disabled: false,
};

const cells = new Map<string, Row[]>();
for (const sessions of options.sessions.split(',')) {
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const row of runCell(sessions, join(base, `${sessions}-${round}`))) {
      if (row.error) throw new Error(`${row.peer}: ${row.error}`);
      const key = `${row.peer} ${sessions}`;
      cells.set(key, [...(cells.get(key) ?? []), row]);
    }
  }
}
report();

/** One number of sessions, once, for us and for every peer. */
function runCell(sessions: string, directory: string): Row[] {
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const configFile = writeConfig(directory);
  const maildir = join(directory, 'mailboxes/bench.test/benchmail');
  const profile = options['cpu-prof'] ? `--cpu-prof --cpu-prof-dir=${directory}/profile` : '';
  const command = `${process.execPath} ${profile} ${join(projectRoot, 'src/mailfilter.js')} serve -q -c ${configFile}`;
  const run = spawnSync(
    'python3',
    [
      join(projectRoot, '../shared/bench/a_smtp.py'),
      ...['--n', options.n, '--reps', '1', '--sessions', sessions, '--peers', options.peers],
      ...(options.keep ? ['--keep'] : []),
      '--target',
      `mailfilter,127.0.0.1:${options.port},maildir=${maildir},rcpt=benchmail@bench.test,cmd=${command}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, BENCH_DIR: directory } },
  );
  return (JSON.parse(run.stdout.toString()) as { rows: Row[] }).rows;
}

function writeConfig(directory: string): string {
  const plugins = join(projectRoot, 'test/bench/plugins');
  // biome-ignore lint/suspicious/noThenProperty: a rule's key, never awaited
  const mark = { name: 'mark', then: [{ add: 'X-Bench', value: 'yes' }] };
  const filters = [
    join(plugins, 'header-count.ts'),
    join(plugins, 'body-digest.ts'),
    { plugin: 'header-rules', options: { rules: [mark] } },
  ];
  const config = {
    hostname: 'mx.bench.test',
    dataDirectory: 'data',
    domains: ['bench.test'],
    durability: options.durability,
    listeners: {
      smtp: { protocol: 'smtp', address: `127.0.0.1:${options.port}`, tls: 'none', pipeline: 'inbound' },
    },
    pipelines: { inbound: options.bare ? [] : filters },
    users: { file: 'users.json' },
    mailbox: { format: 'maildir', path: 'mailboxes/{domain}/{user}' },
    routes: [{ to: '@bench.test', deliver: 'mailbox' }],
    log: { level: 'warn' },
  };
  const file = join(directory, 'mailfilter.json');
  writeFileSync(file, JSON.stringify(config));
  writeFileSync(
    join(directory, 'users.json'),
    JSON.stringify({ version: 1, users: { 'benchmail@bench.test': user } }),
    { mode: 0o600 },
  );
  return file;
}

function report(): void {
  const names = [...new Set([...cells.keys()].map((key) => key.split(' ')[0]!))];
  console.log(
    `| ${options.keep ? 'reused connections' : 'a connection each'} | messages/s | beside ${names[1] ?? '-'} | CPU ms each | PSS MB |`,
  );
  console.log('|---|---|---|---|---|');
  for (const sessions of options.sessions.split(',')) {
    for (const name of names) {
      const rows = cells.get(`${name} ${sessions}`)!;
      const rate = median(rows, 'deliver_per_s');
      const peer =
        names[1] === undefined ? Number.NaN : median(cells.get(`${names[1]} ${sessions}`)!, 'deliver_per_s');
      const lost = rows.reduce((sum, row) => sum + row.lost, 0);
      const cpu = median(rows, 'cpu_ms_per_msg').toFixed(2);
      console.log(
        `| ${name}, ${sessions} sessions${lost > 0 ? ` LOST ${lost}` : ''} | ${rate} | ${(rate / peer).toFixed(1)} | ${cpu} | ${median(rows, 'peak_pss_mb')} |`,
      );
    }
  }
  console.log(`\nfolders in ${base}; remove them when no run follows`);
}

function median(rows: readonly Row[], key: 'deliver_per_s' | 'cpu_ms_per_msg' | 'peak_pss_mb'): number {
  const sorted = rows.map((row) => row[key]).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)]!;
}
