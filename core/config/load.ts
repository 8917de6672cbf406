/** Reads mailfilter.json into a Config: syntax, schema, secrets, cross checks; every mistake with its place. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { describeFileError, OperationalError } from '../base/errors.ts';
import { cachedAcceptor } from '../plugin/acceptor.ts';
import type { PipelineEntry } from '../plugin/entry.ts';
import type { Config, FetchAccount, ListenerConfig, RouteConfig } from './config.ts';
import { crossCheck } from './cross-check.ts';
import { canonicalDomain } from './domain.ts';
import type { FileConfig, FileListener, FilePipelineEntry, FileRoute } from './file-config.ts';
import { ConfigError, type ConfigProblem, type Finding, findingsOf } from './findings.ts';
import { type JsoncDocument, lineAndColumn, parseJsonc, pointerStep } from './jsonc.ts';
import { formatListenAddress, parseListenAddress, parseNextServer } from './listen-address.ts';
import { offsetOf } from './place.ts';
import { configSchema } from './schema.ts';
import { resolveSecrets } from './secret.ts';

export interface LoadOptions {
  /** Where `{ "env": "NAME" }` looks; process.env when absent. */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * The config of that file, ready for use. Throws a ConfigError that holds every mistake, or an OperationalError
 * `config-unreadable` when the file cannot be read.
 */
export function loadConfig(file: string, options: LoadOptions = {}): Config {
  const path = resolve(file);
  return parseConfig(readText(path), path, options);
}

/** As loadConfig, of text that is at hand; `file` is absolute and need not exist. */
export function parseConfig(text: string, file: string, options: LoadOptions = {}): Config {
  const document = parseJsonc(text);
  const fail = (findings: readonly Finding[]): never => {
    throw new ConfigError(file, placed(findings, document, text, file));
  };
  if (document.problems.length > 0) {
    throw new ConfigError(
      file,
      document.problems.map((problem) => ({ ...problem, file, ...lineAndColumn(text, problem.offset) })),
    );
  }
  const { findings, typed, value } = checkSchema(document.value);
  // The cross checks read the values as typed, so the schema has to hold first; unknown keys do not disturb them.
  if (!typed) fail(findings);
  const written = value as FileConfig;
  const config = toConfig(written, file, options.environment ?? process.env, findings);
  findings.push(...crossCheck(written, config));
  if (findings.length > 0) fail(findings);
  return config;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new OperationalError(
      'config-unreadable',
      `cannot read the config ${path}: ${describeFileError(error)}`,
      {
        temporary: false,
        facts: { path },
        cause: error,
      },
    );
  }
}

/** `value` has every default filled in. `typed`: it is a FileConfig but for keys too many. */
function checkSchema(given: unknown): { findings: Finding[]; typed: boolean; value: unknown } {
  const value = structuredClone(given);
  return cachedAcceptor(configSchema)?.(value) ? { findings: [], typed: true, value } : explain(given);
}

/** As ajv says it, which is loaded only for that. */
function explain(value: unknown): { findings: Finding[]; typed: boolean; value: unknown } {
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof import('ajv');
  const ajv = new Ajv({ allErrors: true, verbose: true, useDefaults: true, allowUnionTypes: true });
  ajv.addVocabulary(['expects']);
  const validate = ajv.compile(configSchema);
  const errors = validate(value) ? [] : (validate.errors ?? []);
  return {
    findings: findingsOf(errors),
    typed: errors.every(({ keyword }) => keyword === 'additionalProperties'),
    value,
  };
}

/** Findings in the order of the file. A value that a default filled in stands where its section stands. */
function placed(
  findings: readonly Finding[],
  document: JsoncDocument,
  text: string,
  file: string,
): ConfigProblem[] {
  const located = findings.map((finding) => ({
    finding,
    offset: offsetOf(document, finding.pointer, finding.atKey),
  }));
  located.sort((left, right) => left.offset - right.offset);
  return located.map(({ finding, offset }) => ({ ...finding, file, ...lineAndColumn(text, offset) }));
}

