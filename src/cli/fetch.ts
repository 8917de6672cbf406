/** `mailfilter fetch`: brings mail from other servers' mailboxes and puts it through the pipeline, once or every few minutes. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { fetchLimits } from '../../core/base/limits/outbound.ts';
import type { Config, FetchAccount } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { isAddress } from '../../core/mail/address.ts';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import { formatReply } from '../../core/net/smtp-reply.ts';
import { deliverySocket } from '../delivery-socket.ts';
import { type FetchReport, fetchAccount } from '../fetch/fetch.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

interface Options {
  config?: string;
  daemon?: boolean;
  json?: boolean;
}

export function define(command: Command): void {
  command
    .argument('[account...]', 'names under fetch.accounts of the config; all when left out')
    .option(...configOption)
    .option('--daemon', 'go on, each account after its everySeconds')
    .option('--json', 'print JSON, one object for each round of an account')
    .action(run);
}

async function run(names: string[], options: Options): Promise<void> {
  const config = loadConfig(findConfig(options.config));
  const accounts = chosen(config, names);
  const signal = stopSignal();
  if (options.daemon === true) {
    await Promise.all(accounts.map((account) => goOn(config, account, options, signal)));
    return;
  }
  for (const account of accounts) {
    if (!(await oneRound(config, account, options, signal))) process.exitCode = exitCodes.tempFail;
    if (!signal.aborted) continue;
    process.exitCode = exitCodes.tempFail;
    return;
  }
}

/** Aborted by SIGTERM or SIGINT, after which the process has bounded time; the same signal again ends it at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const end = () => {
    stop.abort();
    setTimeout(() => process.exit(exitCodes.tempFail), fetchLimits.stopMs).unref();
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  return stop.signal;
}

function chosen({ fetch }: Config, names: readonly string[]): readonly FetchAccount[] {
  if (names.length === 0) {
    if (fetch.length > 0) return fetch;
    throw new CommandError(exitCodes.config, 'the config has no fetch.accounts', 'See docs/outbound.md.');
  }
  return names.map((name) => {
    const found = fetch.find((account) => account.name === name);
    if (found) return found;
    throw new CommandError(exitCodes.usage, `the config has no account "${name}" under fetch.accounts`);
  });
}

/** Until it is told to stop. */
async function goOn(
  config: Config,
  account: FetchAccount,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await oneRound(config, account, options, signal);
    await pause(account.everySeconds * 1000, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** False when it failed, which is said. */
async function oneRound(
  config: Config,
  account: FetchAccount,
  options: Options,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const report = await fetchAccount(account, {
      directory: join(config.dataDirectory, 'fetch'),
      messageBytesMax: config.limits.messageBytesMax,
      takeIn: (recipient, message) => takeIn(config, recipient, message),
      signal,
    });
    print(report, options);
    return true;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    process.stderr.write(`mailfilter: fetch ${account.name}: ${error.message}\n`);
    return false;
  }
}

function print(report: FetchReport, { json }: Options): void {
  const { account, fetched, refused, deleted } = report;
  const text =
    json === true
      ? JSON.stringify(report)
      : `${account}: ${fetched} fetched, ${refused} refused, ${deleted} deleted there`;
  process.stdout.write(`${text}\n`);
}

/** Gives it to the server by LMTP, whose yes means that it is on disk. */
async function takeIn(config: Config, recipient: string, message: Buffer): Promise<boolean> {
  const path = deliverySocket(config.dataDirectory);
  let client: SmtpClient;
  try {
    client = await SmtpClient.connect({ to: { path }, protocol: 'lmtp', name: config.hostname });
  } catch (error) {
    const why = `the server does not take mail (${describeError(error)}): start it with "mailfilter serve"`;
    throw new OperationalError('fetch-no-server', why, { temporary: true, cause: error });
  }
  try {
    const envelope = { sender: returnPath(message), recipients: [recipient], body: '8bitmime' as const };
    const { recipients } = await client.send(envelope, { length: message.length, chunks: [message] });
    const [reply] = recipients;
    if (reply !== undefined && reply.code >= 200 && reply.code < 300) return true;
    if (reply !== undefined && reply.code >= 500) {
      process.stderr.write(`mailfilter: refused for <${recipient}>: ${formatReply(reply)}\n`);
      return false;
    }
    throw new OperationalError('fetch-deferred', reply ? formatReply(reply) : 'no answer', {
      temporary: true,
    });
  } finally {
    await client.quit();
  }
}

/** The server there wrote it when it delivered the message. RFC 5321 section 4.4. */
function returnPath(message: Buffer): string {
  const end = message.indexOf('\r\n\r\n');
  const header = message.toString('utf8', 0, end < 0 ? message.length : end);
  const written = /^Return-Path:\s*<([^<>\r\n]*)>/im.exec(header)?.[1] ?? '';
  return isAddress(written) ? written : '';
}
