/**
 * IMAP and POP3 on a Maildir, this server beside Dovecot in one run.
 * `node test/bench/imap.ts [--n 10000] [--rounds 3] [--peers dovecot] [--cpu-prof]` needs the bench scripts beside the
 * project (../shared/bench) and root, as they do. Nothing that an earlier run left is deleted: BENCH_DIR says where.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hashPassword } from '../../src/users/password.ts';
import { projectRoot } from '../kit/require.ts';

const { values: options } = parseArgs({
  options: {
    n: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string', default: 'dovecot' },
    port: { type: 'string', default: '27143' },
    'cpu-prof': { type: 'boolean', default: false },
  },
});

type Row = Readonly<Record<string, unknown>> & { readonly peer: string; readonly errors?: object };

const parent = process.env.BENCH_DIR ?? '/var/tmp';
mkdirSync(parent, { recursive: true });
const base = mkdtempSync(join(parent, 'mailbench-'));
chmodSync(base, 0o755);
const maildir = join(base, 'mailboxes/bench.test/benchmail');
const port = Number(options.port);
await writeConfig();
report(run());

async function writeConfig(): Promise<void> {
  const reader = (protocol: string, at: number) => ({
    protocol,
    address: `127.0.0.1:${at}`,
    tls: 'none',
    authWithoutTls: true,
  });
  const config = {
    hostname: 'mx.bench.test',
    dataDirectory: 'data',
    domains: ['bench.test'],
    listeners: { imap: reader('imap', port), pop3: reader('pop3', port + 1) },
    pipelines: { inbound: [] },
    users: { file: 'users.json' },
    mailbox: { format: 'maildir', path: 'mailboxes/{domain}/{user}' },
    routes: [{ to: '@bench.test', deliver: 'mailbox' }],
    log: { level: 'warn' },
  };
  writeFileSync(join(base, 'mailfilter.json'), JSON.stringify(config));
  const password = await hashPassword('secret');
  const user = { password, aliases: [], forward: [], quotaBytes: 0, disabled: false };
  const users = { version: 1, users: { 'benchmail@bench.test': user } };
  writeFileSync(join(base, 'users.json'), JSON.stringify(users), { mode: 0o600 });
}

function run(): Row[] {
  const profile = options['cpu-prof'] ? `--cpu-prof --cpu-prof-dir=${base}/profile` : '';
  const command = `${process.execPath} ${profile} ${join(projectRoot, 'src/mailfilter.js')} serve -q -c ${base}/mailfilter.json`;
  const cold = `rm -rf ${base}/data/mailboxes ${maildir}/dovecot* ${maildir}/mailfilter*`;
  const target = [
    `mailfilter,127.0.0.1:${port}`,
    ...['user=benchmail@bench.test', 'pass=secret', `pop3=${port + 1}`, `maildir=${maildir}`],
    ...[`cold=${cold}`, `cmd=${command}`],
  ].join(',');
  const script = join(projectRoot, '../shared/bench/c_imap.py');
  const given = ['--n', options.n, '--reps', options.rounds, '--peers', options.peers, '--target', target];
  const { stdout } = spawnSync('python3', [script, ...given], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_DIR: base },
    maxBuffer: 1 << 24,
  });
  return (JSON.parse(stdout.toString()) as { rows: Row[] }).rows;
}

/** One line for each thing measured; the last column is ours divided by the first peer's. */
function report(rows: readonly Row[]): void {
  const [ours, peer] = rows;
  console.log(`| ${options.n} messages | ${rows.map((row) => row.peer).join(' | ')} | ratio |`);
  for (const [name, value] of Object.entries(ours!)) {
    if (typeof value !== 'number' || name === 'n') continue;
    const cells = rows.map((row) => row[name]);
    const other = peer?.[name];
    const ratio = typeof other === 'number' && other > 0 ? (value / other).toFixed(2) : '';
    console.log(`| ${name} | ${cells.map(rounded).join(' | ')} | ${ratio} |`);
  }
  for (const { peer: name, errors } of rows) console.log(`${name}: errors ${JSON.stringify(errors)}`);
}

function rounded(value: unknown): string {
  if (typeof value !== 'number') return '';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}
