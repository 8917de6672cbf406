/** The command line: names every command, loads the one that was called, turns errors into words and exit codes. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { describeFileError } from '../core/base/errors.ts';
import { CommandError, exitCodeOf, exitCodes } from './cli/exit-codes.ts';

/** What a file in src/cli/ that is a command exports: it declares arguments and options and sets the action. */
interface CommandFile {
  define(command: Command): void;
}

/** Loaded only when called, so that a command pays for nothing but itself. */
const commands: Readonly<Record<string, { summary: string; load(): Promise<CommandFile> }>> = {
  start: { summary: 'run the demo installation in .mailfilter/', load: () => import('./cli/start.ts') },
  demo: {
    summary: 'send sample messages to it and show what became of them',
    load: () => import('./cli/demo.ts'),
  },
  serve: { summary: 'run the listeners of a config', load: () => import('./cli/serve.ts') },
  init: { summary: 'write a working config', load: () => import('./cli/init.ts') },
  check: { summary: 'check config, files, sockets and plugins', load: () => import('./cli/check.ts') },
  doctor: {
    summary: 'check that, and DNS, certificates, disk and queue: will mail come and go',
    load: () => import('./cli/doctor.ts'),
  },
  reload: { summary: 'let the running server read its config again', load: () => import('./cli/reload.ts') },
  filter: {
    summary: 'run a pipeline on one message from standard input',
    load: () => import('./cli/filter.ts'),
  },
  deliver: {
    summary: 'deliver one message from standard input to a mailbox: the MDA',
    load: () => import('./cli/deliver.ts'),
  },
  formail: {
    summary: 'format, answer and split mail, as formail of procmail does',
    load: () => import('./cli/formail.ts'),
  },
  maildrop: {
    summary: 'deliver by filters of maildrop, with its command line; check them, show what they do',
    load: () => import('./cli/maildrop.ts'),
  },
  'opensmtpd-filter': {
    summary: 'filter for OpenSMTPD, which starts it itself',
    load: () => import('./cli/opensmtpd-filter.ts'),
  },
  auth: {
    summary: 'ask one question of SPF, DKIM, DMARC or ARC, and see why',
    load: () => import('./cli/auth.ts'),
  },
  dkim: { summary: 'make keys for signing', load: () => import('./cli/dkim.ts') },
  explain: { summary: 'tell what happened to a message', load: () => import('./cli/explain.ts') },
  replay: {
    summary: 'put past mail through a new config and show what would change',
    load: () => import('./cli/replay.ts'),
  },
  learn: { summary: 'teach the Bayes classifier ham and spam', load: () => import('./cli/learn.ts') },
  queue: { summary: 'show and change mail that waits', load: () => import('./cli/queue.ts') },
  quarantine: {
    summary: 'show, release and delete mail that is held, and learn from it',
    load: () => import('./cli/quarantine.ts'),
  },
  fetch: { summary: 'bring mail from mailboxes of other servers', load: () => import('./cli/fetch.ts') },
  sendmail: {
    summary: 'send a message from standard input, as programs of this machine do',
    load: () => import('./cli/sendmail.ts'),
  },
  user: { summary: 'add, list and remove users, set passwords', load: () => import('./cli/user.ts') },
  sieve: { summary: 'check, run and test Sieve scripts', load: () => import('./cli/sieve.ts') },
  procmail: { summary: 'check rcfiles and show what they do', load: () => import('./cli/procmail.ts') },
  plugin: { summary: 'begin a plugin of your own', load: () => import('./cli/plugin.ts') },
  schema: { summary: 'write mailfilter.schema.json for editors', load: () => import('./cli/schema.ts') },
};

/** Runs one command; answers the exit code and never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    // Its options are none that the reader of the others knows: -fann, -oi, -ti.
    if (argv[0] === 'sendmail' && argv[1] !== '--help') {
      return await (await import('./cli/sendmail.ts')).runSendmail(argv.slice(1));
    }
    const program = await buildProgram(argv.find((argument) => !argument.startsWith('-')));
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    return report(error);
  }
}

async function buildProgram(called: string | undefined): Promise<Command> {
  const program = new Command('mailfilter')
    .description('Mail filter and mail server with typed plugins.')
    .version(packageVersion(), '-V, --version')
    .exitOverride();
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program.command(name).description(summary).exitOverride();
    if (name === called) (await load()).define(command);
  }
  nameInErrors(program, 'mailfilter');
  return program;
}

/** Which command did not understand, and where to read what it does. */
function nameInErrors(command: Command, path: string): void {
  command
    .showHelpAfterError(`See "${path} --help".`)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, `${path}:`)) });
  for (const inner of command.commands) nameInErrors(inner, `${path} ${inner.name()}`);
}

function packageVersion(): string {
  // The manifest lies one folder up in a clone, two in what was built.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return String(JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}

const otherUser = 'Run it as root, or as the user that the server runs as.';

function report(error: unknown): number {
  // Commander has said already what is wrong, or has printed the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const code = exitCodeOf(error);
  if (code === exitCodes.software) {
    process.stderr.write(`mailfilter: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.stderr.write('This is a bug in mailfilter; the lines above say where.\n');
    return code;
  }
  const { message, path } = error as NodeJS.ErrnoException;
  const what =
    error instanceof CommandError || path === undefined ? message : `${path}: ${describeFileError(error)}`;
  process.stderr.write(`mailfilter: ${what}\n`);
  const advice =
    error instanceof CommandError ? error.advice : code === exitCodes.noPermission ? otherUser : '';
  if (advice !== '') process.stderr.write(`${advice}\n`);
  return code;
}

// Under the launcher this file is imported; run by itself it is the command.
if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
