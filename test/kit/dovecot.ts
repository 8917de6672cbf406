/** Debian's Dovecot on a mailbox of the test: its imap program over pipes, with no master, no login and no port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { requirePeer } from './require.ts';

const program = '/usr/lib/dovecot/imap';
/** Dovecot refuses to touch mail as root. */
const nobody = 65534;

/**
 * Gives up root for the rest of the process, which must not have made its files yet: Dovecot and we are to be the same
 * user. @returns false, after skipping the test by name, where Dovecot is not installed
 */
export function requireDovecot(t: TestContext): boolean {
  if (!requirePeer(t, 'dovecot-imapd', existsSync(program))) return false;
  if (process.getuid!() === 0) {
    process.setgroups!([]);
    process.setgid!(nobody);
    process.setuid!(nobody);
  }
  return true;
}

export interface DovecotOptions {
  readonly format: 'maildir' | 'mbox';
  /** Absolute: the Maildir's root, or the INBOX mbox file. */
  readonly path: string;
  /** Absolute: for its config and its own files; mboxes other than INBOX lie in `mail` below. */
  readonly directory: string;
}

export interface Dovecot {
  /** One command without its tag; resolves with all lines of the answer. @throws Error when it is not OK */
  command(text: string): Promise<string[]>;
  /** APPEND of a message with CRLF line ends. */
  append(folder: string, message: string, flags?: string): Promise<string[]>;
  end(): Promise<void>;
}

/** The greeting is PREAUTH: it serves the test's own user. */
export async function startDovecot({ format, path, directory }: DovecotOptions): Promise<Dovecot> {
  for (const name of ['run', 'state', 'mail']) mkdirSync(join(directory, name), { recursive: true });
  const config = join(directory, 'dovecot.conf');
  const location = format === 'maildir' ? `maildir:${path}` : `mbox:${join(directory, 'mail')}:INBOX=${path}`;
  const lines = [
    `mail_location = ${location}`,
    `base_dir = ${join(directory, 'run')}`,
    `state_dir = ${join(directory, 'state')}`,
    `log_path = ${join(directory, 'dovecot.log')}`,
    'ssl = no',
    'first_valid_uid = 1',
    'first_valid_gid = 1',
    `mail_uid = ${process.getuid!()}`,
    `mail_gid = ${process.getgid!()}`,
    'mbox_write_locks = fcntl dotlock',
    'mbox_lazy_writes = no',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn(program, ['-c', config], {
    env: { ...process.env, USER: 'tester', HOME: dirname(path) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const session = new Session(child);
  await session.greeting();
  return session;
}

class Session implements Dovecot {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #text = '';
  #wake: () => void = () => {};
  #tags = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdout!.setEncoding('latin1');
    child.stdout!.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake();
    });
    child.once('exit', () => this.#wake());
  }

  async greeting(): Promise<void> {
    await this.#until(() => this.#text.includes('\r\n'));
    if (!this.#text.startsWith('* PREAUTH')) throw new Error(`Dovecot said ${this.#text}`);
    this.#text = '';
  }

  async command(text: string): Promise<string[]> {
    const tag = `T${this.#tags++}`;
    this.#child.stdin!.write(`${tag} ${text}\r\n`, 'latin1');
    return this.#answer(tag, text);
  }

  async append(folder: string, message: string, flags = ''): Promise<string[]> {
    const tag = `T${this.#tags++}`;
    const octets = Buffer.from(message);
    this.#child.stdin!.write(`${tag} APPEND "${folder}" (${flags}) {${octets.length}+}\r\n`);
    this.#child.stdin!.write(octets);
    this.#child.stdin!.write('\r\n');
    return this.#answer(tag, `APPEND ${folder}`);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.stdin!.end('L LOGOUT\r\n');
    await this.#ended;
  }

  async #answer(tag: string, what: string): Promise<string[]> {
    const tagged = new RegExp(`(?:^|\\r\\n)${tag} ([^\\r\\n]*)\\r\\n$`);
    await this.#until(() => tagged.test(this.#text));
    const status = tagged.exec(this.#text)![1]!;
    const lines = this.#text.split('\r\n').slice(0, -1);
    this.#text = '';
    if (!status.startsWith('OK')) throw new Error(`Dovecot answered ${status} to ${what}`);
    return lines;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#child.exitCode !== null) throw new Error(`Dovecot ended: ${this.#text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
