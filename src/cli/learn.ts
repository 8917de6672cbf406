/** `mailfilter learn`: teaches the Bayes classifier one message or all of a mailbox, tells why it judges so, takes a lesson back. */
import { type Command, Option } from 'commander';
import { openedFileBytesMax } from '../../core/base/limits/message.ts';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { judge, type Kind, learn, site, undo } from '../../rules/bayes/memory.ts';
import { bayesOptions } from '../../rules/bayes/options.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { type FoundMessage, filesBelow, messagesIn, messagesOf } from './message-files.ts';
import { isThere } from './needed-file.ts';
import { withState } from './plugin-state.ts';
import { readInput } from './read-message.ts';
import { formatTable } from './table.ts';
import { readTokens, teachAll, tell } from './teach.ts';

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
      .argument('[path...]', 'messages, mboxes, Maildirs, or folders with any of these')
      .description(`the message on standard input is ${kind}, or all that lie in the paths are`)
      .option(...configOption)
      .option(...userOption)
      .option('--json', 'print JSON')
      .action((paths: string[], options: Options) => teach(kind, paths, options));
  }
  command
    .command('why')
    .argument('[file]', 'the message, where it is not on standard input')
    .description('how a message is judged, and by which tokens')
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

async function teach(kind: Kind, paths: string[], { config: named, user, json }: Options): Promise<void> {
  const config = loadConfig(findConfig(named));
  const { limits } = config;
  const { expireDays } = optionsOf(config);
  const files = filesBelow(paths);
  // Before the state is opened, which may be as another user.
  const input = paths.length === 0 ? messagesIn('standard input', await readInput(inputBytesMax)) : [];
  const tally = await withState(config, 'bayes', (state) =>
    teachAll(paths.length === 0 ? input : withProgress(files), {
      limits,
      learn: (tokens) => learn(state, user ?? site, kind, tokens, expireDays),
    }),
  );
  for (const { name, reason } of tally.unreadable) process.stderr.write(`${name}: ${reason}\n`);
  if (tally.messages === tally.unreadable.length) {
    const where = paths.length === 0 ? 'standard input' : paths.join(', ');
    throw new CommandError(
      tally.messages === 0 ? exitCodes.noInput : exitCodes.dataError,
      `nothing to learn in ${where}`,
    );
  }
  process.stdout.write(json === true ? `${JSON.stringify(tally, null, 2)}\n` : tell(tally, kind));
}

/** As much as an mbox may have. */
const inputBytesMax = openedFileBytesMax;
/** Often enough for eyes. */
const progressMs = 100;

function* withProgress(files: readonly string[]): Generator<FoundMessage> {
  const shown = process.stderr.isTTY;
  let told = performance.now();
  for (const [index, file] of files.entries()) {
    if (shown && performance.now() - told >= progressMs) {
      told = performance.now();
      process.stderr.write(`${index} of ${files.length} files\x1b[K\r`);
    }
    yield* messagesOf(file);
  }
  if (shown) process.stderr.write('\x1b[K');
}

async function why(
  file: string | undefined,
  { config: named, user, json, clues: shown = 30 }: Options,
): Promise<void> {
  const config = loadConfig(findConfig(named));
  const tokens = await tokensToJudge(file, config);
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

async function tokensToJudge(file: string | undefined, { limits }: Config): Promise<string[]> {
  if (file !== undefined && !isThere(file)) {
    throw new CommandError(exitCodes.noInput, `there is no ${file}`);
  }
  const found =
    file === undefined ? messagesIn('standard input', await readInput(inputBytesMax)) : messagesOf(file);
  const [message] = found;
  if (message === undefined || found.length > 1) {
    throw new CommandError(exitCodes.usage, `why: give one message, not ${found.length}`);
  }
  const tokens = await readTokens(message.octets, limits);
  if (typeof tokens === 'string') {
    throw new CommandError(exitCodes.dataError, `${message.name}: ${tokens}`);
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
