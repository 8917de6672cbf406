/** One attempt at one destination: its hosts in their order, their addresses, a session with the first that is there. RFC 5321 section 5.1. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { outboundLimits } from '../../core/base/limits.ts';
import type { Log } from '../../core/base/log.ts';
import type { OutboundConfig } from '../../core/config/config.ts';
import { parseVia, type RelayTarget } from '../../core/config/relay-target.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import { type Rendered, streamRendered } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { type SendOutcome, SmtpClient, type SmtpClientOptions } from '../../core/net/smtp-client.ts';
import type { SmtpReply } from '../../core/net/smtp-reply.ts';
import { addressesOf, type IsOwn, type MailHost, mailHosts, RoutingError } from './hosts.ts';
import type { Lookup } from './lookup.ts';
import type { FindStsPolicy, StsPolicy } from './mta-sts.ts';
import type { Outbound, OutboundMail, OutboundResult, RecipientOutcome } from './outbound.ts';
import { runPipe } from './pipe.ts';
import { ConnectionPool, type Pooled } from './pool.ts';
import { type TlsPolicy, tlsPolicy } from './tls-policy.ts';

export interface OutboundInit {
  readonly hostname: string;
  readonly config: OutboundConfig;
  readonly lookup: Lookup;
  readonly findSts: FindStsPolicy | undefined;
  readonly isOwn: IsOwn;
  readonly log: Log;
  /** Hears how each TLS session went, for reports. */
  readonly onTls?: (event: TlsEvent) => void;
}

/** RFC 8460: one session, good or not, under the policy of its domain. */
export interface TlsEvent {
  readonly domain: string;
  readonly host: string;
  readonly ip: string;
  readonly localIp: string;
  readonly policy: Pick<TlsPolicy, 'source' | 'policyStrings'>;
  readonly stsMx?: readonly string[];
  /** Result type of RFC 8460 section 4.3; absent: success. */
  readonly failure?: string;
  readonly reason?: string;
}

/** A place to connect to. */
interface Place {
  readonly to: SmtpClientOptions['to'];
  /** For people: `mx.example.org [192.0.2.1]`. */
  readonly label: string;
  readonly host: string;
  readonly ip: string;
  readonly policy: TlsPolicy;
  readonly options: Partial<SmtpClientOptions>;
  /** What makes two connections the same. */
  readonly key: string;
  readonly domain?: string;
  readonly sts?: StsPolicy;
}

export function createOutbound(init: OutboundInit): Outbound {
  return new Sender(init);
}

class Sender implements Outbound {
  readonly #init: OutboundInit;
  readonly #pool = new ConnectionPool();
  readonly #ca: readonly string[] | undefined;

  constructor(init: OutboundInit) {
    this.#init = init;
    const { caFile } = init.config;
    this.#ca = caFile === undefined ? undefined : [...rootCertificates, readFileSync(caFile, 'utf8')];
  }

  async send(mail: OutboundMail): Promise<OutboundResult> {
    if (mail.via.startsWith('pipe:')) return this.#pipe(mail);
    const target = parseVia(mail.via);
    if (target === undefined) {
      const reply = { code: 451, enhanced: '4.3.5', text: `no route "${mail.via}" is known here` };
      return forAll(mail, { outcome: 'deferred', reply }, 'none');
    }
    return new Attempt(mail, target, this.#init, this.#pool, this.#ca).run();
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #pipe({ via, sender, recipients, rendered }: OutboundMail): Promise<OutboundResult> {
    const command = JSON.parse(via.slice('pipe:'.length)) as string[];
    const outcomes: RecipientOutcome[] = [];
    for (const { address } of recipients) {
      const reply = await runPipe(command, { sender, recipient: address, rendered });
      outcomes.push({ outcome: outcomeOf(reply), reply });
    }
    return { recipients: outcomes, destination: 'none' };
  }
}

class Attempt {
  readonly #mail: OutboundMail;
  readonly #target: RelayTarget;
  readonly #init: OutboundInit;
  readonly #pool: ConnectionPool;
  readonly #ca: readonly string[] | undefined;
  /** Recipients that are still to be offered, by their place in the mail. */
  #open: number[];
  readonly #outcomes: (RecipientOutcome | undefined)[];
  /** What the last host said that could not serve, for those who stay without an answer. */
  #last: RecipientOutcome | undefined;
  #spoken = false;
  #tried = 0;

