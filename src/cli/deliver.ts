/**
 * `mailfilter deliver`: the MDA. Started once for each message, so it loads nothing that this message does not need.
 * It ends with 0 only when the message is on disk or somebody else has answered for it; in doubt with EX_TEMPFAIL.
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { type Account, actAs, callingAccount, systemAccount } from './deliver/account.ts';
import { type DeliverArguments, help, readArguments } from './deliver/arguments.ts';
import { asDeliveryError, DeliveryError, deliveryCodes } from './deliver/delivery-error.ts';
import { mailPlace } from './deliver/place.ts';
import { type IncomingMessage, readMessage } from './deliver/read-message.ts';

export function define(command: Command): void {
  command
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async () => {
      process.exitCode = await deliver(command.args);
    });
}

/** The exit code, never a rejection; what went wrong is said on standard error, in one line that begins with its status. */
export async function deliver(argv: readonly string[]): Promise<number> {
  // A bug or a lack of memory is no reason to lose mail or to send it back.
  process.on('uncaughtException', (error) => process.exit(report(error)));
  try {
    const given = readArguments(argv);
    if (given.help) process.stdout.write(help);
    else await deliverMessage(given);
    return deliveryCodes.ok;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  const { exitCode, status, message } = asDeliveryError(error);
  const text = message.replace(/\s*\n\s*/g, '; ');
  process.stderr.write(`${status === undefined ? 'mailfilter deliver: ' : `${status} `}${text}\n`);
  return exitCode;
}

async function deliverMessage(given: DeliverArguments): Promise<void> {
  process.umask(0o077);
  const config = await readConfig(given);
  const account = accountOf(given.user, config);
  if (account && 'uid' in account) actAs(account);
  const message = await readMessage(
    process.stdin,
    config?.limits.messageBytesMax ?? Number.POSITIVE_INFINITY,
  );
  try {
    if (message.source.length === 0)
      throw new DeliveryError(deliveryCodes.tempFail, 'there is no message', '4.6.0');
    const sender = senderOf(given, message);
    if ('uid' in account) await deliverTo(account, sender, message.source, given, config);
    else await handOver(config!, sender, account.address, message.source);
  } finally {
    message.release();
  }
}

/** Only one that was named: what the machine's server runs for its own users is not asked for a system user's mail. */
async function readConfig({ config, user }: DeliverArguments): Promise<Config | undefined> {
  const named = config ?? (process.env.MAILFILTER_CONFIG || undefined);
  if (named === undefined && user?.includes('@') !== true) return undefined;
  const { findConfig } = await import('./config-file.ts');
  const { loadConfig } = await import('../../core/config/load.ts');
  return loadConfig(findConfig(named));
}

/** A system user before a user of the server; the domain of an address tells the two apart. */
function accountOf(
  user: string | undefined,
  config: Config | undefined,
): Account | { readonly address: string } {
  const caller = callingAccount();
  if (user === undefined || user === caller.name) return caller;
  const account = user.includes('@') ? undefined : systemAccount(user);
  if (account) return account;
  if (config?.users === undefined) {
    throw new DeliveryError(deliveryCodes.noUser, `no user ${user} on this system`, '5.1.1');
  }
  return { address: user.includes('@') ? user : `${user}@${config.domains[0] ?? config.hostname}` };
}

function senderOf({ sender }: DeliverArguments, { fromLineSender }: IncomingMessage): string {
  // Postfix's local(8) sets SENDER together with RECIPIENT; alone it may be anybody's.
  const { SENDER, RECIPIENT } = process.env;
  return sender ?? (RECIPIENT === undefined ? undefined : SENDER) ?? fromLineSender ?? '';
}

async function handOver(
  config: Config,
  sender: string,
  address: string,
  source: MessageSource,
): Promise<void> {
  const { handToServer } = await import('./deliver/hand-to-server.ts');
  await handToServer(config.dataDirectory, sender, address, source);
}

async function deliverTo(
  account: Account,
  sender: string,
  source: MessageSource,
  given: DeliverArguments,
  config: Config | undefined,
): Promise<void> {
  const { ORIGINAL_RECIPIENT, RECIPIENT, EXTENSION } = process.env;
  const detail = given.detail ?? EXTENSION ?? '';
  const local = detail === '' ? account.name : `${account.name}+${detail}`;
  const recipient = RECIPIENT ?? ORIGINAL_RECIPIENT ?? `${local}@${config?.hostname ?? hostname()}`;
  const { storeMessage } = await import('./deliver/store-message.ts');
  const copy = {
    ...{ place: mailPlace(account, config?.mailbox), user: account.name, sender, recipient },
    ...{ folder: 'INBOX', create: true, flags: [], edits: [] },
  };
  const pipeline = config && (await pipelineOf(config, given.pipeline));
  if (pipeline === undefined) return storeMessage(source, copy);
  const { filterDelivery } = await import('./deliver/filter-delivery.ts');
  const { openUserRules } = await import('./deliver/user-rules.ts');
  const { carryOut } = await import('./deliver/carry-out.ts');
  const rules = openUserRules(account, copy.place, config!);
  try {
    const facts = { sender, recipient, user: account.name, detail, pipeline, rules };
    await carryOut(source, await filterDelivery(config!, source, facts), copy, rules);
  } finally {
    await rules.state.close();
  }
}

/** Undefined where it holds no plugin, so that nothing of it is loaded. */
async function pipelineOf(config: Config, named: string | undefined): Promise<string | undefined> {
  if (named === undefined && Object.keys(config.pipelines).length === 0) return undefined;
  const { pipelineName } = await import('./pipeline-name.ts');
  const name = pipelineName(named, config);
  return config.pipelines[name]!.length === 0 ? undefined : name;
}
