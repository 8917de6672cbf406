/**
 * Accepted, filtered, durably delivered: this server beside its peers in one run.
 * `node test/bench/smtp.ts [--peers postfix] [--n 2000] [--sessions 1,10,50] [--durability journal|file] [--keep]`
 * needs the bench scripts beside the project (../shared/bench) and root, as they do.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hashPassword } from '../../src/users/password.ts';
import { projectRoot } from '../kit/require.ts';

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: 'postfix' },
    n: { type: 'string', default: '2000' },
    reps: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '1,10,50' },
    durability: { type: 'string', default: 'journal' },
    port: { type: 'string', default: '27525' },
    /** Many messages on each connection. */
    keep: { type: 'boolean', default: false },
    /** Without plugins: what the filter adds is the difference. */
    bare: { type: 'boolean', default: false },
    'cpu-prof': { type: 'boolean', default: false },
  },
});

const base = process.env.BENCH_DIR ?? '/tmp/mailbench';
mkdirSync(base, { recursive: true });
const directory = mkdtempSync(join(base, 'mailfilter-'));
const plugins = join(projectRoot, 'test/bench/plugins');
// biome-ignore lint/suspicious/noThenProperty: a rule's key, never awaited
const mark = { name: 'mark', then: [{ add: 'X-Bench', value: 'yes' }] };
const user = {
  password: await hashPassword('bench'),
  aliases: [],
  forward: [],
  quotaBytes: 0,
  disabled: false,
};
writeFileSync(
  join(directory, 'users.json'),
  JSON.stringify({ version: 1, users: { 'benchmail@bench.test': user } }),
  { mode: 0o600 },
);
const configFile = join(directory, 'mailfilter.json');
writeFileSync(
  configFile,
  JSON.stringify({
    hostname: 'mx.bench.test',
    dataDirectory: 'data',
    domains: ['bench.test'],
    durability: values.durability,
    listeners: {
      smtp: { protocol: 'smtp', address: `127.0.0.1:${values.port}`, tls: 'none', pipeline: 'inbound' },
    },
    pipelines: {
      inbound: values.bare
        ? []
        : [
            join(plugins, 'header-count.ts'),
            join(plugins, 'body-digest.ts'),
            { plugin: 'header-rules', options: { rules: [mark] } },
          ],
    },
    users: { file: 'users.json' },
    mailbox: { format: 'maildir', path: 'mail/{domain}/{user}' },
    routes: [{ to: '@bench.test', deliver: 'mailbox' }],
    log: { level: 'warn' },
  }),
);

const maildir = join(directory, 'mail/bench.test/benchmail');
const profile = values['cpu-prof'] ? `--cpu-prof --cpu-prof-dir=${directory}/profile` : '';
const command = `${process.execPath} ${profile} ${join(projectRoot, 'src/main.ts')} serve -c ${configFile}`;
const target = `mailfilter,127.0.0.1:${values.port},maildir=${maildir},rcpt=benchmail@bench.test,cmd=${command}`;
const run = spawnSync(
  'python3',
  [
    join(projectRoot, '../shared/bench/a_smtp.py'),
    ...['--n', values.n, '--reps', values.reps, '--sessions', values.sessions, '--peers', values.peers],
    ...(values.keep ? ['--keep'] : []),
    ...['--target', target],
  ],
  { stdio: 'inherit', env: { ...process.env, BENCH_DIR: base } },
);
if (values['cpu-prof']) process.stderr.write(`profiles in ${directory}/profile\n`);
else rmSync(directory, { recursive: true, force: true });
process.exitCode = run.status ?? 1;
