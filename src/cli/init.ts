/** `mailfilter init`: `server` writes a working config and says what to add to DNS; the other ways lie in init/. */
import { existsSync } from 'node:fs';
import { hostname as systemName } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { canonicalDomain } from '../../core/config/domain.ts';
import { findSystemUser, handOver } from '../privileges.ts';
import { calledAs } from './called-as.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { defineFilters } from './init/filter-behind-mta.ts';
import {
  configText,
  embeddedFilters,
  ensureSigningKey,
  installationFiles,
  writeCertificate,
  writeNew,
} from './installation.ts';
import { txtLine } from './zone-line.ts';

/** Of the systemd unit that comes along, too. */
const defaultUser = 'mailfilter';

export function define(command: Command): void {
  command
    .command('server')
    .description('a full mail server: MX, submission, mailboxes')
    .requiredOption('--domain <domain...>', 'domains that get mailboxes here')
    .option('--hostname <name>', 'name of this host, as its PTR record gives it')
    .option('--directory <folder>', 'where the files go', '.')
    .option('--address <ip>', 'address to listen on', '0.0.0.0')
    .option('--offset <number>', 'add this to every port, to try it without being root', '0')
    .option('--data <folder>', 'where mail, queue and state go', 'data')
    .option('--user <name>', 'system user to become when started as root (default for root: mailfilter)')
    .option('--json', 'print the facts as JSON')
    .action(initServer);
  defineFilters(command);
}

interface Options {
  domain: string[];
  hostname?: string;
  directory: string;
  data: string;
  address: string;
  offset: string;
  user?: string;
  json?: boolean;
}

async function initServer(options: Options): Promise<void> {
  const domains = options.domain.map((domain) => domainOf(domain, '--domain'));
  const hostname = domainOf(options.hostname ?? defaultHostname(domains[0]!), '--hostname');
  const directory = resolve(options.directory);
  const offset = Number(options.offset);
  if (!Number.isInteger(offset) || offset < 0 || offset > 64_000) {
    throw new CommandError(exitCodes.usage, `--offset ${options.offset} is no number from 0 to 64000`);
  }
  const file = join(directory, installationFiles.config);
  const listeners = serverListeners(options.address, offset);
  const user = options.user ?? (process.getuid?.() === 0 ? defaultUser : undefined);
  const settings = serverSettings({ hostname, domains, listeners, data: options.data, user });
  if (!writeNew(file, configText(settings))) {
    throw new CommandError(
      exitCodes.cannotCreate,
      `${file} is there already`,
      'Choose another --directory, or move it away.',
    );
  }
  writeCertificate(directory, [hostname]);
  writeNew(join(directory, installationFiles.users), '{ "version": 1, "users": {} }\n', 0o600);
  const signingRecord = ensureSigningKey(directory);
  const { key, users, signingKey } = installationFiles;
  const secrets = [key, users, signingKey].map((name) => join(directory, name));
  const owner = user === undefined ? undefined : findSystemUser(user);
  if (process.getuid?.() === 0) for (const secret of secrets) handOver(secret, owner);
  const facts = {
    config: file,
    hostname,
    domains,
    listeners,
    ...(user === undefined ? {} : { user }),
    dns: dnsRecords(hostname, domains, signingRecord),
    // What the server could not read once it has given up root.
    handOver: user === undefined || owner !== undefined ? [] : secrets,
  };
  process.stdout.write(options.json === true ? `${JSON.stringify(facts, null, 2)}\n` : advice(facts));
}

type Listeners = Record<string, { protocol: string; address: string; tls: string; pipeline?: string }>;

