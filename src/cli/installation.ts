/** Writes what a server needs into a folder: config, self-signed certificate, users file. Nothing that is there is replaced. */
import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { selfSigned } from './certificate.ts';
import { CommandError, exitCodes } from './exit-codes.ts';

/** The folder of this program: a clone, or where npm put it. */
export const programDirectory = fileURLToPath(new URL('../..', import.meta.url));

/** Names of the files of an installation, relative to its folder. */
export const installationFiles = {
  config: 'mailfilter.json',
  certificate: 'cert.pem',
  key: 'key.pem',
  users: 'users.json',
  signingKey: 'dkim.pem',
} as const;

/** Ask neither a daemon nor DNS: `bayes` is silent until it was taught, `policy` after them adds up. */
export const embeddedFilters = ['bulk', 'bayes'] as const;

/** Apple and browsers take no longer ones. */
const certificateDays = 825;

/** Mode 0600 for what holds secrets; false when the file was there already. */
export function writeNew(path: string, text: string, mode = 0o644): boolean {
  if (existsSync(path)) return false;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode, flag: 'wx' });
    return true;
  } catch (error) {
    throw new CommandError(exitCodes.cannotCreate, `cannot write ${path}: ${(error as Error).message}`);
  }
}

/** A fresh pair, unless both are there. */
export function writeCertificate(directory: string, names: readonly string[]): boolean {
  const { certificate, key } = installationFiles;
  const [certFile, keyFile] = [join(directory, certificate), join(directory, key)];
  if (existsSync(certFile) && existsSync(keyFile)) return false;
  const orphan = [certFile, keyFile].find((path) => existsSync(path));
  if (orphan !== undefined) {
    const advice = 'Put the other one beside it, or remove it: then a new pair is made.';
    throw new CommandError(exitCodes.config, `${orphan} is there without its certificate or key`, advice);
  }
  const made = selfSigned({ names, days: certificateDays, now: Date.now() });
  writeNew(keyFile, made.key, 0o600);
  return writeNew(certFile, made.certificate);
}

/** The key that signs mail, made where there is none; answers its record in DNS. */
export function ensureSigningKey(directory: string): string {
  const path = join(directory, installationFiles.signingKey);
  writeNew(path, makeSigningKey('rsa').export({ format: 'pem', type: 'pkcs8' }) as string, 0o600);
  return keyRecord(createPrivateKey(readFileSync(path)));
}

/** Config text with the schema of this program, so that editors complete it. */
export function configText(settings: Readonly<Record<string, unknown>>): string {
  const schema = join(programDirectory, 'mailfilter.schema.json');
  return `${JSON.stringify({ $schema: schema, ...settings }, null, 2)}\n`;
}
