/** `mailfilter sieve trial`: what a script would have done with the user's last messages, beside the active one; only what differs. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { compileSieve, type Program, runSieve } from '../../rules/sieve/index.ts';
import { configOption, findConfig } from './config-file.ts';
import { describeAction } from './sieve-run.ts';
import { compileNeeded } from './sieve-source.ts';
import {
  activeScriptOf,
  fieldOf,
  openStoredFolder,
  openStoredMail,
  type StoredMail,
  type StoredMessage,
  storedEnvironment,
  storedMessages,
} from './sieve-stored-mail.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly config?: string;
  readonly user: string;
  readonly mailbox: readonly string[];
  readonly last: number;
  readonly json?: boolean;
}

interface Difference {
  readonly mailbox: string;
  readonly uid: number;
  readonly from: string;
  readonly subject: string;
  readonly active: readonly string[];
  readonly trial: readonly string[];
}

export function defineTrial(command: Command): void {
  command
    .command('trial')
    .description('show what a script would have done otherwise than the active one with mail that is there')
    .argument('<script>', 'Sieve script')
    .requiredOption('--user <address>', 'whose mail')
    .option('--mailbox <name...>', 'folders to look at', ['INBOX'])
    .option('--last <number>', 'how many messages of each', readCount, 100)
    .option(...configOption)
    .option('--json', 'print JSON')
    .action(trial);
}

function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('not a number above 0.');
  return count;
}

async function trial(script: string, options: Options): Promise<void> {
  const program = compileNeeded(script);
  const config = loadConfig(findConfig(options.config));
  await using mail = await openStoredMail(config, options.user);
  const active = await activeProgram(config, mail);
  const differences: Difference[] = [];
  let looked = 0;
  for (const mailbox of options.mailbox) {
    const folder = await openStoredFolder(mail, mailbox);
    for await (const message of storedMessages(folder, options.last)) {
      looked += 1;
      const environment = storedEnvironment(mail, message, config);
      const [now, then] = await Promise.all([
        active ? actionsOf(active, message, environment) : ['implicit keep'],
        actionsOf(program, message, environment),
      ]);
      if (comparable(now) === comparable(then)) continue;
      const [from, subject] = ['from', 'subject'].map((name) => fieldOf(message.octets, name)) as [
        string,
        string,
      ];
      differences.push({ mailbox: folder.name, uid: message.uid, from, subject, active: now, trial: then });
    }
    folder.close();
  }
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ looked, differences }, null, 2)}\n`
      : textOf(looked, differences),
  );
}

async function activeProgram(config: Config, mail: StoredMail): Promise<Program | undefined> {
  const script = await activeScriptOf(config, mail);
  if (script === undefined) return undefined;
  const { program } = compileSieve(script.source, { name: script.name });
  // Mail is kept where the active script is broken, and so it is here.
  return program;
}

async function actionsOf(
  program: Program,
  { octets }: StoredMessage,
  environment: Parameters<typeof runSieve>[2],
): Promise<string[]> {
  const { actions, error } = await runSieve(program, octets, environment);
  return [
    ...actions.map(describeAction),
    ...(error ? [`fails in line ${error.line}: ${error.message}`] : []),
  ];
}

/** The same deed of another line is no difference. */
function comparable(actions: readonly string[]): string {
  return actions.map((action) => action.replace(/ \([^()]*, line \d+\)$/, '')).join('\n');
}

function textOf(looked: number, differences: readonly Difference[]): string {
  const summary = `${looked} messages looked at, ${differences.length} would have fared otherwise.\n`;
  if (differences.length === 0) return summary;
  return `${formatTable(differences, [
    { title: 'mailbox', value: ({ mailbox }) => mailbox },
    { title: 'uid', value: ({ uid }) => uid, align: 'right' },
    { title: 'from', value: ({ from }) => from, shrink: true },
    { title: 'subject', value: ({ subject }) => subject, shrink: true },
    { title: 'active script', value: ({ active }) => active.join('; ') },
    { title: 'this one', value: ({ trial: would }) => would.join('; ') },
  ])}\n${summary}`;
}
