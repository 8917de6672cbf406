/** `mailfilter auth`: one question of SPF, DKIM, DMARC or ARC, with every step and every answer of DNS that led to its answer. */
import { isIP } from 'node:net';
import { hostname as systemName } from 'node:os';
import type { Command } from 'commander';
import { type ArcResult, arcAuthResult, verifyArc } from '../../core/auth/arc/verify.ts';
import { type DkimResult, dkimAuthResults, verifyDkim } from '../../core/auth/dkim/verify.ts';
import type { DmarcMode } from '../../core/auth/dmarc/discovery.ts';
import { dmarcAuthResult, evaluateDmarc } from '../../core/auth/dmarc/evaluate.ts';
import type { SpfStep } from '../../core/auth/spf/check-host.ts';
import { checkSender, type SenderCheck, spfAuthResults } from '../../core/auth/spf/check-sender.ts';
import { defaultLimits } from '../../core/base/limits/settings.ts';
import { normaliseDomain, splitAddress } from '../../core/mail/address.ts';
import { parseAddressList } from '../../core/mail/address-list.ts';
import type { AuthResult } from '../../core/mail/authentication-results.ts';
import type { Message } from '../../core/mail/message.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { type DnsOptions, dnsOption, recordingDns } from './asked-dns.ts';
import { type AuthAnswer, printAnswer } from './auth-answer.ts';
import { defineDmarcReport } from './auth-report.ts';
import { configOption } from './config-file.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { readMessage } from './read-message.ts';

interface Options extends DnsOptions {
  json?: boolean;
}
interface ClientOptions extends Options {
  ip?: string;
  from?: string;
  helo?: string;
}
interface SignatureOptions extends Options {
  allowSha1?: boolean;
  minBits?: string;
}
interface DmarcOptions extends ClientOptions {
  mode: DmarcMode;
}

export function define(command: Command): void {
  question(command, 'spf', 'may this client send for that sender?')
    .requiredOption('--ip <address>', 'client address')
    .option('--from <address>', 'envelope sender (default: the null sender, whose HELO name is asked about)')
    .option('--helo <name>', 'name in HELO')
    .action(askSpf);
  question(command, 'dkim', 'do the signatures of the message on standard input verify?')
    .option('--allow-sha1', 'trust rsa-sha1')
    .option('--min-bits <number>', 'shorter RSA keys are not trusted', '1024')
    .action(askDkim);
  question(command, 'dmarc', 'does the author of the message on standard input answer for it?')
    .option('--ip <address>', 'client address, for SPF')
    .option('--from <address>', 'envelope sender, for SPF')
    .option('--helo <name>', 'name in HELO, for SPF')
    .option('--mode <mode>', 'rfc9989 (tree walk) or rfc7489 (public suffix list)', 'rfc9989')
    .action(askDmarc);
  question(command, 'arc', 'is the chain of ARC sets of the message on standard input whole?').action(askArc);
  defineDmarcReport(command);
}

function question(command: Command, name: string, description: string): Command {
  return command
    .command(name)
    .description(description)
    .option(...dnsOption)
    .option(...configOption)
    .option('--json', 'print the facts as JSON');
}

async function askSpf(options: ClientOptions & { ip: string }): Promise<void> {
  const { dns, asked } = recordingDns(options);
  const { check, auth, steps } = await checkClient(options, dns);
  print(options, { method: 'spf', result: check.mailFrom.result, auth, steps, asked, facts: { ...check } });
}

async function askDkim(options: SignatureOptions): Promise<void> {
  const message = await openInput();
  const { dns, asked } = recordingDns(options);
  const rsaBitsMin = Number(options.minBits ?? 1024);
  if (!Number.isInteger(rsaBitsMin) || rsaBitsMin < 1)
    throw new CommandError(exitCodes.usage, `--min-bits ${options.minBits} is no number`);
  const signatures = await verifyDkim(message, dns, {
    now: Date.now(),
    allowSha1: options.allowSha1 ?? false,
    rsaBitsMin,
  });
  const auth = dkimAuthResults(signatures);
  const result = signatures.some((each) => each.result === 'pass') ? 'pass' : auth[0]!.result;
  print(options, {
    method: 'dkim',
    result,
    auth,
    steps: signatures.map(describeSignature),
    asked,
    facts: { signatures },
  });
}

