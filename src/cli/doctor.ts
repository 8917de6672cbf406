/** `mailfilter doctor`: what `check` looks at, and the world around: DNS of host and domains, the running server, its queue. */
import type { Command } from 'commander';
import { canonicalDomain } from '../../core/config/domain.ts';
import { loadConfig } from '../../core/config/load.ts';
import { dnsOption, recordingDns } from './asked-dns.ts';
import { check, type Finding, tell } from './check.ts';
import { configOption, findConfig } from './config-file.ts';
import { checkDomainRecords, checkHostName } from './doctor-dns.ts';
import { checkServer } from './doctor-queue.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

interface Options {
  config?: string;
  dns?: readonly string[];
  json?: boolean;
}

export function define(command: Command): void {
  command
    .argument('[domain...]', 'domains to ask DNS about (default: those of the config)')
    .option(...configOption)
    .option(...dnsOption)
    .option('--json', 'print the findings as JSON')
    .action(doctor);
}

async function doctor(named: readonly string[], options: Options): Promise<void> {
  const file = findConfig(options.config);
  const findings = await check(file);
  // A config that does not load has no domains to ask about.
  if (!findings.some(({ severity, area }) => severity === 'error' && area === 'config')) {
    findings.push(...(await examine(file, named, options.dns)));
  }
  tell(findings, options.json === true);
}

async function examine(
  file: string,
  named: readonly string[],
  servers: readonly string[] | undefined,
): Promise<Finding[]> {
  const config = loadConfig(file);
  const { dns } = recordingDns({ config: file, ...(servers && { dns: servers }) });
  const domains = named.length === 0 ? config.domains : named.map(domainOf);
  const records = await Promise.all(domains.map((domain) => checkDomainRecords(domain, config, dns)));
  return [...checkServer(config), ...(await checkHostName(config, dns)), ...records.flat()];
}

function domainOf(written: string): string {
  const domain = canonicalDomain(written);
  if (domain === undefined) throw new CommandError(exitCodes.usage, `${written} is no domain name`);
  return domain;
}
