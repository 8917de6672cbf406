/**
 * What one delivery costs from start to finish, a process each: ours by what it has to do, beside procmail and Dovecot's LDA.
 *
 *     node test/bench/deliver.ts [deliveries]
 *
 * Figures are milliseconds of wall time and of CPU (all threads) per delivery, after three to warm up.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launcher } from '../kit/command.ts';
import { rule } from '../kit/json-rule.ts';
import { startServer } from '../kit/server.ts';

const deliveries = Number(process.argv[2] ?? 10);
const root = mkdtempSync(join(process.cwd(), '.bench-'));
const message = join(root, 'message');
writeFileSync(
  message,
  `From: a@b.test\nTo: c@d.test\nSubject: bench\n\n${`${'x'.repeat(70)}\n`.repeat(141)}`,
);
const node = process.execPath;
const addField = rule({ header: 'Subject', contains: 'bench' }, { add: 'X-Bench', value: 'yes' });

function config(name: string, more: object): string {
  const file = join(root, `${name}.json`);
  const mailbox = { format: 'maildir', path: join(root, name, '{user}') };
  writeFileSync(
    file,
    JSON.stringify({ hostname: 'mx.example.test', dataDirectory: join(root, 'data'), mailbox, ...more }),
  );
  return file;
}

const server = await startServer({ directory: join(root, 'server') });
const dovecot = join(root, 'dovecot.conf');
mkdirSync(join(root, 'dovecot'));
chmodSync(root, 0o755);
chmodSync(join(root, 'dovecot'), 0o777);
writeFileSync(
  dovecot,
  `mail_location = maildir:${join(root, 'dovecot/Maildir')}\nfirst_valid_uid = 0\nssl = no\nlog_path = /dev/null\nbase_dir = ${join(root, 'dovecot')}\n`,
);
const rcfile = join(root, 'rc');
writeFileSync(rcfile, `MAILDIR=${root}\n:0\nprocmail/\n`);
const plain = config('plain', {});
const pipeline = config('pipeline', {
  pipelines: { inbound: [{ plugin: 'header-rules', options: { rules: [addField] } }] },
});

// As root it asks a running Dovecot who the user is.
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const lda = '/usr/lib/dovecot/dovecot-lda';

const ways: readonly [name: string, command: readonly string[]][] = [
  ['node, an empty program', [node, '-e', '0']],
  ['procmail', ['procmail', '-p', rcfile]],
  ['dovecot-lda', [...asNobody, lda, '-c', dovecot]],
  ['deliver, no config', [node, launcher, 'deliver']],
  ['deliver, config without a pipeline', [node, launcher, 'deliver', '-c', plain]],
  [
    'deliver, to the running server',
    [node, launcher, 'deliver', '-c', server.configFile, '-d', 'alice@example.test'],
  ],
  ['deliver, a pipeline with one plugin', [node, launcher, 'deliver', '-c', pipeline]],
];

try {
  process.stdout.write('| | wall ms | CPU ms |\n|---|---|---|\n');
  for (const [name, command] of ways) {
    if (command.includes(lda) && !existsSync(lda)) continue;
    run(command, 3);
    const { wall, cpu } = run(command, deliveries);
    process.stdout.write(`| ${name} | ${wall.toFixed(0)} | ${cpu.toFixed(0)} |\n`);
  }
} finally {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}

/** By the shell's own count of its children's time. */
function run(command: readonly string[], count: number): { wall: number; cpu: number } {
  const quoted = command.map((word) => `'${word}'`).join(' ');
  const loop = `i=0; while [ $i -lt ${count} ]; do ${quoted} < '${message}' || exit 1; i=$((i+1)); done`;
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', '%e %U %S', 'sh', '-c', loop], {
    encoding: 'utf8',
    env: { ...process.env, HOME: root, MAIL: '', MAILFILTER_CONFIG: '' },
  });
  const [elapsed = 0, user = 0, system = 0] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number);
  if (status !== 0) throw new Error(`${quoted}: ${stderr}`);
  return { wall: (elapsed * 1000) / count, cpu: ((user + system) * 1000) / count };
}
