/** Certificates of mail users, each its own authority. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ClientCertificate {
  /** PEM, both. */
  readonly cert: string;
  readonly key: string;
  /** Where `cert` lies until the process ends. */
  readonly certFile: string;
}

/** Names the address as rfc822Name. RFC 5280 section 4.2.1.6. */
export function certifyUser(address: string): ClientCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-user-'));
  process.once('exit', () => rmSync(directory, { recursive: true }));
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const names = ['-subj', '/CN=user', '-addext', `subjectAltName=email:${address}`];
  execFileSync('openssl', ['req', '-x509', ...ec, '-out', certFile, '-days', '2', ...names], {
    stdio: 'ignore',
  });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile };
}