function toConfig(
  written: FileConfig,
  file: string,
  environment: NodeJS.ProcessEnv,
  findings: Finding[],
): Config {
  const baseDirectory = dirname(file);
  const absolute = (path: string): string => resolve(baseDirectory, path);
  const dataDirectory = absolute(written.dataDirectory);
  const domains = [...new Set(written.domains.map((domain) => canonicalDomain(domain) ?? domain))];
  const { users, tls, user } = written;
  return {
    file,
    baseDirectory,
    hostname: canonicalDomain(written.hostname) ?? written.hostname,
    dataDirectory,
    ...(user === undefined ? {} : { user }),
    domains,
    listeners: Object.entries(written.listeners).map(([name, listener]) =>
      toListener(name, listener, written, baseDirectory),
    ),
    pipelines: toPipelines(written, { baseDirectory, environment }, findings),
    sendPipeline: written.sendPipeline,
    ...(users === undefined ? {} : { users: { file: absolute(users.file) } }),
    mailbox: toMailbox(written, baseDirectory, dataDirectory),
    routes:
      written.routes?.map((route, index) =>
        toRoute(route, `/routes/${index}`, { baseDirectory, environment }, findings),
      ) ?? defaultRoutes(domains),
    queue: written.queue,
    outbound: toOutbound(written.outbound, absolute),
    fetch: toFetch(written, { baseDirectory, environment }, findings),
    durability: written.durability,
    journal: written.journal,
    bareNewlines: written.bareNewlines,
    dns: written.dns,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...{ ...tls, certFile: absolute(tls.certFile), keyFile: absolute(tls.keyFile) },
            ...(tls.clientCaFile !== undefined && { clientCaFile: absolute(tls.clientCaFile) }),
          },
        }),
    trustedNetworks: written.trustedNetworks,
    proxyFrom: written.proxyFrom,
    xclientFrom: written.xclientFrom,
    limits: written.limits,
    processes: { ...written.processes, threads: written.processes.threads ?? defaultThreads() },
    state: written.state,
    trace: written.trace,
    log: {
      level: written.log.level,
      ...(written.log.file === undefined ? {} : { file: absolute(written.log.file) }),
    },
  };
}

function toMailbox(written: FileConfig, baseDirectory: string, dataDirectory: string): Config['mailbox'] {
  const { path, sieve, procmail, ...rest } = written.mailbox;
  const scripts = mailboxTemplate(sieve.directory ?? `${dataDirectory}/sieve/{domain}/{user}`, baseDirectory);
  return {
    ...rest,
    path: mailboxTemplate(path ?? `${dataDirectory}/mail/{domain}/{user}`, baseDirectory),
    sieve: {
      ...sieve,
      directory: scripts,
      active: mailboxTemplate(sieve.active ?? `${scripts}/.dovecot.sieve`, baseDirectory),
    },
    procmail: {
      rcfile: mailboxTemplate(
        procmail.rcfile ?? `${dataDirectory}/procmail/{domain}/{user}/.procmailrc`,
        baseDirectory,
      ),
    },
  };
}

/** One processor is left to the sockets and the journal. */
function defaultThreads(): number {
  return Math.min(8, Math.max(1, availableParallelism() - 1));
}

const implicitTlsPorts: ReadonlySet<number> = new Set([465, 993, 995]);

function toListener(
  name: string,
  listener: FileListener,
  written: FileConfig,
  baseDirectory: string,
): ListenerConfig {
  const { protocol, socketMode, socketOwner, next, pipeline } = listener;
  // The cross checks have reported what does not parse.
  const unparsed = { kind: 'unix', path: listener.address } as const;
  const address = parseListenAddress(listener.address, baseDirectory) ?? unparsed;
  const nextAddress = next === undefined ? undefined : parseNextServer(next, baseDirectory);
  return {
    name,
    protocol,
    address:
      address.kind === 'tcp'
        ? address
        : {
            ...address,
            ...(socketMode === undefined ? {} : { mode: Number.parseInt(socketMode, 8) }),
            ...(socketOwner === undefined ? {} : { owner: socketOwner }),
          },
    tls: listener.tls ?? defaultTls(protocol, address.kind === 'tcp' ? address.port : 0, written),
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(nextAddress === undefined ? {} : { next: nextAddress }),
    auth: listener.auth ?? authByDefault.has(protocol),
    authWithoutTls: listener.authWithoutTls,
    earlyTalkerDelayMs: listener.earlyTalkerDelayMs,
    futureReleaseSecondsMax:
      listener.futureReleaseSecondsMax ?? (protocol === 'submission' ? futureReleaseSecondsDefault : 0),
    deliverBy: listener.deliverBy ?? takesMail.has(protocol),
    priorities: listener.priorities ?? takesMail.has(protocol),
  };
}

/** A home is absolute already, whosever it is. */
function mailboxTemplate(path: string, baseDirectory: string): string {
  return path.startsWith('{home}') ? path : resolve(baseDirectory, path);
}

/** Doors behind which our own queue stands. */
const takesMail: ReadonlySet<string> = new Set(['smtp', 'submission', 'lmtp']);
const futureReleaseSecondsDefault = 30 * 86_400;
const authByDefault: ReadonlySet<string> = new Set(['submission', 'imap', 'pop3', 'managesieve']);
const withoutTlsByDefault: ReadonlySet<string> = new Set([
  'lmtp',
  'milter',
  'content-filter',
  'proxy-filter',
]);

function defaultTls(
  protocol: ListenerConfig['protocol'],
  port: number,
  written: FileConfig,
): ListenerConfig['tls'] {
  if (written.tls === undefined || withoutTlsByDefault.has(protocol)) return 'none';
  return implicitTlsPorts.has(port) ? 'implicit' : 'starttls';
}

