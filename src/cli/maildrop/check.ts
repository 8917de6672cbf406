/** `mailfilter maildrop check`: what is wrong in filters, line by line, and what of them needs programs. */
import { checkFilter } from '../../../rules/maildrop/check.ts';
import { DeliveryError } from '../deliver/delivery-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { readFilter } from './read-filter.ts';

/** The exit code: 1 where something is wrong. @throws DeliveryError EX_USAGE; system errors */
export function checkFilters(files: readonly string[]): number {
  if (files.length === 0) throw new DeliveryError(exitCodes.usage, 'check needs a filter');
  let exitCode: number = exitCodes.ok;
  for (const file of files) {
    const { problems, programs } = checkFilter(readFilter(file));
    if (problems.length > 0) exitCode = exitCodes.negative;
    const lines = [
      ...problems,
      ...programs.map(({ line, text }) => ({ line, message: `needs a program: ${text}` })),
    ].sort((one, other) => one.line - other.line);
    for (const { line, message } of lines) process.stdout.write(`${file}:${line}: ${printable(message)}\n`);
    const said = problems.length === 0 ? 'ok' : `${problems.length} to look at`;
    process.stdout.write(`${file}: ${said}, ${programs.length} need a program\n`);
  }
  return exitCode;
}
