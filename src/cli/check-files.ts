/** The files of a config: certificate and key, users, data directory, secrets that others can read. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError } from '../../core/base/errors.ts';
import type { Config } from '../../core/config/config.ts';
import type { FileConfig } from '../../core/config/file-config.ts';
import { parseJsonc } from '../../core/config/jsonc.ts';
import { listUsers } from '../users/file.ts';
import type { Finding } from './check.ts';
import { checkAccess } from './check-access.ts';
import { checkDomains } from './check-domains.ts';

/** Time enough to get a new one. */
const expiryWarningDays = 21;
const dayMs = 86_400_000;

export async function checkFiles(config: Config): Promise<Finding[]> {
  return [
    ...checkTls(config),
    ...(await checkUsers(config)),
    checkDataDirectory(config),
    ...checkOwnSecrets(config),
    ...checkPrivileges(config),
  ];
}

function checkTls({ tls, hostname }: Config): Finding[] {
  if (tls === undefined) return [];
  const at = (severity: Finding['severity'], where: string, what: string): Finding => ({
    severity,
    area: 'tls',
    where,
    what,
  });
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(tls.certFile));
  } catch (error) {
    return [at('error', tls.certFile, `holds no certificate in PEM form: ${describeError(error)}`)];
  }
  const findings: Finding[] = [];
  try {
    const key = createPrivateKey(readFileSync(tls.keyFile));
    if (!certificate.checkPrivateKey(key)) {
      findings.push(at('error', tls.keyFile, `is not the key of ${tls.certFile}`));
    }
  } catch (error) {
    findings.push(at('error', tls.keyFile, `holds no key in PEM form: ${describeError(error)}`));
  }
  findings.push(...secrecy('tls', tls.keyFile));
  const daysLeft = Math.floor((certificate.validToDate.getTime() - Date.now()) / dayMs);
  const until = `${certificate.validToDate.toISOString().slice(0, 10)}, ${daysLeft} days`;
  if (certificate.validFromDate.getTime() > Date.now()) {
    findings.push(
      at('error', tls.certFile, `is not valid before ${certificate.validFromDate.toISOString()}`),
    );
  } else if (daysLeft < 0) findings.push(at('error', tls.certFile, `expired on ${certificate.validTo}`));
  else if (daysLeft < expiryWarningDays)
    findings.push(at('warning', tls.certFile, `is valid until ${until}`));
  if (certificate.checkHost(hostname) === undefined) {
    findings.push(at('warning', tls.certFile, `does not name the host ${hostname}`));
  }
  return findings.length === 0 ? [at('ok', tls.certFile, `fits its key, is valid until ${until}`)] : findings;
}

async function checkUsers(config: Config): Promise<Finding[]> {
  const { users, domains } = config;
  if (users === undefined) return [];
  const area = 'users';
  try {
    const known = await listUsers(users.file);
    const strangers = known.filter(
      ({ address }) => !domains.includes(address.slice(address.lastIndexOf('@') + 1)),
    );
    return [
      { severity: 'ok', area, where: users.file, what: `${known.length} users` },
      ...strangers.map(
        ({ address }): Finding => ({
          severity: 'warning',
          area,
          where: users.file,
          what: `${address} is in none of the domains of the config`,
        }),
      ),
      ...secrecy(area, users.file),
      ...checkDomains(config, known),
    ];
  } catch (error) {
    return [{ severity: 'error', area, where: users.file, what: describeError(error) }];
  }
}

/** Passwords that stand in the config itself, where they could stand in a file or the environment. */
function checkOwnSecrets({ file }: Config): Finding[] {
  const { value } = parseJsonc(readFileSync(file, 'utf8'));
  const { routes = [], fetch } = value as Partial<FileConfig>;
  const written = [...routes, ...Object.values(fetch?.accounts ?? {})].map(({ password }) => password);
  return written.some((password) => typeof password === 'string') ? secrecy('config', file) : [];
}

/** A file with secrets that group or others can read. */
function secrecy(area: string, path: string): Finding[] {
  if (!existsSync(path) || (statSync(path).mode & 0o044) === 0) return [];
  return [
    { severity: 'warning', area, where: path, what: 'can be read by others than its owner: chmod 600' },
  ];
}

/** The folder itself, or the nearest one above it in which it will be made. */
function checkDataDirectory({ dataDirectory }: Config): Finding {
  const area = 'data';
  let folder = dataDirectory;
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    if (!statSync(folder).isDirectory()) throw new Error(`${folder} is no folder`);
    accessSync(folder, constants.W_OK | constants.X_OK);
    const what = folder === dataDirectory ? 'can be written' : 'will be made';
    return { severity: 'ok', area, where: dataDirectory, what };
  } catch (error) {
    return { severity: 'error', area, where: dataDirectory, what: describeError(error) };
  }
}

function checkPrivileges(config: Config): Finding[] {
  try {
    return checkAccess(config);
  } catch (error) {
    return [{ severity: 'error', area: 'user', where: config.file, what: describeError(error) }];
  }
}
