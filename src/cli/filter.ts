/** `mailfilter filter`: one message from standard input through a pipeline; the message, or JSON, to standard output. */
import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Command } from 'commander';
import { createLog } from '../../core/base/log.ts';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { renderStream } from '../../core/mail/render.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { ipMatcher } from '../../core/net/ip.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import { newTransactionId } from '../flow/transaction.ts';
import { configOption, findConfig } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { type FilterFacts, type FilterResult, filterMessage } from './filter-message.ts';
import { openOnePipeline } from './one-pipeline.ts';
import { pipelineName } from './pipeline-name.ts';
import { readMessage } from './read-message.ts';
import { describeVerdict } from './story.ts';

interface Options {
  config?: string;
  pipeline?: string;
  ip?: string;
  helo?: string;
  from?: string;
  rcpt?: string[];
  user?: string;
  json?: boolean;
}

/** Mail programs know 75 and 77; 98 and 99 say that there is nothing to deliver. */
const verdictExitCodes: Readonly<Record<Verdict['action'], number>> = {
  continue: exitCodes.ok,
  accept: exitCodes.ok,
  reject: exitCodes.noPermission,
  tempfail: exitCodes.tempFail,
  quarantine: 98,
  discard: 99,
};

export function define(command: Command): void {
  command
    .option(...configOption)
    .option('--pipeline <name>', 'pipeline to run (default: "inbound", or the only one)')
    .option('--ip <address>', 'client address: runs the hooks of an SMTP connection as well')
    .option('--helo <name>', 'name in EHLO')
    .option('--from <address>', 'envelope sender (default: the null sender)')
    .option('--rcpt <address...>', 'envelope recipients')
    .option('--user <address>', 'the client is authenticated as this user')
    .option('--json', 'print verdict, edits and trace instead of the message')
    .addHelpText(
      'after',
      '\nExit codes: 0 the message was printed, 75 tempfail, 77 reject, 98 quarantine, 99 discard.',
    )
    .action(filter);
}

async function filter(options: Options): Promise<void> {
  const config = loadConfig(findConfig(options.config));
  const facts = factsOf(options, config);
  const { source, lineEnds } = await readMessage(config.limits.messageBytesMax);
  const log = createLog({ level: 'warn' });
  const pipelines = await openOnePipeline(config, facts.pipeline, log);
  try {
    const result = await filterMessage(facts, source, pipelines);
    process.exitCode = verdictExitCodes[result.verdict.action];
    if (options.json === true) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    else await printMessage(result, source, lineEnds);
  } finally {
    await pipelines.close();
    log.close();
  }
}

async function printMessage(
  result: FilterResult,
  source: MessageSource,
  lineEnds: 'crlf' | 'lf',
): Promise<void> {
  const { verdict, endedAt } = result;
  if (verdictExitCodes[verdict.action] !== exitCodes.ok) {
    process.stderr.write(`mailfilter: ${describeVerdict(verdict)} (${endedAt ?? 'message'})\n`);
    return;
  }
  for await (const chunk of renderStream(source, result.edits, { lineEnds })) {
    if (!process.stdout.write(Buffer.from(chunk))) await once(process.stdout, 'drain');
  }
}

/** With a client's address or name hooks run as at a door of a server; without, as in a pipe. */
function factsOf(options: Options, config: Config): FilterFacts {
  const { ip = '', helo = '', from = '', rcpt = [], user } = options;
  if (ip !== '' && isIP(ip) === 0) throw new CommandError(exitCodes.usage, `--ip ${ip} is no IP address`);
  const client = ip !== '' || helo !== '' || user !== undefined;
  return {
    door: user !== undefined ? 'submission' : client ? 'smtp' : 'pipe',
    pipeline: pipelineName(options.pipeline, config),
    hostname: config.hostname,
    ip: ip === '' && client ? '127.0.0.1' : ip,
    helo,
    trusted: ip !== '' && ipMatcher(config.trustedNetworks).matches(ip),
    sender: from,
    recipients: rcpt,
    user,
    id: newTransactionId(Date.now()),
    now: Date.now(),
  };
}