function serverListeners(ip: string, offset: number): Listeners {
  const at = (port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port + offset}`;
  return {
    mx: { protocol: 'smtp', address: at(25), tls: 'starttls', pipeline: 'inbound' },
    submission: { protocol: 'submission', address: at(587), tls: 'starttls', pipeline: 'outbound' },
    submissions: { protocol: 'submission', address: at(465), tls: 'implicit', pipeline: 'outbound' },
    imap: { protocol: 'imap', address: at(143), tls: 'starttls' },
    imaps: { protocol: 'imap', address: at(993), tls: 'implicit' },
    pop3: { protocol: 'pop3', address: at(110), tls: 'starttls' },
    pop3s: { protocol: 'pop3', address: at(995), tls: 'implicit' },
    sieve: { protocol: 'managesieve', address: at(4190), tls: 'starttls' },
  };
}

function serverSettings(server: {
  hostname: string;
  domains: readonly string[];
  listeners: Listeners;
  data: string;
  user: string | undefined;
}): Record<string, unknown> {
  const { hostname, domains, listeners, data, user } = server;
  return {
    hostname,
    dataDirectory: data,
    user,
    domains,
    listeners,
    pipelines: {
      inbound: [...verifiers, clientChecks, ...embeddedFilters, 'policy', 'sieve'],
      outbound: ['strip-origin', signer(domains)],
    },
    users: { file: installationFiles.users },
    mailbox: { format: 'maildir', path: join(data, 'mail/{domain}/{user}') },
    routes: [
      ...domains.map((domain) => ({ to: `@${domain}`, deliver: 'mailbox' })),
      { to: '*', from: 'authenticated', relay: 'mx' },
      { to: '*', reject: '550 5.7.1 relaying denied' },
    ],
    tls: { certFile: installationFiles.certificate, keyFile: installationFiles.key },
  };
}

/** Mail of domains that say so is refused or set apart; where DNS has no answer and it matters, the client is to come back. */
const verifiers = [
  { plugin: 'spf', options: { temperror: 'mark' } },
  { plugin: 'dkim-verify', options: { temperror: 'mark', partialBody: 'policy' } },
  { plugin: 'dmarc' },
];

/** A name that does not fit is a few points; where DNS fails the mail is judged without. */
const clientChecks = { plugin: 'helo-checks', onFailure: 'continue', options: { ownName: 'score' } };

const selector = 'mail';

/** One key for all domains: each publishes it under its own name. */
function signer(domains: readonly string[]) {
  const keys = domains.map((domain) => ({ domain, selector, keyFile: installationFiles.signingKey }));
  return { plugin: 'dkim-sign', options: { keys } };
}

/** RFC 5321 section 5.1, RFC 7208, RFC 6376, RFC 9989; the PTR record is what others check a sending host by. */
function dnsRecords(hostname: string, domains: readonly string[], signingRecord: string): string[] {
  return [
    ...domains.flatMap((domain) => [
      `${domain}. MX 10 ${hostname}.`,
      txtLine(domain, 'v=spf1 mx -all'),
      txtLine(`${selector}._domainkey.${domain}`, signingRecord),
      txtLine(`_dmarc.${domain}`, `v=DMARC1; p=quarantine; rua=mailto:postmaster@${domain}`),
    ]),
    `${hostname}. A (the address of this host; AAAA too where it has IPv6)`,
    `(the address of this host) PTR ${hostname}.`,
  ];
}

function advice(facts: {
  config: string;
  user?: string;
  handOver: readonly string[];
  hostname: string;
  domains: readonly string[];
  listeners: Listeners;
  dns: string[];
}): string {
  const listens = Object.entries(facts.listeners).map(
    ([name, { address, tls }]) => `  ${name.padEnd(12)} ${address.padEnd(22)} TLS: ${tls}`,
  );
  return [
    `Wrote ${facts.config} with a self-signed certificate, a key to sign mail with and an empty users file beside it.`,
    '',
    'It will listen on:',
    ...listens,
    '',
    'Add to DNS:',
    ...facts.dns.map((record) => `  ${record}`),
    '',
    'Then:',
    ...newUserCommands(facts.user, facts.handOver),
    // RFC 5321 section 4.5.1: every domain takes mail for postmaster.
    `  ${calledAs} user add -c ${facts.config} you@${facts.domains[0]} --alias ${facts.domains.map((domain) => `postmaster@${domain}`).join(' ')}`,
    `  ${calledAs} check -c ${facts.config}`,
    `  ${calledAs} serve -c ${facts.config}`,
    '',
    'Put a certificate of a public authority in place of cert.pem and key.pem before others send to you.',
    '',
  ].join('\n');
}

/** For a system user that is not there yet. */
function newUserCommands(user: string | undefined, files: readonly string[]): string[] {
  if (user === undefined || files.length === 0) return [];
  return [
    `  useradd --system --user-group --no-create-home --shell ${noLogin()} ${user}`,
    `  chown ${user}: ${files.join(' ')}`,
  ];
}

function noLogin(): string {
  return existsSync('/usr/sbin/nologin') ? '/usr/sbin/nologin' : '/sbin/nologin';
}

/** A host name without a dot means nothing to others. */
function defaultHostname(domain: string): string {
  const name = systemName();
  return name.includes('.') ? name : `mx.${domain}`;
}

function domainOf(text: string, option: string): string {
  const domain = canonicalDomain(text);
  if (domain !== undefined) return domain;
  throw new CommandError(exitCodes.usage, `${option} ${text} is no domain name`);
}
