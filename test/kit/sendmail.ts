/** A private Sendmail 8.17 for a test: own config, queue and port, mail to anybody lies in a folder, ended with the test. Needs root. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './free-port.ts';
import { accepts } from './postfix.ts';
import { requirePeer, requireUnpacked } from './require.ts';
import { until } from './server.ts';

export interface SendmailOptions {
  /** Lines of sendmail.cf put before the others: `O InputMailFilters=x`, `Xx, S=inet:...` ... */
  readonly lines?: readonly string[];
  /** Program and arguments of the local mailer, run as root, `$u` being the user; without it mail lies in `mail/`. */
  readonly config?: SendmailConfig;
  readonly localMailer?: { readonly path: string; readonly arguments: string };
}

/** Text of a whole sendmail.cf in place of the test's own, made for that folder and port. */
export type SendmailConfig = (place: { readonly directory: string; readonly port: number }) => string;

export interface Sendmail {
  readonly directory: string;
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** Texts of the messages delivered to `user@example.test`, whatever the user. */
  messages(user: string): string[];
  /** Control files of what is in the queue, quarantined mail (hf) among them. */
  queued(): string[];
  /** What it said, and its SMTP conversations. */
  log(): string;
  stop(): Promise<void>;
}

/** Undefined after skipping the test by name where Sendmail or root is missing. */
export async function startSendmail(
  t: TestContext,
  options: SendmailOptions = {},
): Promise<Sendmail | undefined> {
  const program = requireUnpacked(t, 'sendmail', 'usr/libexec/sendmail/sendmail');
  if (!program || !requirePeer(t, 'root, to start Sendmail', process.getuid?.() === 0)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-sendmail-'));
  chmodSync(directory, 0o755);
  for (const name of ['queue', 'mail']) mkdirSync(join(directory, name), { mode: 0o755 });
  chmodSync(join(directory, 'mail'), 0o777);
  const port = await freePort();
  const config = join(directory, 'sendmail.cf');
  writeFileSync(config, options.config?.({ directory, port }) ?? configText(directory, port, options));
  writeFileSync(join(directory, 'deliver'), deliverScript(directory));
  const traffic = join(directory, 'traffic');
  const libraries = join(program, '../../../lib/x86_64-linux-gnu');
  // It waits a minute for a host name without a dot to become a better one: give it one of its own.
  const named = ['--uts', 'sh', '-c', 'hostname mta.example.test && exec "$@"', 'sh'];
  const child = spawn('unshare', [...named, program, '-bD', '-C', config, '-X', traffic], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const log = () => `${output}${existsSync(traffic) ? readFileSync(traffic, 'latin1') : ''}`;
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await ended;
  };
  t.after(stop);
  await until('Sendmail to listen', () => {
    if (child.exitCode !== null) throw new Error(`Sendmail did not start:\n${log()}`);
    return accepts(port);
  });
  const mail = join(directory, 'mail');
  const messages = (user: string) =>
    readdirSync(mail)
      .filter((name) => name.startsWith(`${user}.`) && !name.endsWith('.tmp'))
      .map((name) => readFileSync(join(mail, name), 'latin1'));
  const queued = () => readdirSync(join(directory, 'queue')).filter((name) => /^[qh]f/.test(name));
  return { directory, port, messages, queued, log, stop };
}

/** One file a message, whole when it has its name. */
function deliverScript(directory: string): string {
  return `umask 022; cat > ${directory}/mail/$1.$$.tmp && mv ${directory}/mail/$1.$$.tmp ${directory}/mail/$1.$$\n`;
}

/** Every address is a user of this host; nothing is looked up and nothing leaves it. Tabs part the sides of a rule. */
function configText(directory: string, port: number, { lines = [], localMailer }: SendmailOptions): string {
  const mailer = localMailer ?? { path: '/bin/sh', arguments: `sh ${directory}/deliver $u` };
  return `V10/Berkeley
Djmta.example.test
Cwlocalhost mta.example.test example.test
O QueueDirectory=${directory}/queue
O PidFile=${directory}/pid
O StatusFile=
O HelpFile=
O DaemonPortOptions=Port=${port}, Addr=127.0.0.1, Name=MTA
O DontProbeInterfaces=true
O DeliveryMode=background
O Timeout.ident=0
O AliasFile=
O QueueLA=1000
O RefuseLA=1000
O MaxMessageSize=0
O SmtpGreetingMessage=$j Sendmail
O UnixFromLine=From $g $d
O OperatorChars=.:%@!^/[]+
${lines.join('\n')}
Pfirst-class=0
Troot
HReceived: from $s by $j with $r id $i; $b
H?D?Date: $a
H?M?Message-Id: <$t.$i@$j>
Scanonify=3
R$@	$@ <@>
R$* < $* > $*	$: $2
Sparse=0
R$+ @ $+	$#local $: $1
R$+	$#local $: $1
Mlocal,	P=${mailer.path}, F=${localMailer ? 'S' : ''}lsDFM5:/|@q9P, S=0, R=0, T=DNS/RFC822/X-Unix,
	A=${mailer.arguments}
Mprog,	P=/bin/sh, F=lsDFM, S=0, R=0, A=sh -c $u
M*file*,	P=[FILE], F=lsDFM, S=0, R=0, A=FILE $u
`;
}
