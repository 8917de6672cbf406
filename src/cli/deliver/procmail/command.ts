/** `mailfilter deliver` with procmail's own command line: the exit codes are procmail's. procmail(1). */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Account, actAs, callingAccount, systemAccount } from '../account.ts';
import { DeliveryError, deliveryCodes } from '../delivery-error.ts';
import { type ProcmailArguments, readProcmailArguments } from './arguments.ts';
import { deliverByRcfile } from './deliver.ts';
import { readMail } from './read-mail.ts';

/** @throws DeliveryError EX_USAGE, EX_NOUSER, EX_UNAVAILABLE; what has no code of its own is for the caller to take as EX_TEMPFAIL */
export async function runAsProcmail(argv: readonly string[]): Promise<number> {
  const given = readProcmailArguments(argv);
  if (given.version) {
    process.stdout.write('mailfilter, which takes rcfiles and options of procmail v3.22\n');
    return deliveryCodes.ok;
  }
  process.umask(0o077);
  if (given.recipients.length > 1) return deliverToEach(given, argv);
  const account = accountOf(given.recipients[0]);
  // procmail knows its user from the system, not from HOME.
  actAs(account);
  const { exitCode } = await deliverByRcfile(await readMail(process.stdin), account, given);
  return exitCode;
}

function accountOf(name: string | undefined): Account {
  const caller = callingAccount();
  if (name === undefined || name === caller.name) return caller;
  const account = systemAccount(name);
  if (account === undefined) {
    throw new DeliveryError(deliveryCodes.noUser, `no user ${name} on this system`, '5.1.1');
  }
  return account;
}

const launcher = fileURLToPath(new URL('../../../mailfilter.js', import.meta.url));

/** Whoever has become one user cannot become the next: each gets a process. The exit code is the first that is not 0. */
async function deliverToEach(given: ProcmailArguments, argv: readonly string[]): Promise<number> {
  const mail = await readMail(process.stdin);
  const options = argv.slice(0, argv.length - given.recipients.length);
  let exitCode: number = deliveryCodes.ok;
  for (const recipient of given.recipients) {
    const code = await deliverApart([...options, recipient], mail);
    if (exitCode === deliveryCodes.ok) exitCode = code;
  }
  return exitCode;
}

function deliverApart(argv: readonly string[], mail: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [launcher, 'deliver', ...argv], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? deliveryCodes.tempFail));
    // Its exit code says what became of the mail, whether it read all of it or not.
    child.stdin.on('error', () => {});
    child.stdin.end(mail);
  });
}
