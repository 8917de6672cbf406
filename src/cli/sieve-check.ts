/** `mailfilter sieve check`: everything that is wrong in scripts, with line and column. */
import type { Command } from 'commander';
import { formatProblem, type Problem } from '../../rules/sieve/index.ts';
import { exitCodes } from './exit-codes.ts';
import { printableText } from './printable.ts';
import { compileFile } from './sieve-source.ts';

interface Options {
  readonly folder?: string[];
  readonly strict?: boolean;
  readonly json?: boolean;
}

export function defineCheck(command: Command): void {
  command
    .command('check')
    .description('say what is wrong in scripts; exit code 1 where they have errors')
    .argument('<file...>', 'Sieve scripts; what they include lies beside them')
    .option('--folder <name...>', 'folders that there are: warns of fileinto into others')
    .option('--strict', 'refuse what RFC 5228 forbids though it does no harm, instead of warning')
    .option('--json', 'print JSON')
    .action(check);
}

function check(files: string[], options: Options): void {
  const reports = files.map((file) => {
    const { program, errors, warnings } = compileFile(file, {
      ...(options.folder && { folders: options.folder }),
      ...(options.strict && { strict: true }),
    });
    return { file, ok: program !== undefined, requires: program?.requires ?? [], errors, warnings };
  });
  if (options.json === true) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
  else for (const report of reports) printReport(report);
  if (reports.some(({ ok }) => !ok)) process.exitCode = exitCodes.negative;
}

function printReport(report: {
  file: string;
  ok: boolean;
  errors: readonly Problem[];
  warnings: readonly Problem[];
}): void {
  const { file, ok, errors, warnings } = report;
  for (const problem of [...errors, ...warnings])
    process.stdout.write(`${printableText(formatProblem(problem, file))}\n`);
  const found = [count(errors, 'error'), count(warnings, 'warning')].filter((text) => text !== '').join(', ');
  process.stdout.write(`${file}: ${ok ? 'ok' : 'not usable'}${found === '' ? '' : ` (${found})`}\n`);
}

function count(problems: readonly Problem[], word: string): string {
  if (problems.length === 0) return '';
  return `${problems.length} ${word}${problems.length === 1 ? '' : 's'}`;
}
