/** `mailfilter init server`: a working config, and what to add to DNS. */
import { hostname as systemName } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { canonicalDomain } from '../../core/config/domain.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { configText, installationFiles, writeCertificate, writeNew } from './installation.ts';

export function define(command: Command): void {
  command
    .command('server')
    .description('a full mail server: MX, submission, mailboxes')
    .requiredOption('--domain <domain...>', 'domains that get mailboxes here')
    .option('--hostname <name>', 'name of this host, as its PTR record gives it')
    .option('--directory <folder>', 'where the files go', '.')
    .option('--address <ip>', 'address to listen on', '0.0.0.0')
    .option('--offset <number>', 'add this to every port, to try it without being root', '0')
    .option('--user <name>', 'system user to become when started as root')
    .option('--json', 'print the facts as JSON')
    .action(initServer);
}

interface Options {
  domain: string[];
  hostname?: string;
  directory: string;
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
  const settings = serverSettings(hostname, domains, listeners, options.user);
  if (!writeNew(file, configText(settings))) {
    throw new CommandError(
      exitCodes.cannotCreate,
      `${file} is there already`,
      'Choose another --directory, or move it away.',
    );
  }
  writeCertificate(directory, [hostname]);
  writeNew(join(directory, installationFiles.users), '{ "version": 1, "users": {} }\n', 0o600);
  const facts = { config: file, hostname, domains, listeners, dns: dnsRecords(hostname, domains) };
  process.stdout.write(options.json === true ? `${JSON.stringify(facts, null, 2)}\n` : advice(facts));
}

type Listeners = Record<string, { protocol: string; address: string; tls: string; pipeline: string }>;

function serverListeners(ip: string, offset: number): Listeners {
  const at = (port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port + offset}`;
  return {
    mx: { protocol: 'smtp', address: at(25), tls: 'starttls', pipeline: 'inbound' },
    submission: { protocol: 'submission', address: at(587), tls: 'starttls', pipeline: 'outbound' },
    submissions: { protocol: 'submission', address: at(465), tls: 'implicit', pipeline: 'outbound' },
  };
}

function serverSettings(
  hostname: string,
  domains: readonly string[],
  listeners: Listeners,
  user: string | undefined,
): Record<string, unknown> {
  return {
    hostname,
    dataDirectory: 'data',
    user,
    domains,
    listeners,
    pipelines: { inbound: [], outbound: ['strip-origin'] },
    users: { file: installationFiles.users },
    mailbox: { format: 'maildir', path: 'mail/{domain}/{user}' },
    routes: [
      ...domains.map((domain) => ({ to: `@${domain}`, deliver: 'mailbox' })),
      { to: '*', reject: '550 5.7.1 relaying denied' },
    ],
    tls: { certFile: installationFiles.certificate, keyFile: installationFiles.key },
  };
}

/** RFC 5321 section 5.1, RFC 7208; the PTR record is what others check a sending host by. */
function dnsRecords(hostname: string, domains: readonly string[]): string[] {
  return [
    ...domains.flatMap((domain) => [`${domain}. MX 10 ${hostname}.`, `${domain}. TXT "v=spf1 mx -all"`]),
    `${hostname}. A (the address of this host; AAAA too where it has IPv6)`,
    `(the address of this host) PTR ${hostname}.`,
  ];
}

function advice(facts: {
  config: string;
  hostname: string;
  domains: readonly string[];
  listeners: Listeners;
  dns: string[];
}): string {
  const listens = Object.entries(facts.listeners).map(
    ([name, { address, tls }]) => `  ${name.padEnd(12)} ${address.padEnd(22)} TLS: ${tls}`,
  );
  return [
    `Wrote ${facts.config} with a self-signed certificate and an empty users file beside it.`,
    '',
    'It will listen on:',
    ...listens,
    '',
    'Add to DNS:',
    ...facts.dns.map((record) => `  ${record}`),
    '',
    'Then:',
    // RFC 5321 section 4.5.1: every domain takes mail for postmaster.
    `  mailfilter user add -c ${facts.config} you@${facts.domains[0]} --alias ${facts.domains.map((domain) => `postmaster@${domain}`).join(' ')}`,
    `  mailfilter check -c ${facts.config}`,
    `  mailfilter serve -c ${facts.config}`,
    '',
    'Put a certificate of a public authority in place of cert.pem and key.pem before others send to you.',
    '',
  ].join('\n');
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
