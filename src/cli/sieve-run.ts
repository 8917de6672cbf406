/** `mailfilter sieve run`: what a script would do with a message, and why, line by line. Nothing is delivered. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { sieveLimits } from '../../core/base/limits/rules.ts';
import {
  type Environment,
  formatProblem,
  type Outcome,
  runSieve,
  type SieveAction,
} from '../../rules/sieve/index.ts';
import { openSitePrograms } from '../../rules/site-programs.ts';
import { exitCodes } from './exit-codes.ts';
import { readNeeded } from './needed-file.ts';
import { printableText } from './printable.ts';
import { compileFile, includedFrom } from './sieve-source.ts';
import { traceText } from './sieve-trace.ts';

interface Options {
  readonly from?: string;
  readonly to?: string;
  readonly folder?: string[];
  readonly programs?: string;
  readonly at?: number;
  readonly trace: boolean;
  readonly json?: boolean;
}

export function defineRun(command: Command): void {
  command
    .command('run')
    .description('show what a script would do with a message, and which line decided')
    .argument('<script>', 'Sieve script; what it includes lies beside it')
    .argument('<message>', 'message, or - for standard input')
    .option('--from <address>', 'envelope sender (default: the null sender)')
    .option('--to <address>', 'envelope recipient: the user whose script it is')
    .option('--folder <name...>', 'folders that there are (default: every folder)')
    .option('--programs <folder>', 'programs that the script may run: filter and execute run them')
    .option('--at <date>', 'the time of the run, such as 2026-12-24T18:00:00Z', readTime)
    .option('--no-trace', 'print the actions alone')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 the script ran, 1 it has errors or failed; a message is kept then.',
    )
    .action(run);
}

function readTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('not a date and time.');
  return ms;
}

async function run(script: string, message: string, options: Options): Promise<void> {
  const octets = message === '-' ? readFileSync(0) : readNeeded(message);
  const { program, errors, warnings } = compileFile(script);
  if (!program) {
    if (options.json === true) process.stdout.write(`${JSON.stringify({ errors, warnings }, null, 2)}\n`);
    else for (const error of errors) process.stderr.write(`${formatProblem(error, script)}\n`);
    process.exitCode = exitCodes.negative;
    return;
  }
  const outcome = await runSieve(program, octets, environmentOf(script, options), { trace: options.trace });
  if (options.json === true) process.stdout.write(`${JSON.stringify(jsonOf(outcome), null, 2)}\n`);
  else process.stdout.write(printableText(textOf(outcome)));
  if (outcome.error) process.exitCode = exitCodes.negative;
}

function environmentOf(script: string, options: Options): Environment {
  const { folder: folders } = options;
  const inbox = (name: string) => name.toUpperCase() === 'INBOX';
  return {
    now: options.at ?? Date.now(),
    envelope: { from: options.from ?? '', ...(options.to !== undefined && { to: options.to }) },
    zoneMinutes: (epochMs) => -new Date(epochMs).getTimezoneOffset(),
    mailboxExists: (name) => folders === undefined || inbox(name) || folders.includes(name),
    script: includedFrom(dirname(script)),
    ...(options.programs !== undefined && programsOf(options.programs, options)),
  };
}

function programsOf(
  folder: string,
  { from = '', to = '' }: Options,
): Pick<Environment, 'programExists' | 'runProgram'> {
  const programs = openSitePrograms(resolve(folder));
  const limits = {
    timeoutMs: 10_000,
    outputBytesMax: sieveLimits.bodyTextBytesMax,
    environment: { SENDER: from, RECIPIENT: to, USER: to },
  };
  return {
    programExists: (name) => programs.pathOf(name) !== undefined,
    runProgram: (name, parameters, input) => programs.run(name, parameters, input, limits),
  };
}

/** Generated messages as text. */
function jsonOf(outcome: Outcome): unknown {
  const text = (_key: string, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value;
  return JSON.parse(JSON.stringify(outcome, text));
}

function textOf(outcome: Outcome): string {
  const { trace, error, notes, log, actions } = outcome;
  const lines: string[] = trace.length > 0 ? ['Trace', ...trace.map(traceText), ''] : [];
  if (error) lines.push(`Error in ${error.script}, line ${error.line}: ${error.message}`, '');
  for (const note of [...notes, ...log]) lines.push(`Note: ${note}`);
  lines.push('Actions', ...actions.map((action) => `  ${describeAction(action)}`));
  return `${lines.join('\n')}\n`;
}

/** An action in a few words, with the line that asked for it. */
export function describeAction(action: SieveAction): string {
  const where = action.at ? ` (${action.at.script}, line ${action.at.line})` : '';
  return `${words(action)}${where}`;
}

function words(action: SieveAction): string {
  switch (action.type) {
    case 'keep':
      return `${action.implicit ? 'implicit keep' : 'keep'}${storedHow(action)}`;
    case 'fileinto':
      return `fileinto "${action.mailbox}"${action.create ? ', created where it is missing' : ''}${storedHow(action)}`;
    case 'redirect':
      return `redirect to ${action.address}${editedHow(action)}`;
    case 'reject':
      return `${action.mode}: ${action.reason.trim()}`;
    case 'vacation':
      return `vacation reply to ${action.recipient}, at most once in ${action.seconds} s`;
    case 'notify':
      return `notify ${action.method}`;
    case 'pipe':
      return `pipe to ${[action.program, ...action.arguments].join(' ')}${editedHow(action)}`;
    case 'report':
      return `${action.feedback} report to ${action.recipient}`;
    case 'discard':
      return 'discard';
  }
}

type Edited = Extract<SieveAction, { edits: unknown }>;

function storedHow(action: Extract<SieveAction, { flags: unknown }>): string {
  return `${action.flags.length === 0 ? '' : `, flags ${action.flags.join(' ')}`}${editedHow(action)}`;
}

function editedHow({ edits }: Edited): string {
  return edits.length === 0 ? '' : `, ${edits.length} edit${edits.length === 1 ? '' : 's'}`;
}
