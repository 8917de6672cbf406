/** `mailfilter procmail run`: what an rcfile would do with a mail, and why, recipe by recipe. Nothing is done. */
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import { type Rehearsal, rehearseProcmail } from '../../rules/procmail/rehearse.ts';
import type { RecipeResult } from '../../rules/procmail/run.ts';
import { readNeeded } from './needed-file.ts';
import { printableText } from './printable.ts';

export function defineRun(command: Command): void {
  command
    .command('run')
    .description('show what an rcfile would do with a mail from standard input, and which recipe decided')
    .argument('<rcfile>', 'as ~/.procmailrc')
    .argument('[arg...]', '$1, $2 ... of the rcfile')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nNo program is run: conditions that ask one fail, filters leave the mail as it is, backquotes give nothing.',
    )
    .action(run);
}

function run(rcfile: string, positional: string[], options: { readonly json?: boolean }): void {
  const source = readNeeded(rcfile).toString('latin1');
  const { username, homedir } = userInfo();
  const rehearsal = rehearseProcmail(
    {
      octets: readFileSync(0),
      rcfiles: [rcfile],
      variables: {
        ...{ LOGNAME: username, HOME: homedir, SHELL: '/bin/sh', SHELLMETAS: '&|<>~;?*[', SHELLFLAGS: '-c' },
        ...{ ORGMAIL: `/var/mail/${username}`, DEFAULT: `/var/mail/${username}`, MAILDIR: homedir },
        ...{ SENDMAIL: '/usr/sbin/sendmail', SENDMAILFLAGS: '-oi', HOST: hostname(), LOCKEXT: '.lock' },
      },
      positional,
      host: hostname(),
      processId: process.pid,
    },
    (path) => (path === rcfile ? source : readIncluded(path)),
  );
  if (options.json === true) process.stdout.write(`${JSON.stringify(rehearsal, null, 2)}\n`);
  else process.stdout.write(printableText(textOf(rehearsal)));
}

/** What an rcfile includes need not be there. */
function readIncluded(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    process.stderr.write(`cannot read ${path}: it counts as absent\n`);
    return undefined;
  }
}

function textOf({ recipes, deeds, exitCode, delivered }: Rehearsal): string {
  const lines = recipes.flatMap(recipeLines);
  lines.push(
    ...deeds.map(({ line, kind, text }) => `=> ${kind} ${text}${line === 0 ? '' : ` (line ${line})`}`),
  );
  lines.push(`${delivered ? 'delivered' : 'not delivered'}, exit code ${exitCode}`);
  return `${lines.join('\n')}\n`;
}

function recipeLines({ rcfile, line, matched, score, conditions }: RecipeResult): string[] {
  const isScored = conditions.some(({ added }) => added !== undefined);
  const verdict = matched ? 'matched' : 'not matched';
  return [
    `${rcfile}:${line}: ${verdict}${isScored ? `, score ${score}` : ''}`,
    ...conditions.map(({ text, matched: holds, added }) => {
      const sum = added === undefined ? '' : ` (${added < 0 ? '' : '+'}${added})`;
      return `    ${holds ? 'yes' : 'no '} * ${text}${sum}`;
    }),
  ];
}
