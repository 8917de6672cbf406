/** Where a mail can be given away: each address of each host of its destination, with how it must be spoken to. RFC 5321 section 5.1. */
import type { OutboundConfig } from '../../core/config/config.ts';
import type { RelayTarget } from '../../core/config/relay-target.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { SmtpClientOptions } from '../../core/net/smtp-client.ts';
import { addressesOf, type IsOwn, type MailHost, mailHosts, RoutingError } from './hosts.ts';
import type { Lookup } from './lookup.ts';
import type { FindStsPolicy, StsPolicy } from './mta-sts.ts';
import type { OutboundMail } from './outbound.ts';
import { type TlsPolicy, tlsPolicy } from './tls-policy.ts';

export interface PlacesInit {
  readonly hostname: string;
  readonly config: OutboundConfig;
  readonly lookup: Lookup;
  readonly findSts: FindStsPolicy | undefined;
  readonly isOwn: IsOwn;
}

/** A place to connect to. */
export interface Place {
  readonly to: SmtpClientOptions['to'];
  /** For people: `mx.example.org [192.0.2.1]`. */
  readonly label: string;
  readonly host: string;
  readonly ip: string;
  /** Of the MX record; 0 where there is none. */
  readonly preference: number;
  readonly policy: TlsPolicy;
  readonly options: Partial<SmtpClientOptions>;
  /** What makes two connections the same. */
  readonly key: string;
  readonly domain?: string;
  readonly sts?: StsPolicy;
}

/** The places where one mail may be given away, the preferred first; looked up as they are asked for. */
export class Places {
  readonly #mail: OutboundMail;
  readonly #target: RelayTarget;
  readonly #init: PlacesInit;
  /** Trusted roots, where the config adds to them. */
  readonly #ca: readonly string[] | undefined;
  readonly #passOver: boolean;

  constructor(mail: OutboundMail, target: RelayTarget, init: PlacesInit, ca: readonly string[] | undefined) {
    this.#mail = mail;
    this.#target = target;
    this.#init = init;
    this.#ca = ca;
    this.#passOver = passesOverPolicies(mail);
  }

  /** @throws RoutingError when there is none, or none that may be used */
  async *find(): AsyncGenerator<Place> {
    const target = this.#target;
    if (target.kind === 'lmtp') {
      const { to } = target;
      const where = to.kind === 'unix' ? { path: to.path } : { host: to.host, port: to.port };
      const label = to.kind === 'unix' ? to.path : `${to.host}:${to.port}`;
      const options = { protocol: 'lmtp', tls: 'none' } as const;
      const place = { to: where, label, host: label, ip: '', preference: 0, policy: noTls, options };
      yield { ...place, key: this.#mail.via };
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
        passOver: this.#passOver,
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
        preference: host.preference,
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
}

const noTls: TlsPolicy = { level: 'none', source: 'config', policyStrings: [] };
/** RFC 3463 X.4.4: unable to route. */
const noAddress: Reply = { code: 550, enhanced: '5.4.4', text: 'no host of the domain has an address' };
function relayHost(target: RelayTarget): MailHost {
  // The config named it: the way to the name needs no validation.
  return { name: target.kind === 'host' ? target.host : '', preference: 0, secure: true };
}

/** RFC 8689 section 3: the field counts where there is one of it, and not beside REQUIRETLS. */
function passesOverPolicies({ envelope, rendered }: OutboundMail): boolean {
  if (envelope.requireTls) return false;
  const header = Buffer.concat(rendered.header).toString('latin1');
  const fields = [...header.matchAll(/^TLS-Required[ \t]*:(.*)$/gim)];
  return fields.length === 1 && fields[0]![1]!.trim().toLowerCase() === 'no';
}

function domainOf({ address }: Recipient): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}
