/** `mailfilter learn`: teaches the Bayes classifier, tells why it judges as it does, takes a lesson back. */
import { type Command, Option } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { judge, type Kind, learn, site, undo } from '../../rules/bayes/memory.ts';
import { bayesOptions } from '../../rules/bayes/options.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { withState } from './plugin-state.ts';
import { readMessage } from './read-message.ts';
import { formatTable } from './table.ts';

interface Options {
  config?: string;
  user?: string;
  json?: boolean;
  clues?: number;
}

const userOption = ['--user <address>', "the user's own database instead of the site's"] as const;

export function define(command: Command): void {
  for (const kind of ['ham', 'spam'] as const) {
    command
      .command(kind)
      .description(`the message on standard input is ${kind}`)
      .option(...configOption)
      .option(...userOption)
      .action((options: Options) => teach(kind, options));
  }
  command
    .command('why')
    .description('how the message on standard input is judged, and by which tokens')
    .option(...configOption)
    .option('--user <address>', 'as mail for that user, whose own database counts too')
    .addOption(new Option('--clues <number>', 'tokens to show').default(30).argParser(wholeNumber))
    .option('--json', 'print JSON')
    .action(why);
  command
    .command('undo')
    .argument('<id>', 'that learn ham or learn spam gave')
    .description('take back what was learnt')
    .option(...configOption)
    .option(...userOption)
    .action(takeBack);
}

async function teach(kind: Kind, { config: named, user }: Options): Promise<void> {
  const config = loadConfig(findConfig(named));
  const tokens = await readTokens(config);
  const { expireDays } = optionsOf(config);
  const { id, learnt, corrected } = await withState(config, 'bayes', (state) =>
    learn(state, user ?? site, kind, tokens, expireDays),
  );
  const before = corrected ? ', which it was not before' : '';
  const said = learnt ? `learnt as ${kind}${before}` : `was learnt as ${kind} before`;
  process.stdout.write(`${id} ${said}: ${tokens.length} tokens\n`);
}

async function why({ config: named, user, json, clues: shown = 30 }: Options): Promise<void> {
  const config = loadConfig(findConfig(named));
  const tokens = await readTokens(config);
  const options = optionsOf(config);
  const owners = user === undefined ? [site] : [site, user];
  const { taught, judgement } = await withState(config, 'bayes', (state) =>
    judge(state, owners, tokens, options),
  );
  if (judgement === undefined) {
    throw new CommandError(
      exitCodes.negative,
      `only ${taught.spam} spam and ${taught.ham} ham were taught: nothing is scored below ${options.minimum} of each`,
      'Teach more with "mailfilter learn spam" and "mailfilter learn ham".',
    );
  }
  const { probability } = judgement;
  const clues = judgement.clues.slice(0, shown);
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ probability, taught, clues }, null, 2)}\n`);
    return;
  }
  const heading = `spam with probability ${probability.toFixed(4)}: ${judgement.clues.length} of ${tokens.length} tokens count; taught ${taught.spam} spam, ${taught.ham} ham`;
  const table = formatTable(clues, [
    { title: 'token', value: ({ token }) => token, shrink: true },
    { title: 'probability', value: (clue) => clue.probability.toFixed(4), align: 'right' },
    { title: 'in spam', value: ({ counts }) => counts.spam, align: 'right' },
    { title: 'in ham', value: ({ counts }) => counts.ham, align: 'right' },
  ]);
  process.stdout.write(`${heading}\n${table}`);
}

async function takeBack(id: string, { config: named, user }: Options): Promise<void> {
  const config = loadConfig(findConfig(named));
  const { expireDays } = optionsOf(config);
  const kind = await withState(config, 'bayes', (state) => undo(state, user ?? site, id, expireDays));
  if (kind === undefined) {
    const whose = user === undefined ? 'the site' : user;
    throw new CommandError(exitCodes.negative, `nothing was learnt for ${whose} under the id ${id}`);
  }
  process.stdout.write(`${id} is no longer learnt as ${kind}\n`);
}

async function readTokens({ limits }: Config): Promise<string[]> {
  const { source } = await readMessage(limits.messageBytesMax);
  const tokens = await tokensOf(openMessage(source, [], { limits }));
  if (tokens === undefined) {
    throw new CommandError(exitCodes.dataError, 'the message is too large or too broken to be read');
  }
  return tokens;
}

interface BayesOptions {
  readonly minimum: number;
  readonly userWeight: number;
  readonly expireDays: number;
}

/** Those of the first pipeline that has the plugin; the config was checked, so that they are of the right types. */
function optionsOf({ pipelines }: Config): BayesOptions {
  const entry = Object.values(pipelines)
    .flat()
    .find(({ plugin }) => plugin === 'bayes');
  const { minimum, userWeight, expireDays } = bayesOptions;
  return {
    minimum: minimum.default,
    userWeight: userWeight.default,
    expireDays: expireDays.default,
    ...(entry?.options as Partial<BayesOptions> | undefined),
  };
}

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new CommandError(exitCodes.usage, `--clues ${text} is no number`);
  return Number(text);
}
