/** Certificates of a server: one context per server name (RFC 6066), exchanged while connections go on. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { describeError, OperationalError } from '../base/errors.ts';

export interface CertificateFiles {
  /** PEM, leaf first. Absolute. */
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TlsSettings extends CertificateFiles {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** PEM, absolute: who signs certificates of clients, where these are asked for. */
  readonly clientCaFile?: string;
  /** Further certificates, each used for the DNS names it holds. */
  readonly more?: readonly CertificateFiles[];
}

/** Certificates as they are now; new handshakes use what the last successful `reload` read. */
export class TlsContexts {
  #settings: TlsSettings;
  #contexts: Contexts;

  /** @throws OperationalError `tls-certificate` that names the file. */
  constructor(settings: TlsSettings) {
    this.#settings = settings;
    this.#contexts = readContexts(settings);
  }

  /** The context for the name that the client asked for; the first certificate where none fits. */
  context(serverName?: string): SecureContext {
    if (!serverName) return this.#contexts.fallback;
    const name = serverName.toLowerCase();
    const wildcard = `*${name.slice(name.indexOf('.'))}`;
    return this.#contexts.byName.get(name) ?? this.#contexts.byName.get(wildcard) ?? this.#contexts.fallback;
  }

  /** Reads all files again, those of a new config if one is given. On an error all stays as it is. @throws OperationalError `tls-certificate`. */
  reload(settings: TlsSettings = this.#settings): void {
    this.#contexts = readContexts(settings);
    this.#settings = settings;
  }
}

interface Contexts {
  readonly fallback: SecureContext;
  readonly byName: ReadonlyMap<string, SecureContext>;
}

function readContexts(settings: TlsSettings): Contexts {
  const byName = new Map<string, SecureContext>();
  const all = [settings, ...(settings.more ?? [])].map((files) => {
    const { context, names } = readContext(files, settings);
    for (const name of names) if (!byName.has(name)) byName.set(name, context);
    return context;
  });
  return { fallback: all[0]!, byName };
}

function readContext(files: CertificateFiles, { minVersion, clientCaFile }: TlsSettings) {
  try {
    const cert = readFileSync(files.certFile);
    const key = readFileSync(files.keyFile);
    const leaf = new X509Certificate(cert);
    // OpenSSL drops the certificate without a word when the key is another's, and every handshake fails.
    if (!leaf.checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key belongs to another certificate');
    const ca = clientCaFile === undefined ? {} : { ca: readFileSync(clientCaFile) };
    return { context: createSecureContext({ cert, key, minVersion, ...ca }), names: dnsNames(leaf) };
  } catch (cause) {
    throw new OperationalError(
      'tls-certificate',
      `cannot use certificate ${files.certFile} with key ${files.keyFile}: ${describeError(cause)}`,
      { temporary: false, cause, facts: { certFile: files.certFile, keyFile: files.keyFile } },
    );
  }
}

function dnsNames(certificate: X509Certificate): string[] {
  const alternatives = certificate.subjectAltName ?? '';
  return [...alternatives.matchAll(/DNS:([^,\s"]+)/g)].map((match) => match[1]!.toLowerCase());
}
