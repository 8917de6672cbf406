/** `mailfilter sendmail`, also called as sendmail, mailq and newaliases: the interface by which programs of a machine send mail. */
import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { writeDrop } from '../maildrop/drop.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { tryQueueAgain } from './queue/change.ts';
import { printKeptMail, printMailq } from './queue/mailq.ts';
import { sendDirectly } from './sendmail/direct.ts';
import { keptMail, sendKept } from './sendmail/kept.ts';
import { readOptions, type SendmailOptions } from './sendmail/options.ts';
import { prepare } from './sendmail/prepare.ts';
import { serveStdio } from './sendmail/stdio-smtp.ts';

/** For `--help` alone: what is given beside it goes to `runSendmail`. */
export function define(command: Command): void {
  command
    .usage('[options] [recipient...]')
    .addHelpText('after', helpText)
    .allowUnknownOption()
    .helpOption('--help', 'display this help');
}

const helpText = `
Reads a message from standard input and sends it. The same program called as sendmail, mailq or newaliases does what these do.

  -t           recipients from To, Cc and Bcc
  -i, -oi      a line with a dot alone does not end the message
  -f, -r ADDR  reverse-path
  -F NAME      full name, for a From that is missing
  -N WORDS     never, or some of success,failure,delay
  -R full|hdrs what a report returns
  -V ID        envelope id of reports
  -B TYPE      7BIT or 8BITMIME
  -C FILE      config (default: $MAILFILTER_CONFIG, ~/.config/mailfilter/mailfilter.json, /etc/mailfilter/mailfilter.json)
  -bs          SMTP on standard input and output
  -bp          show the queue (mailq)
  -bi          nothing to rebuild (newaliases)
  -q           try again what waits

-v, -O and all other -o are taken and change nothing; -bd is refused: "mailfilter serve" is the server.`;

/** @param argv as sendmail takes it; its options are none that a usual reader of options knows */
export async function runSendmail(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  const config = loadConfig(configFile(options.config));
  switch (options.mode) {
    case 'p':
      if (isNullClient(config)) await printKeptMail(keptMail(config));
      else printMailq(config);
      return exitCodes.ok;
    case 'i':
      process.stdout.write(
        'Aliases are read from the config: "mailfilter check", then "mailfilter reload".\n',
      );
      return exitCodes.ok;
    case 'q':
      return isNullClient(config) ? sendKept(config) : tryQueueAgain(config);
    case 's':
      await serveStdio(config.hostname, config.limits.messageBytesMax, async (mail) => {
        const code = await send(config, mail.message, mail.recipients, { ...options, sender: mail.sender });
        if (code !== exitCodes.ok && code !== exitCodes.unavailable)
          throw new CommandError(exitCodes.tempFail, 'not sent');
        return code === exitCodes.ok;
      });
      return exitCodes.ok;
    case 'v':
      process.stdout.write('Addresses are verified when mail comes for them.\n');
      return exitCodes.ok;
    case 'm':
      return sendInput(config, options);
  }
}

/** Never the working folder's: cron and others call it from anywhere, and what lies there is not theirs to trust. */
function configFile(named: string | undefined): string {
  const given = named ?? process.env.MAILFILTER_CONFIG;
  if (given !== undefined && given !== '') return given;
  const own = join(homedir(), '.config/mailfilter/mailfilter.json');
  return existsSync(own) ? own : '/etc/mailfilter/mailfilter.json';
}

async function sendInput(config: Config, options: SendmailOptions): Promise<number> {
  const input = await buffer(process.stdin);
  const author = options.sender || `${userInfo().username}@${config.domains[0] ?? config.hostname}`;
  const { message, recipients } = prepare(
    input,
    options,
    author.includes('@') ? author : `${author}@${config.domains[0] ?? config.hostname}`,
  );
  if (recipients.length === 0) {
    throw new CommandError(
      exitCodes.usage,
      'sendmail: no recipients',
      'Name them, or give -t to take those of the header.',
    );
  }
  if (message.length > config.limits.messageBytesMax) {
    throw new CommandError(
      exitCodes.dataError,
      `sendmail: the message is larger than ${config.limits.messageBytesMax} octets`,
    );
  }
  return send(config, message, recipients, options);
}

async function send(
  config: Config,
  message: Buffer,
  recipients: readonly string[],
  { sender, notify, ret, envid, body }: SendmailOptions,
): Promise<number> {
  const envelope = {
    version: 1,
    recipients,
    ...(sender === undefined ? {} : { sender }),
    ...(notify === undefined ? {} : { notify }),
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    ...(body === undefined ? {} : { body }),
  } as const;
  if (isNullClient(config)) return sendDirectly(config, envelope, message);
  await writeDrop(join(config.dataDirectory, 'maildrop'), envelope, [message]);
  return exitCodes.ok;
}

/** A config that listens nowhere has no server: each message goes to its relay at once. */
function isNullClient(config: Config): boolean {
  return config.listeners.length === 0;
}