  constructor(
    mail: OutboundMail,
    target: RelayTarget,
    init: OutboundInit,
    pool: ConnectionPool,
    ca: readonly string[] | undefined,
  ) {
    this.#mail = mail;
    this.#target = target;
    this.#init = init;
    this.#pool = pool;
    this.#ca = ca;
    this.#open = mail.recipients.map((_, index) => index);
    this.#outcomes = mail.recipients.map(() => undefined);
  }

  async run(): Promise<OutboundResult> {
    try {
      await this.#tryPlaces();
    } catch (error) {
      if (!(error instanceof RoutingError)) throw error;
      // What a host answered before says more than why the next one could not be tried.
      if (error.reply.code >= 500 || this.#last === undefined) this.#last = ownOutcome(error.reply);
    }
    const rest = this.#last ?? ownOutcome(noHost);
    const recipients = this.#outcomes.map((outcome) => outcome ?? rest);
    return { recipients, destination: this.#spoken ? 'up' : this.#tried > 0 ? 'down' : 'none' };
  }

  async #tryPlaces(): Promise<void> {
    for await (const place of this.#places()) {
      if (this.#tried >= outboundLimits.addressesMax) return;
      this.#tried += 1;
      try {
        await this.#offer(place);
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error;
        this.#failed(place, error);
        // Whether it was taken is not known: another host might deliver it a second time, and so might this one later.
        if (error.facts.afterData === true) return;
      }
      if (this.#open.length === 0) return;
    }
  }

  async *#places(): AsyncGenerator<Place> {
    const target = this.#target;
    if (target.kind === 'lmtp') {
      const { to } = target;
      const where = to.kind === 'unix' ? { path: to.path } : { host: to.host, port: to.port };
      const label = to.kind === 'unix' ? to.path : `${to.host}:${to.port}`;
      const options = { protocol: 'lmtp', tls: 'none' } as const;
      yield { to: where, label, host: label, ip: '', policy: noTls, options, key: this.#mail.via };
      return;
    }
    const domain = target.kind === 'mx' ? domainOf(this.#mail.recipients[0]!) : undefined;
    const sts = domain === undefined ? undefined : await this.#init.findSts?.(domain);
    const hosts = domain === undefined ? [relayHost(target)] : await this.#mailHosts(domain);
    let refused: RoutingError | undefined;
    let yielded = false;
    for (const host of hosts) {
      try {
        for (const place of await this.#placesOf(host, target, domain, sts)) {
          yielded = true;
          yield place;
        }
      } catch (error) {
        if (!(error instanceof RoutingError)) throw error;
        if (refused === undefined || refused.reply.code >= 500) refused = error;
      }
    }
    if (refused) throw refused;
    if (!yielded) throw new RoutingError(noAddress);
  }

  #mailHosts(domain: string): Promise<MailHost[]> {
    const { hostname, config, lookup, isOwn } = this.#init;
    return mailHosts(domain, lookup, { name: hostname, port: config.port, is: isOwn });
  }

  async #placesOf(
    host: MailHost,
    target: RelayTarget & { kind: 'mx' | 'host' },
    domain: string | undefined,
    sts: StsPolicy | undefined,
  ): Promise<Place[]> {
    const { config, lookup, isOwn } = this.#init;
    const { ips, secure } = await addressesOf(host.name, lookup);
    const port = target.kind === 'host' ? target.port : config.port;
    if (target.kind === 'host' && ips.some((ip) => isOwn(ip, port))) {
      const text = `${this.#mail.via} leads back to this server`;
      throw new RoutingError({ code: 554, enhanced: '5.4.6', text });
    }
    const own = config.destinations[domain ?? this.#mail.via]?.tls;
    const policy = await tlsPolicy(
      {
        ...(domain === undefined ? {} : { domain }),
        host,
        port,
        addressesSecure: secure,
        ...(sts === undefined ? {} : { sts }),
        requireTls: this.#mail.envelope.requireTls,
        level: own ?? (target.kind === 'host' ? target.tls : config.tls),
        dane: config.dane,
      },
      lookup,
    );
    return ips.map((ip): Place => {
      const key = [ip, port, host.name, policy.level, policy.policyStrings.join(), this.#userOf(target)].join(
        ' ',
      );
      return {
        to: { host: ip, port },
        label: ip === host.name ? `[${ip}]` : `${host.name} [${ip}]`,
        host: host.name,
        ip,
        policy,
        options: { ...this.#tlsOptions(policy, host.name, target), ...this.#authOptions(target) },
        key,
        ...(domain === undefined ? {} : { domain }),
        ...(sts === undefined ? {} : { sts }),
      };
    });
  }

  #userOf(target: RelayTarget): string {
    return target.kind === 'host' ? (target.user ?? '') : '';
  }

  #tlsOptions(policy: TlsPolicy, host: string, target: RelayTarget): Partial<SmtpClientOptions> {
    const implicit = target.kind === 'host' && target.implicitTls;
    const { level } = policy;
    const tls = implicit
      ? 'implicit'
      : level === 'none' || level === 'opportunistic'
        ? level
        : ('starttls' as const);
    return {
      tls,
      serverName: host,
      ...(this.#ca === undefined ? {} : { ca: [...this.#ca] }),
      ...(policy.verifyPeer === undefined ? { anyCertificate: true } : { verifyPeer: policy.verifyPeer }),
    };
  }

  #authOptions(target: RelayTarget): Partial<SmtpClientOptions> {
    if (target.kind !== 'host' || target.user === undefined) return {};
    const { password } = this.#mail;
    if (password === undefined) {
      const text = `no route of the config has the password for ${this.#mail.via}`;
      throw new RoutingError({ code: 451, enhanced: '4.7.8', text });
    }
    // Where the operator wrote tls=none, on the same machine say, the password goes as it is.
    return { auth: { user: target.user, password }, plaintextAuth: target.tls === 'none' };
  }

  /** Speaks to one place; those who got a final answer are no longer open. Throws when the place is of no use. */
  async #offer(place: Place): Promise<void> {
    const known = this.#pool.take(place.key);
    if (known !== undefined) {
      try {
        await this.#transact(place, known);
        return;
      } catch (error) {
        // It was closed while it stood idle: that says nothing of the host.
        if (!(error instanceof OperationalError) || !isStale(error)) throw error;
      }
    }
    await this.#transact(place, { client: await this.#connect(place), uses: 0 });
  }

  async #connect(place: Place): Promise<SmtpClient> {
    const { policy } = place;
    try {
      const client = await this.#session(place, place.options);
      this.#report(place, client);
      return client;
    } catch (error) {
      if (!(error instanceof OperationalError) || error.code !== 'smtp-tls') throw error;
      this.#report(place, undefined, error);
      if (policy.level !== 'opportunistic') throw error;
      // RFC 7435: broken TLS is no worse than none, where nobody asked for it.
      return this.#session(place, { ...place.options, tls: 'none' });
    }
  }

