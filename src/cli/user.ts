/** `mailfilter user add|password|list|remove`: changes users.json; the running server notices by itself. */
import type { Command } from 'commander';
import { loadConfig } from '../../core/config/load.ts';
import { addUser, listUsers, removeUser, setPassword } from '../users/file.ts';
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
      const file = usersFile(options);
      await addUser(file, address, await choosePassword(options), { aliases: options.alias ?? [] });
      process.stderr.write(`added ${address} to ${file}\n`);
    });
  withPassword('password', 'set a new password').action(async (address: string, options: Options) => {
    const file = usersFile(options);
    await setPassword(file, address, await choosePassword(options));
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
      const file = usersFile(options);
      await removeUser(file, address);
      process.stderr.write(`removed ${address} from ${file}; the mailbox was left as it is\n`);
    });
}

async function list(options: Options): Promise<void> {
  const users = await listUsers(usersFile(options));
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

function usersFile(options: Options): string {
  const config = loadConfig(findConfig(options.config));
  if (config.users !== undefined) return config.users.file;
  throw new CommandError(
    exitCodes.config,
    `${config.file} has no section "users"`,
    'Add "users": { "file": "users.json" } to it.',
  );
}

async function choosePassword(options: Options): Promise<string> {
  if (options.generate === true) {
    const password = randomPassword();
    process.stdout.write(`${password}\n`);
    return password;
  }
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
