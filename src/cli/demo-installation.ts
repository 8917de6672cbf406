/** The demo installation: `.mailfilter/` with a server on loopback high ports and the users alice and bob. Kept once made. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, sep } from 'node:path';
import { addUser, listUsers, setPassword } from '../users/file.ts';
import { demoRules } from './demo-messages.ts';
import {
  configText,
  embeddedFilters,
  installationFiles,
  programDirectory,
  writeCertificate,
  writeNew,
} from './installation.ts';

export interface Demo {
  /** Absolute path of `.mailfilter`. */
  readonly directory: string;
  readonly configFile: string;
  readonly credentialsFile: string;
  /** Address to password. */
  readonly credentials: ReadonlyMap<string, string>;
  readonly certificateFile: string;
}

const demoDomain = 'example.test';
const demoUsers = [`alice@${demoDomain}`, `bob@${demoDomain}`] as const;

/** Inside the clone; for an installed package in the folder where it was called. */
export function demoDirectory(): string {
  const installed = programDirectory.includes(`${sep}node_modules${sep}`);
  return join(installed ? process.cwd() : programDirectory, '.mailfilter');
}

/** Makes what is missing and keeps what is there. */
export async function ensureDemo(directory: string): Promise<Demo> {
  const configFile = join(directory, installationFiles.config);
  const credentialsFile = join(directory, 'demo-credentials');
  writeCertificate(directory, ['localhost', '127.0.0.1', '::1']);
  const credentials = await ensureCredentials(join(directory, installationFiles.users), credentialsFile);
  writeNew(configFile, configText(demoSettings()));
  return {
    directory,
    configFile,
    credentialsFile,
    credentials,
    certificateFile: join(directory, installationFiles.certificate),
  };
}

/** The passwords are known only from the credentials file: when it is gone, or a user is, new ones are set. */
async function ensureCredentials(
  usersFile: string,
  credentialsFile: string,
): Promise<ReadonlyMap<string, string>> {
  const present = existsSync(usersFile) ? (await listUsers(usersFile)).map(({ address }) => address) : [];
  if (existsSync(credentialsFile)) {
    const known = readCredentials(credentialsFile);
    if (demoUsers.every((address) => known.has(address) && present.includes(address))) return known;
    rmSync(credentialsFile);
  }
  const made = new Map<string, string>(demoUsers.map((address) => [address, randomPassword()]));
  for (const [address, password] of made) {
    if (present.includes(address)) await setPassword(usersFile, address, password);
    // RFC 5321 section 4.5.1: every domain takes mail for postmaster.
    else
      await addUser(usersFile, address, password, {
        aliases: address === demoUsers[0] ? [`postmaster@${demoDomain}`] : [],
      });
  }
  const lines = [...made].map(([address, password]) => `${address} ${password}\n`);
  writeNew(credentialsFile, lines.join(''), 0o600);
  return made;
}

function readCredentials(file: string): Map<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n');
  return new Map(
    lines.flatMap((line) => (/^\S+ \S+$/.test(line) ? [line.split(' ') as [string, string]] : [])),
  );
}

/** 96 bits, in characters that no shell minds. */
export function randomPassword(): string {
  return randomBytes(12).toString('base64url').replace(/^-/, '_');
}

function demoSettings(): Record<string, unknown> {
  return {
    hostname: 'localhost',
    dataDirectory: 'data',
    domains: [demoDomain],
    listeners: {
      smtp: { protocol: 'smtp', address: '127.0.0.1:2525', tls: 'starttls', pipeline: 'inbound' },
      submission: {
        protocol: 'submission',
        address: '127.0.0.1:2587',
        tls: 'starttls',
        pipeline: 'outbound',
      },
      submissions: {
        protocol: 'submission',
        address: '127.0.0.1:2465',
        tls: 'implicit',
        pipeline: 'outbound',
      },
      lmtp: { protocol: 'lmtp', address: '127.0.0.1:2424', pipeline: 'inbound' },
      milter: { protocol: 'milter', address: '127.0.0.1:2891', pipeline: 'inbound' },
      imap: { protocol: 'imap', address: '127.0.0.1:2143', tls: 'starttls' },
      imaps: { protocol: 'imap', address: '127.0.0.1:2993', tls: 'implicit' },
      pop3: { protocol: 'pop3', address: '127.0.0.1:2110', tls: 'starttls' },
      pop3s: { protocol: 'pop3', address: '127.0.0.1:2995', tls: 'implicit' },
      sieve: { protocol: 'managesieve', address: '127.0.0.1:2190', tls: 'starttls' },
      filter: {
        protocol: 'content-filter',
        address: '127.0.0.1:2526',
        next: '127.0.0.1:2525',
        pipeline: 'inbound',
      },
    },
    pipelines: {
      inbound: [
        { plugin: 'content-rules', options: { rules: [demoRules.refuse] } },
        ...embeddedFilters,
        { plugin: 'header-rules', options: { rules: [demoRules.edit] } },
        'policy',
        'sieve',
      ],
      outbound: ['strip-origin'],
    },
    users: { file: installationFiles.users },
    mailbox: { format: 'maildir', path: 'mail/{domain}/{user}' },
    routes: [
      { to: `@${demoDomain}`, deliver: 'mailbox' },
      { to: '*', reject: '550 5.7.1 relaying denied' },
    ],
    tls: { certFile: installationFiles.certificate, keyFile: installationFiles.key },
    // In a file, so that what the terminal says of the demo stays in sight.
    log: { level: 'info', file: 'mailfilter.log' },
  };
}
