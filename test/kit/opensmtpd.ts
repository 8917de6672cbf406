/** OpenSMTPD's smtpd for a test, from the unpacked package: own config and queue, a free loopback port, ended with the test. Needs root. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './free-port.ts';
import { accepts } from './postfix.ts';
import { requirePeer, requireUnpacked } from './require.ts';
import { messagesIn, until } from './server.ts';

export interface OpenSmtpdOptions {
  /** Lines before `listen`, such as `filter "x" proc-exec "..."`. */
  readonly before?: readonly string[];
  /** Behind `listen on ...`: `filter "x"`. */
  readonly listen?: string;
  /** What `action "local"` does with mail for example.test; by default into the Maildir of `messages`. */
  readonly action?: string;
  /** Folder on disk for its queue, which otherwise lies in memory. */
  readonly queueFolder?: string;
}

export interface OpenSmtpd {
  /** Everything of it, of `nobody` for whom it delivers. */
  readonly directory: string;
  readonly port: number;
  log(): string;
  /** Messages delivered so far, whoever they were for. */
  messages(): string[];
}

/** Undefined after skipping the test by name. */
export async function startOpenSmtpd(
  t: TestContext,
  options: OpenSmtpdOptions = {},
): Promise<OpenSmtpd | undefined> {
  const program = requireUnpacked(t, 'opensmtpd', 'usr/sbin/smtpd');
  if (!program || !requirePeer(t, 'root, to start smtpd', process.getuid?.() === 0)) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8');
  if (!requirePeer(t, 'the user opensmtpd, made by .ci/peers', /^opensmtpd:/m.test(users))) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-opensmtpd-'));
  chmodSync(directory, 0o755);
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+)/m.exec(users)!.map(Number);
  mkdirSync(join(directory, 'mail'));
  chownSync(join(directory, 'mail'), uid!, gid!);
  const port = await freePort();
  const config = join(directory, 'smtpd.conf');
  const { before = [], listen = '', action = `maildir "${join(directory, 'mail')}"` } = options;
  const lines = [
    ...before,
    'smtp max-message-size 64M',
    'table users { "@example.test" = "nobody" }',
    `listen on 127.0.0.1 port ${port} hostname mta.example.test ${listen}`,
    `action "local" ${action} virtual <users>`,
    'match from any for domain "example.test" action "local"',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 });
  // Its queue and its control socket have one place on a machine: mounts that only this smtpd sees.
  const { queueFolder } = options;
  const mount = queueFolder === undefined ? '-t tmpfs -o mode=711 tmpfs' : `--bind ${queueFolder}`;
  const script = `mount -t tmpfs tmpfs /run && mount ${mount} /var/spool/smtpd && exec ${program} -d -f ${config}`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  t.after(async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await until('the end of smtpd', () => child.exitCode !== null || child.signalCode !== null);
    rmSync(directory, { recursive: true, force: true });
  });
  await until(
    'smtpd to listen',
    async () => {
      if (child.exitCode !== null) throw new Error(`smtpd did not start:\n${output}`);
      return accepts(port);
    },
    20_000,
  );
  const messages = () => messagesIn(join(directory, 'mail')).map((path) => readFileSync(path, 'latin1'));
  return { directory, port, log: () => output, messages };
}
