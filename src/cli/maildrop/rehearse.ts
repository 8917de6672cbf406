/** `mailfilter maildrop run`: what a filter would do with a mail. Nothing is stored, and no program is run. */
import { hostname } from 'node:os';
import { maildropLimits } from '../../../core/base/limits/rules.ts';
import { runMaildrop } from '../../../rules/maildrop/run.ts';
import type { Step, StepOutcome } from '../../../rules/maildrop/steps.ts';
import { asctime } from '../asctime.ts';
import { callingAccount } from '../deliver/account.ts';
import { DeliveryError } from '../deliver/delivery-error.ts';
import { readMail } from '../deliver/procmail/read-mail.ts';
import { exitCodes } from '../exit-codes.ts';
import { printable, printableText } from '../printable.ts';
import { readFilter } from './read-filter.ts';

/** @throws DeliveryError EX_USAGE, EX_TEMPFAIL */
export async function showFilter([filter, ...rest]: readonly string[]): Promise<number> {
  if (filter === undefined) throw new DeliveryError(exitCodes.usage, 'run needs a filter');
  const { name, home, shell } = callingAccount();
  const running = runMaildrop({
    octets: await readMail(process.stdin, maildropLimits.mailBytesMax),
    filters: [{ path: filter, required: true }],
    variables: {
      ...Object.fromEntries(rest.map((value, index) => [String(index + 1), value])),
      ...{ HOME: home, LOGNAME: name, SHELL: shell, DEFAULT: `/var/mail/${name}`, LOCKEXT: '.lock' },
      ...{ SENDMAIL: '/usr/sbin/sendmail -oi', HOSTNAME: hostname(), FROM: name, MAILFILTER: filter },
    },
    surroundings: process.env,
    sender: name,
    date: asctime(new Date()),
  });
  let step = running.next();
  while (!step.done) step = running.next(rehearsed(step.value));
  const { exitCode, delivered } = step.value;
  process.stdout.write(`${delivered ? 'delivered' : 'not delivered'}, exit code ${exitCode}\n`);
  return exitCodes.ok;
}

/** Programs count as gone well: filters leave the mail as it is, backquotes give nothing. */
function rehearsed(step: Step): StepOutcome {
  const at = 'at' in step && step.at > 0 ? ` (line ${step.at})` : '';
  switch (step.type) {
    case 'read':
      return readQuietly(step.path);
    case 'store':
      process.stdout.write(`=> store ${printable(step.path)}${at}\n`);
      return { ok: true };
    case 'pipe':
    case 'filter':
    case 'output':
    case 'system':
      process.stdout.write(`=> ${names[step.type]} ${printable(step.command.line)}${at}\n`);
      return { ok: true, exitCode: 0, output: step.type === 'filter' ? step.input : new Uint8Array(0) };
    case 'print':
      process.stdout.write(printableText(Buffer.from(step.text, 'latin1').toString('utf8')));
      return { ok: true };
    case 'say':
      process.stderr.write(`maildrop: ${step.text}\n`);
      return { ok: true };
    default:
      return { ok: true };
  }
}

const names = { pipe: 'program', filter: 'filter', output: 'backquotes', system: 'system' } as const;

function readQuietly(path: string): StepOutcome {
  try {
    return { ok: true, source: readFilter(path) };
  } catch {
    process.stderr.write(`cannot read ${path}\n`);
    return { ok: false };
  }
}