async function askDmarc(options: DmarcOptions): Promise<void> {
  const { mode, ip } = options;
  if (mode !== 'rfc9989' && mode !== 'rfc7489')
    throw new CommandError(exitCodes.usage, `--mode ${mode} is neither rfc9989 nor rfc7489`);
  const message = await openInput();
  const { dns, asked } = recordingDns(options);
  const author = authorOf(message);
  const client = ip === undefined ? undefined : await checkClient({ ...options, ip }, dns);
  const signatures = await verifyDkim(message, dns, { now: Date.now() });
  const spf = client && { domain: client.check.mailFrom.domain, result: client.check.mailFrom.result };
  const dmarc = await evaluateDmarc({ author, spf, dkim: signatures, mode }, dns);
  const steps = [
    ...(client?.steps ?? ['no client address (--ip): SPF was not asked']),
    ...signatures.map(describeSignature),
    dmarc.found === undefined
      ? `no policy for ${author}`
      : `policy of ${dmarc.found.domain}: ${dmarc.policy}${dmarc.testing ? ' (testing)' : ''}`,
    `aligned with ${author}: SPF ${dmarc.aligned.spf ? 'yes' : 'no'}, DKIM ${dmarc.aligned.dkim ? 'yes' : 'no'}`,
  ];
  const auth = [
    ...(client?.auth ?? []),
    ...dkimAuthResults(signatures),
    dmarcAuthResult(dmarc, dmarc.policy),
  ];
  print(options, {
    method: 'dmarc',
    result: dmarc.result,
    auth,
    steps,
    asked,
    facts: { ...dmarc, spf, signatures },
  });
}

async function askArc(options: Options): Promise<void> {
  const message = await openInput();
  const { dns, asked } = recordingDns(options);
  const chain = await verifyArc(message, dns, { now: Date.now() });
  const auth = [arcAuthResult(chain)];
  print(options, {
    method: 'arc',
    result: chain.result,
    auth,
    steps: describeChain(chain),
    asked,
    facts: { ...chain },
  });
}

function print({ json }: Options, answer: AuthAnswer): void {
  printAnswer(answer, json === true);
}

async function checkClient(
  { ip, from = '', helo = '' }: ClientOptions & { ip: string },
  dns: ReturnType<typeof recordingDns>['dns'],
): Promise<{ check: SenderCheck; auth: AuthResult[]; steps: string[] }> {
  if (isIP(ip) === 0) throw new CommandError(exitCodes.usage, `--ip ${ip} is no IP address`);
  if (from === '' && helo === '')
    throw new CommandError(exitCodes.usage, 'give --from, or --helo for the null sender');
  const steps: string[] = [];
  const onStep = ({ domain, term, matches }: SpfStep) =>
    void steps.push(`${domain}: ${term} ${matches ? 'matches' : 'does not match'}`);
  const spfQuestion = { ip, sender: from, helo, receiver: systemName(), now: Date.now() };
  const check = await checkSender(spfQuestion, dns, { helo: helo !== '', onStep });
  for (const { domain, problem, explanation } of [check.mailFrom, ...(check.helo ? [check.helo] : [])]) {
    if (problem !== undefined) steps.push(`${domain}: ${problem}`);
    if (explanation !== undefined) steps.push(`${domain} explains: ${explanation}`);
  }
  return { check, steps, auth: spfAuthResults(check, spfQuestion) };
}

async function openInput(): Promise<Message> {
  const { source } = await readMessage(defaultLimits.messageBytesMax);
  return openMessage(source, []);
}

function authorOf({ headers }: Message): string {
  const author = parseAddressList(headers.get('From') ?? '')[0]?.address ?? '';
  const { domain } = splitAddress(author);
  if (domain === '') throw new CommandError(exitCodes.dataError, 'From names no author with a domain');
  return normaliseDomain(domain);
}

function describeSignature({ domain, selector, algorithm, result, reason, keyBits }: DkimResult): string {
  const key = keyBits > 0 ? `, key of ${keyBits} bits` : '';
  const name = domain === '' ? 'a signature' : `${selector}._domainkey.${domain} ${algorithm}${key}`;
  return `${name}: ${result}${reason === '' ? '' : ` (${reason})`}`;
}

function describeChain({ instances, sealers, reason }: ArcResult): string[] {
  return [
    `${instances} ${instances === 1 ? 'set' : 'sets'}`,
    ...sealers.map((domain, index) => `set ${index + 1} sealed by ${domain}`),
    ...(reason === '' ? [] : [reason]),
  ];
}
