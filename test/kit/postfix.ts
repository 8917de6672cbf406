/** A private Postfix for a test: own config, queue and data, a free loopback port, ended with the test. Needs root. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type CommandResult, collect } from './command.ts';
import { freePort } from './free-port.ts';
import { requirePeer, requireProgram } from './require.ts';
import { messagesIn, until } from './server.ts';

export interface PostfixOptions {
  /** Added to main.cf, or in the place of what stands there: `smtpd_milters` to `inet:127.0.0.1:2891` ... */
  readonly main?: Readonly<Record<string, string>>;
  /** `-o` options of the smtpd that clients talk to: `content_filter=scan:127.0.0.1:10025` ... */
  readonly smtpd?: readonly string[];
  /** Further lines of master.cf, each `service type private unpriv chroot wakeup maxproc command`. */
  readonly master?: readonly string[];
  /** Further files in the config directory, name to text; main.cf says `$config_directory/name`. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Postfix {
  /** Everything of this instance: etc, queue, data, mail, maillog. */
  readonly directory: string;
  /** Where its smtpd listens on 127.0.0.1. */
  readonly port: number;
  /** The log so far. */
  log(): string;
  /** Texts of the messages delivered to `user@example.test`: alice, bob, carol, dave or postmaster. */
  messages(user: string): string[];
  /** Entries of `postqueue -j`. */
  queue(): Promise<PostfixQueueEntry[]>;
  /** Runs a command of Postfix (`postqueue`, `postsuper`, `sendmail` ...) on this instance. */
  run(command: string, args: readonly string[], input?: string | Buffer): Promise<CommandResult>;
  stop(): Promise<void>;
}

export interface PostfixQueueEntry {
  readonly queue_name: string;
  readonly queue_id: string;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

/** Undefined after skipping the test by name where Postfix or root is missing. */
export async function startPostfix(
  t: TestContext,
  options: PostfixOptions = {},
): Promise<Postfix | undefined> {
  const program = requireProgram(t, 'postfix');
  if (!program || !requirePeer(t, 'root, to start Postfix', process.getuid?.() === 0)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-postfix-'));
  const port = await freePort();
  writeFiles(directory, port, options);
  const etc = join(directory, 'etc');
  const master = spawn(program, ['-c', etc, 'start-fg'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  master.stdout.on('data', (chunk) => (output += chunk));
  master.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise<void>((resolve) => master.once('exit', () => resolve()));
  const log = () => {
    const file = join(directory, 'maillog');
    return `${output}${existsSync(file) ? readFileSync(file, 'utf8') : ''}`;
  };
  const run = (command: string, args: readonly string[], input?: string | Buffer) => {
    const config = command === 'sendmail' ? '-C' : '-c';
    return collect(spawn(requireProgram(t, command)!, [config, etc, ...args]), input);
  };
  const stop = async () => {
    // The command that starts it in the foreground does not hand signals on.
    const pidFile = join(directory, 'queue/pid/master.pid');
    if (master.exitCode === null) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
    await ended;
  };
  t.after(stop);
  await until('Postfix to listen', () => {
    if (master.exitCode !== null) throw new Error(`Postfix did not start:\n${log()}`);
    return accepts(port);
  });
  const messages = (user: string) =>
    messagesIn(join(directory, 'mail', user)).map((path) => readFileSync(path, 'latin1'));
  const queue = async () => {
    const { stdout } = await run('postqueue', ['-j']);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as PostfixQueueEntry);
  };
  return { directory, port, log, messages, queue, run, stop };
}

/** True when something accepts connections there. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function writeFiles(directory: string, port: number, options: PostfixOptions): void {
  // Postfix's daemons give up root and walk in here as another user.
  chmodSync(directory, 0o755);
  const etc = join(directory, 'etc');
  for (const name of ['etc', 'queue', 'data', 'mail']) mkdirSync(join(directory, name), { mode: 0o755 });
  const { uid, gid } = idsOf('postfix');
  chownSync(join(directory, 'data'), uid, gid);
  const nobody = idsOf('nobody');
  chownSync(join(directory, 'mail'), nobody.uid, nobody.gid);
  const main = { ...mainSettings(directory, nobody), ...options.main };
  const lines = Object.entries(main).map(([name, value]) => `${name} = ${value}`);
  writeFileSync(join(etc, 'main.cf'), `${lines.join('\n')}\n`);
  writeFileSync(join(etc, 'master.cf'), masterText(port, options));
  const mailboxes = users.map((user) => `${user}@example.test ${user}/\n`);
  writeFileSync(join(etc, 'mailboxes'), mailboxes.join(''));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(etc, name), text);
}

const users = ['alice', 'bob', 'carol', 'dave', 'postmaster'];

/** Numeric ids from /etc/passwd. */
export function idsOf(user: string): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${user}:`));
  if (line === undefined) throw new Error(`no user ${user} on this machine`);
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Mail for example.test is delivered into Maildirs; no DNS, nothing leaves loopback. */
function mainSettings(directory: string, owner: { uid: number; gid: number }): Record<string, string> {
  return {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'queue'),
    data_directory: join(directory, 'data'),
    command_directory: '/usr/sbin',
    daemon_directory: '/usr/lib/postfix/sbin',
    meta_directory: '/etc/postfix',
    shlib_directory: '/usr/lib/postfix',
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    maillog_file: join(directory, 'maillog'),
    maillog_file_prefixes: directory,
    myhostname: 'mta.example.test',
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    alias_maps: '',
    alias_database: '',
    disable_dns_lookups: 'yes',
    smtp_host_lookup: 'native',
    smtpd_relay_restrictions: 'permit_mynetworks, reject',
    smtpd_authorized_xclient_hosts: '127.0.0.0/8',
    smtpd_authorized_xforward_hosts: '127.0.0.0/8',
    smtpd_client_connection_count_limit: '0',
    message_size_limit: '60000000',
    virtual_mailbox_domains: 'example.test',
    virtual_mailbox_base: join(directory, 'mail'),
    virtual_mailbox_maps: 'texthash:$config_directory/mailboxes',
    virtual_mailbox_limit: '0',
    virtual_minimum_uid: '1',
    virtual_uid_maps: `static:${owner.uid}`,
    virtual_gid_maps: `static:${owner.gid}`,
    // Whatever is meant for elsewhere waits in the queue, where a test can look at it.
    default_transport: 'smtp:[127.0.0.1]:1',
  };
}

function masterText(port: number, { smtpd = [], master = [] }: PostfixOptions): string {
  const options = smtpd.map((option) => `  -o { ${option.replace('=', ' = ')} }`);
  return `${[`127.0.0.1:${port} inet n - n - - smtpd`, ...options, services, ...master].join('\n')}\n`;
}

const services = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd`;
