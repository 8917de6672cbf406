/** `mailfilter user add|password|list|remove`: changes users.json; the running server notices by itself. */
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { isAddress } from '../../core/mail/address.ts';
import { addUser, listUsers, removeUser, setPassword } from '../users/file.ts';
import { canonicalAddress } from '../users/format.ts';
import { configOption, findConfig } from './config-file.ts';
import { randomPassword } from './demo-installation.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { readHidden, readLine } from './prompt.ts';
import { formatTable } from './table.ts';

interface Options {
  config?: string;
  passwordStdin?: boolean;
  generate?: boolean;
  alias?: string[];
  json?: boolean;
}

export function define(command: Command): void {
  const withPassword = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .argument('<address>', 'local@domain')
      .option(...configOption)
      .option('--password-stdin', 'read the password from the first line of standard input')
      .option('--generate', 'make a random password and print it');
  withPassword('add', 'add a user')
    .option('--alias <address...>', 'further addresses of the user')
    .action(async (address: string, options: Options) => {
      const aliases = options.alias ?? [];
      for (const each of [address, ...aliases]) needAddress(each);
      const { file, domains } = usersOf(options);
      const { password, show } = await choosePassword(options);
      await addUser(file, address, password, { aliases });
      show();
      process.stderr.write(`added ${address} to ${file}\n`);
      for (const each of [address, ...aliases]) warnOfStranger(each, domains);
    });
  withPassword('password', 'set a new password').action(async (address: string, options: Options) => {
    needAddress(address);
    const { file } = usersOf(options);
    const { password, show } = await choosePassword(options);
    await setPassword(file, address, password);
    show();
    process.stderr.write(`changed the password of ${address} in ${file}\n`);
  });
  command
    .command('list')
    .description('show the users')
    .option(...configOption)
    .option('--json', 'print JSON')
    .action(list);
  command
    .command('remove')
    .description('remove a user; the mail stays')
    .argument('<address>', 'local@domain')
    .option(...configOption)
    .action(async (address: string, options: Options) => {
      const { file } = usersOf(options);
      await removeUser(file, address);
      process.stderr.write(`removed ${address} from ${file}; the mailbox was left as it is\n`);
    });
}

async function list(options: Options): Promise<void> {
  const users = await listUsers(usersOf(options).file);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(users, null, 2)}\n`);
    return;
  }
  const table = formatTable(users, [
    { title: 'address', value: ({ address }) => address },
    { title: 'aliases', value: ({ aliases }) => aliases.join(' '), shrink: true },
    { title: 'forward', value: ({ forward }) => forward.join(' '), shrink: true },
    { title: 'quota', value: ({ quotaBytes }) => (quotaBytes === 0 ? '' : quotaBytes), align: 'right' },
    { title: 'state', value: ({ disabled }) => (disabled ? 'disabled' : '') },
  ]);
  process.stdout.write(table);
}

function needAddress(text: string): void {
  if (!isAddress(text)) throw new CommandError(exitCodes.usage, `"${text}" is no address: local@domain`);
}

function warnOfStranger(address: string, domains: readonly string[]): void {
  const domain = canonicalAddress(address).replace(/^.*@/, '');
  if (domains.includes(domain)) return;
  process.stderr.write(`warning: ${domain} is not in "domains" of the config: no mail reaches ${address}\n`);
}

function usersOf(options: Options): { file: string; domains: Config['domains'] } {
  const config = loadConfig(findConfig(options.config));
  if (config.users !== undefined) return { file: config.users.file, domains: config.domains };
  throw new CommandError(
    exitCodes.config,
    `${config.file} has no section "users"`,
    'Add "users": { "file": "users.json" } to it.',
  );
}

/** `show` prints a password that was made here; to be called once it holds. */
async function choosePassword(options: Options): Promise<{ password: string; show(): void }> {
  if (options.generate === true) {
    const password = randomPassword();
    return { password, show: () => process.stdout.write(`${password}\n`) };
  }
  return { password: await askPassword(options), show: () => {} };
}

async function askPassword(options: Options): Promise<string> {
  if (options.passwordStdin === true) return readLine(process.stdin);
  if (!process.stdin.isTTY) {
    throw new CommandError(
      exitCodes.usage,
      'no terminal to ask for the password',
      'Give it with --password-stdin, or let one be made with --generate.',
    );
  }
  const password = await readHidden('Password: ');
  if (password !== (await readHidden('Again: '))) {
    throw new CommandError(exitCodes.dataError, 'the two passwords differ; nothing was changed');
  }
  return password;
}
