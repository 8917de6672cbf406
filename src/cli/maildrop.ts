/**
 * `mailfilter maildrop`: the MDA with maildrop's command line and exit codes, and tools for the authors of filters.
 * Started once for each message, so it loads nothing that this message does not need. maildrop(1).
 */
import type { Command } from 'commander';
import { asDeliveryError, deliveryCodes } from './deliver/delivery-error.ts';

const help = `Usage: mailfilter maildrop [OPTION ...] [-d USER] [ARG ...] < message
       mailfilter maildrop [OPTION ...] FILTER [ARG ...] < message
       mailfilter maildrop check FILTER ...
       mailfilter maildrop run FILTER [ARG ...] < message

Delivers one message as maildrop does: by FILTER, or for a user by /etc/maildroprc and ~/.mailfilter.

  -d USER        deliver to this system user (root may name anybody)
  -f ADDRESS     envelope sender (default: Return-Path)
  -A FIELD       add this header field; may be given again
  -m             embedded: nothing is delivered, FILTER may only print and set EXITCODE
  -M FILTER      embedded, with ~/.mailfilters/FILTER of the user
  -V LEVEL, -w N, -W FILE, -a, -t SOCKET   taken, and change nothing

  check          say what is wrong in filters; exit code 1 where something is
  run            show what a filter would do; no program is run, nothing is stored

Exit codes: EXITCODE of the filter (0), 67 no such user, 75 try again later: everything else.
`;

export function define(command: Command): void {
  command
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async () => {
      process.exitCode = await runMaildrop(command.args);
    });
}

/** The exit code, never a rejection. */
export async function runMaildrop(argv: readonly string[]): Promise<number> {
  process.on('uncaughtException', (error) => process.exit(report(error)));
  try {
    if (argv[0] === '--help' || argv[0] === '-h') {
      process.stdout.write(help);
      return argv[0] === '-h' ? deliveryCodes.tempFail : deliveryCodes.ok;
    }
    if (argv[0] === 'check') return (await import('./maildrop/check.ts')).checkFilters(argv.slice(1));
    if (argv[0] === 'run') return (await import('./maildrop/rehearse.ts')).showFilter(argv.slice(1));
    const { readMaildropArguments } = await import('./maildrop/arguments.ts');
    const { deliverAsMaildrop } = await import('./maildrop/deliver.ts');
    return await deliverAsMaildrop(readMaildropArguments(argv));
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  const { exitCode, message } = asDeliveryError(error);
  process.stderr.write(`maildrop: ${message.replace(/\s*\n\s*/g, '; ')}\n`);
  return exitCode;
}
