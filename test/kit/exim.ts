/** Exim for a test, from the unpacked package: own config and spool, free loopback ports, ended with the test. Needs root. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { accepts } from './postfix.ts';
import { requirePeer, requireUnpacked } from './require.ts';
import { until } from './server.ts';

export interface EximOptions {
  /** Where it listens on 127.0.0.1; the first takes mail from clients. */
  readonly ports: readonly number[];
  /** Routers before the one that brings mail for example.test to the transport `local_delivery`. */
  readonly routers?: readonly string[];
  /** `local_delivery` and whatever the routers name. */
  readonly transports: readonly string[];
}

export interface Exim {
  readonly directory: string;
  log(): string;
  /** Messages that wait. */
  queued(): number;
}

/** Undefined after skipping the test by name. */
export async function startExim(t: TestContext, options: EximOptions): Promise<Exim | undefined> {
  const program = requireUnpacked(t, 'exim4', 'usr/sbin/exim4');
  if (!program || !requirePeer(t, 'root, to start Exim', process.getuid?.() === 0)) return undefined;
  const line = /^Debian-exim:[^:]*:(\d+):(\d+)/m.exec(readFileSync('/etc/passwd', 'utf8'));
  if (!requirePeer(t, 'the user Debian-exim, made by .ci/peers', line !== null)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-exim-'));
  chmodSync(directory, 0o755);
  for (const name of ['spool', 'log']) {
    mkdirSync(join(directory, name));
    chownSync(join(directory, name), Number(line![1]), Number(line![2]));
  }
  const config = join(directory, 'exim.conf');
  writeFileSync(config, configText(directory, program, options), { mode: 0o644 });
  const env = { ...process.env, LD_LIBRARY_PATH: join(program, '../../lib/x86_64-linux-gnu') };
  const run = (args: string[]) => execFileSync(program, ['-C', config, ...args], { env, encoding: 'utf8' });
  // With -C it would give up root: in a mount of its own the config lies where it was compiled to be.
  const script = `mount -t tmpfs tmpfs /etc/exim4 && cp ${config} /etc/exim4/exim4.conf && exec ${program} -bdf -q1m`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => (output += chunk));
  t.after(async () => {
    child.kill('SIGTERM');
    await until('the end of Exim', () => child.exitCode !== null || child.signalCode !== null);
    rmSync(directory, { recursive: true, force: true });
  });
  const log = () => {
    const files = ['mainlog', 'rejectlog', 'paniclog'].map((name) => join(directory, 'log', name));
    return (
      output +
      files
        .filter((file) => existsSync(file))
        .map((file) => readFileSync(file, 'utf8'))
        .join('')
    );
  };
  await until('Exim to listen', () => {
    if (child.exitCode !== null) throw new Error(`Exim did not start:\n${log()}`);
    return accepts(options.ports[0]!);
  });
  return { directory, log, queued: () => Number(run(['-bpc']).trim()) };
}

function configText(
  directory: string,
  program: string,
  { ports, routers = [], transports }: EximOptions,
): string {
  return `exim_user = Debian-exim
exim_group = Debian-exim
exim_path = ${program}
spool_directory = ${directory}/spool
log_file_path = ${directory}/log/%slog
pid_file_path = ${directory}/exim.pid
primary_hostname = mta.example.test
local_interfaces = <; ${ports.map((port) => `127.0.0.1.${port}`).join(' ; ')}
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
never_users =
message_size_limit = 60M
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = all
acl_smtp_data = all
begin acl
all:
  accept
begin routers
${routers.join('\n')}
local:
  driver = accept
  domains = example.test
  transport = local_delivery
begin transports
${transports.join('\n')}
begin retry
* * F,1h,1m
`;
}
