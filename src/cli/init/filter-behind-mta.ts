/** `mailfilter init milter|content-filter|mda`: a config to begin with, and the lines that an MTA needs. */
import { hostname as systemName } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { canonicalDomain } from '../../../core/config/domain.ts';
import { findSystemUser, handOver } from '../../privileges.ts';
import { calledAs } from '../called-as.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import { configText, installationFiles, programDirectory, writeNew } from '../installation.ts';
import {
  contentFilterLines,
  type MtaLines,
  mdaLines,
  milterLines,
  openSmtpdFilterLines,
  proxyFilterLines,
} from './mta-lines.ts';

interface Options {
  directory: string;
  data: string;
  hostname?: string;
  user?: string;
  port?: string;
  next?: string;
  beforeQueue?: boolean;
  json?: boolean;
}

/** What one way of working behind an MTA puts into the config and into the MTA's files. */
interface Way {
  settings(options: Options): Record<string, unknown>;
  lines(options: Options, configFile: string): MtaLines[];
  /** A server has to run. */
  readonly serves: boolean;
}

const loopback = ['127.0.0.0/8', '::1/128'];

const ways: Readonly<Record<'milter' | 'content-filter' | 'mda', Way>> = {
  milter: {
    serves: true,
    settings: ({ port = '2891' }) => ({
      listeners: {
        milter: { protocol: 'milter', address: `127.0.0.1:${portOf(port)}`, pipeline: 'inbound' },
      },
    }),
    lines: ({ port = '2891' }) => milterLines(portOf(port)),
  },
  'content-filter': {
    serves: true,
    settings: ({ port = '10025', next = '10026', beforeQueue }) => ({
      // So that the MTA may name the client whose mail this is.
      xclientFrom: loopback,
      listeners: {
        filter: {
          protocol: beforeQueue ? 'proxy-filter' : 'content-filter',
          address: `127.0.0.1:${portOf(port)}`,
          next: `127.0.0.1:${portOf(next)}`,
          pipeline: 'inbound',
        },
      },
    }),
    lines({ port = '10025', next = '10026', beforeQueue }) {
      const ports = { filterPort: portOf(port), nextPort: portOf(next) };
      return beforeQueue ? proxyFilterLines(ports) : contentFilterLines(ports);
    },
  },
  mda: {
    serves: false,
    settings: () => ({ mailbox: { format: 'maildir', path: '{home}/Maildir' } }),
    lines: (_, configFile) => [
      ...mdaLines(command('deliver', configFile)),
      ...openSmtpdFilterLines(command('opensmtpd-filter', configFile)),
    ],
  },
};

export function defineFilters(command: Command): void {
  const common = (name: keyof typeof ways, description: string) =>
    command
      .command(name)
      .description(description)
      .option('--hostname <name>', 'name of this host (default: what the system says)')
      .option('--directory <folder>', 'where the config goes', '.')
      .option('--data <folder>', 'where queue and state go', 'data')
      .option('--user <name>', 'system user to become when started as root')
      .option('--json', 'print the facts as JSON')
      .action((options: Options) => init(name, options));
  common('milter', 'a milter for Postfix or Sendmail').option('--port <port>', 'where to listen', '2891');
  common('content-filter', 'an SMTP filter behind the queue of Postfix or Exim, or before it')
    .option('--port <port>', 'where to listen', '10025')
    .option('--next <port>', 'where the MTA takes mail back', '10026')
    .option('--before-queue', 'a proxy filter: the client hears what the pipeline says');
  common('mda', 'delivery to the mailboxes of system users, for any MTA');
}

function init(name: keyof typeof ways, options: Options): void {
  const way = ways[name];
  const file = join(resolve(options.directory), installationFiles.config);
  const { user } = options;
  const settings = {
    hostname: hostnameOf(options.hostname),
    dataDirectory: options.data,
    ...(user === undefined ? {} : { user }),
    ...way.settings(options),
    pipelines: { inbound: [] },
  };
  const lines = way.lines(options, file);
  if (!writeNew(file, configText(settings))) {
    const advice = 'Choose another --directory, or move it away.';
    throw new CommandError(exitCodes.cannotCreate, `${file} is there already`, advice);
  }
  if (process.getuid?.() === 0) handOver(file, user === undefined ? undefined : findSystemUser(user));
  const facts = { config: file, mta: lines };
  process.stdout.write(
    options.json ? `${JSON.stringify(facts, null, 2)}\n` : advice(file, lines, way.serves),
  );
}

function advice(file: string, all: readonly MtaLines[], serves: boolean): string {
  const commands = [`${calledAs} check -c ${file}`, ...(serves ? [`${calledAs} serve -c ${file}`] : [])];
  return [
    `Wrote ${file}; its pipeline "inbound" is empty, put plugins into it.`,
    '',
    ...all.flatMap(({ mta, file: name, where, lines }) => [
      `${mta}, ${name}${where === undefined ? '' : ` (${where})`}:`,
      '',
      // As they go into the file: in Postfix's an indented line would go on with the one before.
      ...lines,
      '',
    ]),
    'Then:',
    ...commands.map((line) => `  ${line}`),
    '',
  ].join('\n');
}

/** As an MTA runs it, whatever its PATH: this Node, and the launcher. */
function command(name: string, configFile: string): string {
  return [process.execPath, join(programDirectory, 'src/mailfilter.js'), name, '-c', configFile].join(' ');
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port <= 65_535) return port;
  throw new CommandError(exitCodes.usage, `${text} is no port`);
}

function hostnameOf(named: string | undefined): string {
  const name = named ?? systemName();
  const domain = canonicalDomain(name);
  if (domain !== undefined) return domain;
  throw new CommandError(exitCodes.usage, `${name} is no host name`, 'Name one with --hostname.');
}