  #session(place: Place, options: Partial<SmtpClientOptions>): Promise<SmtpClient> {
    const { config, hostname } = this.#init;
    const family = isIP(place.ip);
    const localAddress = config.addresses.find((address) => isIP(address) === family);
    return SmtpClient.connect({
      name: config.heloName ?? hostname,
      timeouts: { connectMs: config.connectTimeoutSeconds * 1000 },
      ...(localAddress === undefined ? {} : { localAddress }),
      ...options,
      to: place.to,
    });
  }

  async #transact(place: Place, pooled: Pooled): Promise<void> {
    const { client } = pooled;
    this.#spoken = true;
    const indices = this.#open.slice(0, client.limits.rcptMax ?? this.#open.length);
    try {
      pooled.uses += 1;
      const outcome = await client.send(envelopeOf(this.#mail, indices), {
        length: this.#mail.rendered.length,
        chunks: streamRendered(this.#mail.rendered, 'crlf'),
      });
      this.#settle(place, client, indices, outcome);
    } catch (error) {
      client.destroy();
      throw error;
    }
    this.#pool.give(place.key, pooled, this.#init.config.messagesPerConnection);
    // RFC 9422: those beyond its limit in a transaction of their own.
    if (this.#open.length > 0) await this.#offer(place);
  }

  #settle(place: Place, client: SmtpClient, indices: readonly number[], { recipients }: SendOutcome): void {
    const { tls } = client;
    const reportsOn = client.extensions.has('DSN');
    for (const [position, index] of indices.entries()) {
      const reply = recipients[position]!;
      this.#outcomes[index] = {
        outcome: outcomeOf(reply),
        reply,
        remoteMta: place.label,
        reportsOn,
        ...(tls === undefined ? {} : { tls }),
      };
    }
    this.#open = this.#open.filter((index) => !indices.includes(index));
  }

  #failed(place: Place, error: OperationalError): void {
    this.#init.log.debug('outbound-failed', { id: this.#mail.id, remote: place.label, error: error.message });
    const said = replyIn(error);
    const reply: Reply = said ?? {
      code: 451,
      enhanced: error.code === 'smtp-tls' ? '4.7.5' : '4.4.1',
      text: describeError(error),
    };
    // A host that refuses at the door refuses for itself alone, unless it is the only one. RFC 5321 section 4.2.4.2.
    this.#last = { outcome: outcomeOf(reply), reply, remoteMta: place.label };
    if (said !== undefined) this.#spoken = true;
  }

  #report(place: Place, client: SmtpClient | undefined, error?: OperationalError): void {
    const { domain, host, ip, policy, sts } = place;
    if (domain === undefined) return;
    const failure =
      error === undefined
        ? client?.tls === undefined
          ? 'starttls-not-supported'
          : undefined
        : String(error.facts.result ?? 'validation-failure');
    this.#init.onTls?.({
      domain,
      host,
      ip,
      localIp: client?.localIp ?? '',
      policy,
      ...(sts === undefined ? {} : { stsMx: sts.mx }),
      ...(failure === undefined ? {} : { failure }),
      ...(error === undefined ? {} : { reason: error.message }),
    });
  }
}

