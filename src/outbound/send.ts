/** One attempt at one destination: its hosts in their order, their addresses, a session with the first that is there. RFC 5321 section 5.1. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import { outboundLimits } from '../../core/base/limits/outbound.ts';
import type { Log } from '../../core/base/log.ts';
import { parseVia, type RelayTarget } from '../../core/config/relay-target.ts';
import { streamRendered } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { planSevenBit, type SevenBitPlan } from '../../core/mail/seven-bit.ts';
import { type SendOutcome, SmtpClient, type SmtpClientOptions } from '../../core/net/smtp-client.ts';
import { unfit } from '../../core/net/smtp-commands.ts';
import { refusal, type SmtpReply } from '../../core/net/smtp-reply.ts';
import { RoutingError } from './hosts.ts';
import type { Outbound, OutboundMail, OutboundResult, RecipientOutcome } from './outbound.ts';
import { outgoingEnvelope, outgoingMessage, takesEightBit } from './outgoing.ts';
import { runPipe } from './pipe.ts';
import { type Place, Places, type PlacesInit } from './places.ts';
import { ConnectionPool, type Pooled } from './pool.ts';
import type { TlsPolicy } from './tls-policy.ts';

export interface OutboundInit extends PlacesInit {
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
  readonly #tried = new Set<Place>();
  /** Looked for only where a host lacks 8BITMIME. */
  #sevenBit: Promise<SevenBitPlan> | undefined;
  /** Nobody else must be asked now. */
  #isOver = false;

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
    await this.#tryPlaces();
    const rest = this.#last ?? ownOutcome(noHost);
    const recipients = this.#outcomes.map((outcome) => outcome ?? rest);
    return { recipients, destination: this.#spoken ? 'up' : this.#tried.size > 0 ? 'down' : 'none' };
  }

  /** Hosts of one preference are equally good: those without 8BITMIME come last, and get the message converted. */
  async #tryPlaces(): Promise<void> {
    const places = new Places(this.#mail, this.#target, this.#init, this.#ca);
    let lacking: Place[] = [];
    try {
      for await (const place of places.find()) {
        if (lacking.length > 0 && lacking[0]!.preference !== place.preference) {
          for (const each of lacking) await this.#try(each, 'seven-bit');
          lacking = [];
        }
        // Its other addresses have no more to offer.
        if (lacking.some(({ host }) => host === place.host)) lacking.push(place);
        else if ((await this.#try(place, 'as-is')) === 'lacks-8bitmime') lacking.push(place);
        if (this.#isOver || this.#tried.size >= outboundLimits.addressesMax) break;
      }
    } catch (error) {
      if (!(error instanceof RoutingError)) throw error;
      this.#note(ownOutcome(error.reply));
    }
    for (const each of lacking) await this.#try(each, 'seven-bit');
  }

  async #try(place: Place, form: Form): Promise<'lacks-8bitmime' | undefined> {
    if (this.#isOver) return undefined;
    if (!this.#tried.has(place) && this.#tried.size >= outboundLimits.addressesMax) return undefined;
    this.#tried.add(place);
    try {
      const lacks = await this.#offer(place, form);
      this.#isOver = this.#open.length === 0;
      return lacks;
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#failed(place, error);
      // Whether it was taken is not known: another host might deliver it a second time, and so might this one later.
      this.#isOver = this.#open.length === 0 || error.facts.afterData === true;
      return undefined;
    }
  }

  /** Speaks to one place; those who got a final answer are no longer open. Throws when the place is of no use. */
  async #offer(place: Place, form: Form): Promise<'lacks-8bitmime' | undefined> {
    const known = this.#pool.take(place.key);
    if (known !== undefined) {
      try {
        return await this.#transact(place, known, form);
      } catch (error) {
        // It was closed while it stood idle: that says nothing of the host.
        if (!(error instanceof OperationalError) || !isStale(error)) throw error;
      }
    }
    return this.#transact(place, { client: await this.#connect(place), uses: 0 }, form);
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

  async #transact(place: Place, pooled: Pooled, form: Form): Promise<'lacks-8bitmime' | undefined> {
    const { client } = pooled;
    const { rendered } = this.#mail;
    this.#spoken = true;
    const indices = this.#open.slice(0, client.limits.rcptMax ?? this.#open.length);
    const envelope = outgoingEnvelope(this.#mail, indices);
    const lacking = unfit(envelope, client.extensions, rendered.length);
    if (lacking !== undefined) {
      // RFC 8689 section 4.2.1: the next host may have what this one lacks.
      this.#giveBack(place, pooled);
      throw refusal(lacking, 'this message');
    }
    try {
      const plan = takesEightBit(client, envelope) ? 'needless' : await this.#planSevenBit();
      if (plan !== 'needless' && form === 'as-is') {
        this.#giveBack(place, pooled);
        return 'lacks-8bitmime';
      }
      pooled.uses += 1;
      const outcome = await client.send(envelope, outgoingMessage(rendered, plan));
      // RFC 5321 section 3.8: who says 421 closes; that is no word about the mail.
      if (outcome.mailFrom.code === 421) throw refusal(outcome.mailFrom, 'MAIL');
      this.#settle(place, client, indices, outcome);
    } catch (error) {
      client.destroy();
      throw error;
    }
    this.#giveBack(place, pooled);
    // RFC 9422: those beyond its limit in a transaction of their own, and those beyond one that it did not tell.
    return this.#open.length > 0 ? this.#offer(place, form) : undefined;
  }

  #giveBack(place: Place, pooled: Pooled): void {
    this.#pool.give(place.key, pooled, this.#init.config.messagesPerConnection);
  }

  #planSevenBit(): Promise<SevenBitPlan> {
    this.#sevenBit ??= planSevenBit(streamRendered(this.#mail.rendered, 'crlf'));
    return this.#sevenBit;
  }

  #settle(place: Place, client: SmtpClient, indices: readonly number[], { recipients }: SendOutcome): void {
    const { tls } = client;
    const reportsOn = client.extensions.has('DSN');
    const someTaken = recipients.some((reply) => outcomeOf(reply) === 'delivered');
    for (const [position, index] of indices.entries()) {
      const reply = recipients[position]!;
      const tooMany = isTooMany(reply);
      // Those are offered again, in a transaction of their own: each takes some, so that there is an end.
      if (tooMany && someTaken) continue;
      this.#outcomes[index] = {
        outcome: tooMany ? 'deferred' : outcomeOf(reply),
        reply,
        remoteMta: place.label,
        reportsOn,
        ...(tls === undefined ? {} : { tls }),
      };
    }
    this.#open = this.#open.filter((index) => this.#outcomes[index] === undefined);
  }

  #failed(place: Place, error: OperationalError): void {
    this.#init.log.debug('outbound-failed', { id: this.#mail.id, remote: place.label, error: error.message });
    const said = replyIn(error);
    const reply: Reply = said ?? {
      code: 451,
      enhanced: error.code === 'smtp-tls' ? '4.7.5' : '4.4.1',
      text: describeError(error),
    };
    this.#note({ outcome: outcomeOf(reply), reply, remoteMta: place.label });
    if (said !== undefined) this.#spoken = true;
  }

  /**
   * A host that refuses at the door refuses for itself alone: mail is given up when all do, and waits where one of them
   * may yet take it. RFC 5321 section 4.2.4.2.
   */
  #note(outcome: RecipientOutcome): void {
    const says = this.#last?.outcome;
    if (says === undefined || says === outcome.outcome || outcome.outcome === 'deferred')
      this.#last = outcome;
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