function toPipelines(
  written: FileConfig,
  source: { baseDirectory: string; environment: NodeJS.ProcessEnv },
  findings: Finding[],
): Record<string, PipelineEntry[]> {
  return Object.fromEntries(
    Object.entries(written.pipelines).map(([name, entries]) => [
      name,
      entries.map((entry, index) => {
        const pointer = `/pipelines${pointerStep(name)}${pointerStep(index)}`;
        return toPipelineEntry(entry, pointer, source, findings);
      }),
    ]),
  );
}

const entryDefaults = { onFailure: 'tempfail', timeoutSeconds: 30, shadow: false } as const;

function toPipelineEntry(
  entry: string | FilePipelineEntry,
  pointer: string,
  source: { baseDirectory: string; environment: NodeJS.ProcessEnv },
  findings: Finding[],
): PipelineEntry {
  const {
    plugin,
    options = {},
    ...rest
  } = typeof entry === 'string' ? { ...entryDefaults, plugin: entry } : entry;
  return {
    ...rest,
    plugin: /^[./]/.test(plugin) ? resolve(source.baseDirectory, plugin) : plugin,
    options: resolveSecrets(options, `${pointer}/options`, source, findings),
  };
}

function toOutbound(
  { caFile, destinations, ...rest }: FileConfig['outbound'],
  absolute: (path: string) => string,
): Config['outbound'] {
  const named = Object.entries(destinations).map(([name, each]) => [canonicalDomain(name) ?? name, each]);
  return {
    ...rest,
    destinations: Object.fromEntries(named),
    ...(caFile === undefined ? {} : { caFile: absolute(caFile) }),
  };
}

function toFetch({ fetch }: FileConfig, place: SecretPlace, findings: Finding[]): FetchAccount[] {
  return Object.entries(fetch.accounts).map(([name, { caFile, port, password, ...rest }]) => {
    const pointer = `/fetch/accounts${pointerStep(name)}`;
    const secrets = resolveSecrets({ password }, pointer, place, findings);
    const usual = rest.protocol === 'pop3' ? { implicit: 995, other: 110 } : { implicit: 993, other: 143 };
    return {
      ...rest,
      name,
      port: port ?? (rest.tls === 'implicit' ? usual.implicit : usual.other),
      password: typeof secrets.password === 'string' ? secrets.password : '',
      ...(caFile === undefined ? {} : { caFile: resolve(place.baseDirectory, caFile) }),
    };
  });
}

type SecretPlace = { readonly baseDirectory: string; readonly environment: NodeJS.ProcessEnv };

function toRoute(route: FileRoute, pointer: string, place: SecretPlace, findings: Finding[]): RouteConfig {
  // Within an object, since a reference at the top is never taken for one.
  const secrets =
    route.password === undefined
      ? {}
      : resolveSecrets({ password: route.password }, pointer, place, findings);
  const action = toAction(route, secrets.password, place.baseDirectory);
  return { to: canonicalPattern(route.to), from: canonicalPattern(route.from), action };
}

/** The domain of a pattern as it is compared; words without a domain as they are. */
function canonicalPattern(pattern: string): string {
  const [, local = '', dot = '', domain = ''] = /^(.*)@(\.?)([^@]+)$/.exec(pattern) ?? [];
  const canonical = canonicalDomain(domain);
  return canonical === undefined ? pattern : `${local}@${dot}${canonical}`;
}

function toAction(route: FileRoute, password: unknown, baseDirectory: string): RouteConfig['action'] {
  if (route.reject !== undefined) {
    const [, code, enhanced, text] = /^(\d{3}) (\S+) (.*)$/.exec(route.reject) ?? [];
    return { kind: 'reject', code: Number(code), enhanced: enhanced ?? '', text: text ?? '' };
  }
  if (route.relay !== undefined) {
    return { kind: 'relay', via: route.relay, ...(typeof password === 'string' ? { password } : {}) };
  }
  const lmtp = route.lmtp ?? /^lmtp:(.+)$/.exec(route.deliver ?? '')?.[1];
  if (lmtp !== undefined) {
    const to = parseListenAddress(lmtp, baseDirectory);
    // The cross checks have reported what does not parse.
    return { kind: 'lmtp', to: to === undefined ? lmtp : formatListenAddress(to) };
  }
  if (route.pipe !== undefined) return { kind: 'pipe', command: route.pipe };
  return { kind: 'mailbox' };
}

/** RFC 5321 section 3.6: without a word from the operator nothing is relayed. */
function defaultRoutes(domains: readonly string[]): RouteConfig[] {
  return [
    ...domains.map((domain): RouteConfig => ({ to: `@${domain}`, from: 'any', action: { kind: 'mailbox' } })),
    {
      to: '*',
      from: 'any',
      action: { kind: 'reject', code: 550, enhanced: '5.7.1', text: 'relaying denied' },
    },
  ];
}