const noTls: TlsPolicy = { level: 'none', source: 'config', policyStrings: [] };
/** RFC 3463 X.4.4: unable to route. */
const noAddress: Reply = { code: 550, enhanced: '5.4.4', text: 'no host of the domain has an address' };
const noHost: Reply = { code: 451, enhanced: '4.4.1', text: 'no host could be reached' };

function relayHost(target: RelayTarget): MailHost {
  // The config named it: the way to the name needs no validation.
  return { name: target.kind === 'host' ? target.host : '', preference: 0, secure: true };
}

function domainOf({ address }: Recipient): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}

function ownOutcome(reply: Reply): RecipientOutcome {
  return { outcome: outcomeOf(reply), reply };
}

/** Delivered is a clear 2yz and nothing else. */
function outcomeOf({ code }: Reply): RecipientOutcome['outcome'] {
  if (code >= 200 && code < 300) return 'delivered';
  return code >= 500 && code < 600 ? 'failed' : 'deferred';
}

function forAll(
  mail: OutboundMail,
  outcome: RecipientOutcome,
  destination: OutboundResult['destination'],
): OutboundResult {
  return { recipients: mail.recipients.map(() => outcome), destination };
}

function isStale({ code, facts }: OperationalError): boolean {
  return (
    (code === 'smtp-lost' || (code === 'smtp-refused' && facts.code === 421)) && facts.afterData !== true
  );
}

/** The server's own words, where the error holds them. */
function replyIn({ code, facts }: OperationalError): SmtpReply | undefined {
  if (code !== 'smtp-refused' || typeof facts.code !== 'number') return undefined;
  const enhanced = typeof facts.enhanced === 'string' ? { enhanced: facts.enhanced } : {};
  return { code: facts.code, ...enhanced, text: String(facts.text) };
}

function envelopeOf(mail: OutboundMail, indices: readonly number[]) {
  const { sender, envelope, recipients, rendered } = mail;
  return {
    sender,
    recipients: indices.map((index) => {
      const { address, notify, orcpt } = recipients[index]!;
      return { address, notify, ...(orcpt === undefined ? {} : { orcpt }) };
    }),
    ...asSent(envelope, rendered),
  };
}

/** RFC 6531 section 3.6: what needs no SMTPUTF8 is not held up by a server without it. */
function asSent(
  { body, smtputf8, requireTls, ret, envid }: OutboundMail['envelope'],
  { header }: Rendered,
): Pick<Envelope, 'body' | 'smtputf8' | 'requireTls' | 'ret' | 'envid'> {
  const utf8 = smtputf8 && header.some((chunk) => chunk.some((octet) => octet > 127));
  return {
    body,
    smtputf8: utf8,
    requireTls,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
  };
}