/** How a host without 8BITMIME gets 8-bit mail: not at all while another one may have it, or converted. */
type Form = 'as-is' | 'seven-bit';

const noHost: Reply = { code: 451, enhanced: '4.4.1', text: 'no host could be reached' };

function ownOutcome(reply: Reply): RecipientOutcome {
  return { outcome: outcomeOf(reply), reply };
}

/** Delivered is a clear 2yz and nothing else. */
function outcomeOf({ code }: Reply): RecipientOutcome['outcome'] {
  if (code >= 200 && code < 300) return 'delivered';
  return code >= 500 && code < 600 ? 'failed' : 'deferred';
}

/** RFC 5321 section 4.5.3.1.10: 552 is an old word for 452 where a server takes no more recipients in one transaction. */
function isTooMany({ code, enhanced, text }: Reply): boolean {
  return (
    (code === 452 || code === 552) &&
    (/^[45]\.5\.3$/.test(enhanced ?? '') || /too many recipients/i.test(text))
  );
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
  // A password that is wrong is the operator's to mend, and no word about the mail.
  if (facts.stage === 'AUTH')
    return { code: 451, enhanced: '4.7.8', text: `login refused: ${String(facts.text)}` };
  const enhanced = typeof facts.enhanced === 'string' ? { enhanced: facts.enhanced } : {};
  return { code: facts.code, ...enhanced, text: String(facts.text) };
}
