/** `mailfilter procmail check`: what is wrong in rcfiles, line by line, and what of them needs programs. */
import type { Command } from 'commander';
import { checkRcfile } from '../../rules/procmail/check.ts';
import { exitCodes } from './exit-codes.ts';
import { readNeeded } from './needed-file.ts';
import { printable } from './printable.ts';

export function defineCheck(command: Command): void {
  command
    .command('check')
    .description('say what is wrong in rcfiles; exit code 1 where something is')
    .argument('<rcfile...>', 'as ~/.procmailrc')
    .option('--programs', 'list what needs a program as well')
    .option('--json', 'print JSON')
    .action(check);
}

function check(files: string[], options: { readonly programs?: boolean; readonly json?: boolean }): void {
  const reports = files.map((file) => ({ file, ...checkRcfile(readNeeded(file).toString('latin1')) }));
  if (reports.some(({ problems }) => problems.length > 0)) process.exitCode = exitCodes.negative;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
    return;
  }
  for (const { file, problems, programs } of reports) {
    const uses = options.programs === true ? programs : [];
    const lines = [
      ...problems.map(({ line, message }) => ({ line, message })),
      ...uses.map(({ line, kind, text }) => ({ line, message: `needs a program (${kind}): ${text}` })),
    ].sort((one, other) => one.line - other.line);
    for (const { line, message } of lines) process.stdout.write(`${file}:${line}: ${printable(message)}\n`);
    const said = problems.length === 0 ? 'ok' : `${problems.length} to look at`;
    process.stdout.write(`${file}: ${said}, ${programs.length} need a program\n`);
  }
}
