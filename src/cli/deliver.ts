/**
 * `mailfilter deliver`: the MDA. Started once for each message, so it loads nothing that this message does not need.
 * It ends with 0 only when the message is on disk or somebody else has answered for it; in doubt with EX_TEMPFAIL.
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { type Account, actAs, callingAccount, systemAccount } from './deliver/account.ts';
import { type DeliverArguments, help, isForProcmail, readArguments } from './deliver/arguments.ts';
import { DeliveryError, deliveryCodes, reportFailure } from './deliver/delivery-error.ts';
import { mailPlace } from './deliver/place.ts';
import { deliverByOwnRcfile, hasRcfile } from './deliver/procmail/own-rcfile.ts';
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
  process.on('uncaughtException', (error) => process.exit(reportFailure(error)));
  try {
    if (isForProcmail(argv)) {
      const { runAsProcmail } = await import('./deliver/procmail/command.ts');
      return await runAsProcmail(argv);
    }
    const given = readArguments(argv);
    if (!given.help) return await deliverMessage(given);
    process.stdout.write(help);
    return deliveryCodes.ok;
  } catch (error) {
    return reportFailure(error);
  }
}

async function deliverMessage(given: DeliverArguments): Promise<number> {
  process.umask(0o077);
  const config = await readConfig(given);
  const account = accountOf(given.user, config);
  if ('uid' in account) {
    actAs(account);
    if (hasRcfile(account) && (await pipelineOf(given, config)) === undefined)
      return await deliverRaw(account, given, config);
  }
  const message = await readMessage(
    process.stdin,
    config?.limits.messageBytesMax ?? Number.POSITIVE_INFINITY,
  );
  try {
    if (message.source.length === 0)
      throw new DeliveryError(deliveryCodes.tempFail, 'there is no message', '4.6.0');
    const sender = senderOf(given, message);
    if ('uid' in account) return await deliverTo(account, sender, message.source, given, config);
    await handOver(config!, sender, account.address, message.source);
    return deliveryCodes.ok;
  } finally {
    message.release();
  }
}

/** Through ~/.procmailrc, every octet as it came. */
async function deliverRaw(
  account: Account,
  given: DeliverArguments,
  config: Config | undefined,
): Promise<number> {
  const { readMail } = await import('./deliver/procmail/read-mail.ts');
  const mail = await readMail(process.stdin, config?.limits.messageBytesMax);
  const sender = given.sender ?? (hasFromLine(mail) ? undefined : senderOf(given, {}));
  return deliverByOwnRcfile(mail, account, sender, detailOf(given), mailPlace(account, config?.mailbox));
}

function hasFromLine(mail: Uint8Array): boolean {
  return Buffer.from(mail.subarray(0, 5)).equals(Buffer.from('From '));
}

function detailOf({ detail }: DeliverArguments): string {
  return detail ?? process.env.EXTENSION ?? '';
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

function senderOf(
  { sender }: DeliverArguments,
  { fromLineSender }: Partial<Pick<IncomingMessage, 'fromLineSender'>>,
): string {
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
): Promise<number> {
  const { ORIGINAL_RECIPIENT, RECIPIENT } = process.env;
  const detail = detailOf(given);
  const local = detail === '' ? account.name : `${account.name}+${detail}`;
  const recipient = RECIPIENT ?? ORIGINAL_RECIPIENT ?? `${local}@${config?.hostname ?? hostname()}`;
  const place = mailPlace(account, config?.mailbox);
  const copy = {
    ...{ place, user: account.name, sender, recipient },
    ...{ folder: 'INBOX', create: true, flags: [], edits: [] },
  };
  const pipeline = await pipelineOf(given, config);
  if (pipeline === undefined) {
    const { storeMessage } = await import('./deliver/store-message.ts');
    await storeMessage(source, copy);
    return deliveryCodes.ok;
  }
  const { filterDelivery } = await import('./deliver/filter-delivery.ts');
  const { openUserRules } = await import('./deliver/user-rules.ts');
  const { carryOut } = await import('./deliver/carry-out.ts');
  const rules = openUserRules(account, place, config!);
  try {
    const facts = { sender, recipient, user: account.name, detail, pipeline, rules };
    const inbox = hasRcfile(account) ? { account, detail, place } : undefined;
    return await carryOut(source, await filterDelivery(config!, source, facts), copy, rules, inbox);
  } finally {
    await rules.state.close();
  }
}

/** Undefined where it holds no plugin, so that nothing of it is loaded. */
async function pipelineOf(
  { pipeline }: DeliverArguments,
  config: Config | undefined,
): Promise<string | undefined> {
  if (config === undefined || (pipeline === undefined && Object.keys(config.pipelines).length === 0))
    return undefined;
  const { pipelineName } = await import('./pipeline-name.ts');
  const name = pipelineName(pipeline, config);
  return config.pipelines[name]!.length === 0 ? undefined : name;
}
