/**
 * `mailfilter formail`: procmail's formail, for recipes and scripts that call it where procmail is not installed.
 * Programs of -s are argument vectors; each gets its mail on standard input. formail(1).
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { describeError } from '../../core/base/errors.ts';
import { type FormailOptions, readFormailArguments } from '../../rules/formail/arguments.ts';
import { type FormailOutcome, type FormailStep, formail } from '../../rules/formail/formail.ts';
import { asctime } from './asctime.ts';
import { exitCodes } from './exit-codes.ts';
import { IdCache } from './formail/id-cache.ts';
import { Output } from './formail/output.ts';

const usage = `Usage: mailfilter formail [-bczfrktqvY] [-D MAXLEN IDCACHE] [-p PREFIX] [-l FOLDER]
                          [-xXaAiIuU FIELD] [-R OLD NEW] < message
       mailfilter formail [+SKIP] [-TOTAL] [-edB] [-n MAX] [-m MINFIELDS] [options above]
                          -s [PROGRAM [ARG ...]] < mailbox
`;

const help = `${usage}
Formats mail as procmail's formail does: formail(1) tells of each option.

  -r             header of an answer (-t: to the header's sender; -k: with the body; -i FIELD keeps a field)
  -D MAX FILE    exit code 0 where FILE knows the Message-ID already, else 1, and it is remembered
  -x, -X FIELD   print what the field holds, or all of it (-z: without blanks around, -c: on one line)
  -a, -A FIELD   add a field unless it is there, or in any case
  -i, -I FIELD   rename or delete such fields, and add this one where it has a value
  -u, -U FIELD   leave the first, or the last, of such fields
  -R OLD NEW     rename fields
  -s PROGRAM     split a mailbox and start the program for each mail (-d digests, -e without empty lines,
                 -B BABYL, -m fields that make a header, -n MAX programs beside one another, $FILENO counts)
  -f             add no From_ line      -b  quote no From_ lines      -p PREFIX  quote with this
  -c             folded fields on one line      -z  no empty fields   -Y  ignore Content-Length
  -l FOLDER      print a log summary instead, as procmail's LOGABSTRACT
`;

export function define(command: Command): void {
  command
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async () => {
      process.exitCode = await runFormail(command.args);
    });
}

/** The exit code, never a rejection. */
export async function runFormail(argv: readonly string[]): Promise<number> {
  if (argv[0] === '--help') {
    process.stdout.write(help);
    return exitCodes.ok;
  }
  const given = readFormailArguments(argv);
  if ('options' in given) {
    try {
      return await format(given.options);
    } catch (error) {
      say(describeError(error));
      return exitCodes.unavailable;
    }
  }
  const { kind, message } = given.refusal;
  if (message !== '') say(message);
  const texts = { version: 'mailfilter formail, which does what formail v3.22 does\n', help, usage };
  process.stderr.write(texts[kind]);
  return exitCodes.usage;
}

async function format(options: FormailOptions): Promise<number> {
  const cache = options.cache === undefined ? undefined : IdCache.open(options.cache);
  if (cache === 'unreadable') {
    say(`Couldn't open "${options.cache?.path}"`);
    return exitCodes.cannotCreate;
  }
  const output = new Output(options.split);
  const input = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const carryOut = async (step: FormailStep): Promise<FormailOutcome> => {
    switch (step.type) {
      case 'read': {
        const { value, done } = await input.next();
        return done === true ? {} : { text: value.toString('latin1') };
      }
      case 'open':
        await output.open();
        return {};
      case 'write':
        await output.write(step.text);
        return {};
      case 'close':
        return output.close();
      case 'known':
        return { known: cache?.isKnown(step.key) === true };
      case 'say':
        say(step.text);
        return {};
    }
  };
  const running = formail(options, { date: asctime(new Date()), newMessageId });
  let step = running.next();
  while (!step.done) step = running.next(await carryOut(step.value));
  // Nobody reads on: what is still to come is not waited for.
  process.stdin.destroy();
  return (await output.finish()) || step.value;
}

function say(text: string): void {
  process.stderr.write(`formail: ${text}\n`);
}

function newMessageId(): string {
  return `${randomUUID()}@${hostname()}`;
}
