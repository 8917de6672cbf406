/** `mailfilter procmail convert`: an rcfile as a Sieve script, and on real mail whether the two do the same. */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { type ConvertOptions, convertRcfile } from '../../rules/procmail/convert/convert.ts';
import type { Conversion } from '../../rules/procmail/convert/report.ts';
import { type Comparison, Verification } from '../../rules/procmail/convert/verify.ts';
import { exitCodes } from './exit-codes.ts';
import { readNeeded } from './needed-file.ts';
import { type FolderMail, mailCount, mailOf } from './procmail-folder.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly out?: string;
  readonly home?: string;
  readonly mailRoot?: string;
  readonly separator: string;
  readonly verify?: string;
  readonly json?: boolean;
}

interface Difference extends Comparison {
  readonly message: string;
  readonly subject: string;
}

interface Verified {
  readonly looked: number;
  readonly differences: readonly Difference[];
  /** Recipes that are kept as comments, and how many messages met each. */
  readonly met: readonly { readonly file: string; readonly line: number; readonly messages: number }[];
}

export function defineConvert(command: Command): void {
  command
    .command('convert')
    .description(
      'write an rcfile as a Sieve script; what Sieve cannot say stays as a comment with the reason',
    )
    .argument('<rcfile>', 'as ~/.procmailrc')
    .option('--out <file>', 'write the script there (default: standard output)')
    .option('--verify <folder>', 'run both on the messages of a Maildir or mbox, and list where they part')
    .option('--home <directory>', 'HOME of the user whose rcfile it is (default: yours)')
    .option('--mail-root <directory>', 'what names of folders are relative to (default: the first MAILDIR)')
    .option('--separator <character>', 'between levels of folder names in the script', readSeparator, '/')
    .option('--json', 'print JSON: the script, each recipe, each difference')
    .addHelpText(
      'after',
      [
        '\nNo program is run: in --verify, conditions that ask one fail, and filters leave the mail as it is.',
        'Exit codes: 0, with --verify 1 where a message would fare otherwise.',
      ].join('\n'),
    )
    .action(convert);
}

function readSeparator(text: string): string {
  if (text.length !== 1) throw new InvalidArgumentError('not one character.');
  return text;
}

async function convert(rcfile: string, options: Options): Promise<void> {
  const source = readNeeded(rcfile).toString('latin1');
  const settings = settingsOf(rcfile, options);
  const conversion = convertRcfile(source, settings);
  if (options.out !== undefined) writeFileSync(options.out, conversion.script);
  else if (options.json !== true) process.stdout.write(conversion.script);
  const verified =
    options.verify === undefined ? undefined : await verify(options.verify, source, settings, conversion);
  if (verified !== undefined && verified.differences.length > 0) process.exitCode = exitCodes.negative;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ ...conversion, ...(verified && { verified }) }, null, 2)}\n`);
    return;
  }
  // The script has standard output to itself.
  const report = options.out === undefined ? process.stderr : process.stdout;
  report.write(summaryOf(conversion));
  if (verified !== undefined) report.write(verifiedText(verified));
}

function settingsOf(rcfile: string, { home, mailRoot, separator }: Options): ConvertOptions {
  const { username, homedir } = userInfo();
  const directory = home ?? homedir;
  return {
    name: rcfile,
    separator,
    ...(mailRoot !== undefined && { mailRoot }),
    variables: {
      ...{ LOGNAME: username, HOME: directory, SHELL: '/bin/sh', SHELLMETAS: '&|<>~;?*[', SHELLFLAGS: '-c' },
      ...{ ORGMAIL: `/var/mail/${username}`, DEFAULT: `/var/mail/${username}`, MAILDIR: directory },
      ...{ SENDMAIL: '/usr/sbin/sendmail', SENDMAILFLAGS: '-oi', HOST: hostname(), LOCKEXT: '.lock' },
    },
    read: (path) => {
      try {
        return readFileSync(path, 'latin1');
      } catch {
        // The conversion says so where the file stands.
        return undefined;
      }
    },
  };
}

async function verify(
  folder: string,
  source: string,
  settings: ConvertOptions,
  conversion: Conversion,
): Promise<Verified> {
  const verification = new Verification(source, settings, conversion);
  const count = mailCount(folder);
  const differences: Difference[] = [];
  const met = new Map<string, { file: string; line: number; messages: number }>();
  let looked = 0;
  for await (const mail of mailOf(folder)) {
    const comparison = await verification.compare(mail);
    looked += 1;
    if (!comparison.same) differences.push({ message: mail.name, subject: subjectOf(mail), ...comparison });
    for (const { file, line } of comparison.met) {
      const known = met.get(`${file}:${line}`) ?? { file, line, messages: 0 };
      known.messages += 1;
      met.set(`${file}:${line}`, known);
    }
    progress(looked, count);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return { looked, differences, met: [...met.values()] };
}

const progressEvery = 100;

function progress(looked: number, count: number | undefined): void {
  if (!process.stderr.isTTY || looked % progressEvery !== 0) return;
  process.stderr.write(`${looked}${count === undefined ? '' : ` of ${count}`} messages\x1b[K\r`);
}

function subjectOf({ octets }: FolderMail): string {
  const header = Buffer.from(octets.subarray(0, 64 * 1024))
    .toString('utf8')
    .split(/\r?\n\r?\n/, 1)[0]!;
  return /^subject:[ \t]*(.*)/im.exec(header)?.[1] ?? '';
}

function summaryOf({ recipes, settings }: Conversion): string {
  const kept = recipes.filter(({ converted }) => !converted);
  const told = [
    ...kept.map(({ file, line, reason = '' }) => ({ at: `${file}:${line}`, what: 'kept', why: reason })),
    ...settings.map(({ file, line, name, reason }) => ({ at: `${file}:${line}`, what: name, why: reason })),
    ...recipes.flatMap(({ file, line, notes }) =>
      notes.map((why) => ({ at: `${file}:${line}`, what: 'note', why })),
    ),
  ];
  const details =
    told.length === 0
      ? ''
      : `${formatTable(told, [
          { title: 'line', value: ({ at }) => at },
          { title: '', value: ({ what }) => what },
          { title: 'why', value: ({ why }) => why, shrink: true },
        ])}\n`;
  return `${details}${formatTable(
    [recipes],
    [
      { title: 'recipes', value: ({ length }) => length, align: 'right' },
      { title: 'converted', value: ({ length }) => length - kept.length, align: 'right' },
      { title: 'kept as comments', value: () => kept.length, align: 'right' },
    ],
  )}`;
}

function verifiedText({ looked, differences, met }: Verified): string {
  const lines = met.map(
    ({ file, line, messages }) =>
      `${messages} met the recipe of ${file}:${line}, which is kept as a comment.\n`,
  );
  const table =
    differences.length === 0
      ? ''
      : `${formatTable(differences, [
          { title: 'message', value: ({ message }) => message, shrink: true },
          { title: 'subject', value: ({ subject }) => subject, shrink: true },
          { title: 'procmail', value: ({ procmail }) => procmail.join('; ') },
          { title: 'Sieve', value: ({ sieve }) => sieve.join('; ') },
        ])}\n`;
  return `\n${table}${lines.join('')}${looked} messages looked at, ${differences.length} would fare otherwise.\n`;
}
