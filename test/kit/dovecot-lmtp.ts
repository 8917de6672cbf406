/** Dovecot's LMTP server for a test: alice and bob of example.test, a free loopback port, ended with the test. Needs root. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './free-port.ts';
import { accepts, idsOf } from './postfix.ts';
import { requirePeer } from './require.ts';
import { messagesIn, until } from './server.ts';

export interface DovecotLmtp {
  readonly port: number;
  /** Messages of a user's INBOX. */
  messages(user: string): string[];
  stop(): Promise<void>;
}

/** Undefined after skipping the test by name. */
export async function startDovecotLmtp(t: TestContext): Promise<DovecotLmtp | undefined> {
  if (!requirePeer(t, 'dovecot-lmtpd', existsSync('/usr/lib/dovecot/lmtp'))) return undefined;
  if (!requirePeer(t, 'root, to start Dovecot', process.getuid?.() === 0)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-dovecot-'));
  chmodSync(directory, 0o755);
  const mail = join(directory, 'mail');
  const { uid, gid } = idsOf('nobody');
  mkdirSync(mail);
  chownSync(mail, uid, gid);
  const port = await freePort();
  const config = join(directory, 'dovecot.conf');
  writeFileSync(
    join(directory, 'users'),
    ['alice', 'bob'].map((user) => `${user}@example.test::${uid}:${gid}::${mail}/${user}::\n`).join(''),
    { mode: 0o644 },
  );
  writeFileSync(config, configText(directory, port));
  const child = spawn('dovecot', ['-F', '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await ended;
  };
  t.after(async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  });
  await until('Dovecot to listen', () => {
    if (child.exitCode !== null) throw new Error(`Dovecot did not start:\n${output}`);
    return accepts(port);
  });
  return { port, messages: (user) => messagesIn(join(mail, user, 'Maildir')), stop };
}

function configText(directory: string, port: number): string {
  return `protocols = lmtp
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
ssl = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
lmtp_save_to_detail_mailbox = no
auth_username_format = %Lu
passdb {
  driver = passwd-file
  args = ${directory}/users
}
userdb {
  driver = passwd-file
  args = ${directory}/users
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`;
}
