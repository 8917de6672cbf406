/** Logging in, the same for all protocols: SASL (RFC 4422) over a wire, failures answered late and counted, by connection and by network. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../core/base/clock.ts';
import { OperationalError } from '../../core/base/errors.ts';
import { accessLimits } from '../../core/base/limits/access.ts';
import { authFailureDelayMs } from '../../core/base/limits/doors.ts';
import type { Log } from '../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { channelBindings } from '../../core/net/channel-bindings.ts';
import { clientKey, type IpMatcher, ipMatcher, isLoopback } from '../../core/net/ip.ts';
import { type SaslExchange, type SaslStep, saslMechanisms, startSasl } from '../../core/net/sasl.ts';
import { Scram, type ScramHash } from '../../core/net/scram.ts';
import type { ScramCandidate } from '../users/scram.ts';
import type { User, Users } from '../users/users.ts';
import type { Wire } from './wire.ts';

export type LoginOutcome =
  | {
      readonly kind: 'user';
      readonly user: User;
      /** What the mechanism says along with success (RFC 4422 section 4), where `ask` could not carry it. */
      readonly data?: Buffer;
    }
  | {
      readonly kind: 'refused';
      readonly reason: LoginRefusal;
      /** For the client. */
      readonly text: string;
      /** One failure too many: say so and end the connection. */
      readonly last: boolean;
    };

export type LoginRefusal =
  | 'credentials'
  | 'cancelled'
  | 'malformed'
  | 'mechanism'
  /** Passwords are taken over TLS only. */
  | 'encryption'
  /** A failure of ours, or too many logins at once: the client may come back. */
  | 'unavailable';

/** Sends a challenge and answers the client's decoded response: `cancel` for its `*`, undefined for what is not base64. */
export type AskClient = (challenge: Buffer) => Promise<Buffer | 'cancel' | undefined>;

export interface LoginsInit {
  readonly users: Users | undefined;
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  /** Instead of the limit of that name. */
  readonly authFailureDelayMs?: number;
}

/** One for all listeners of the process. */
export class Logins {
  readonly #init: LoginsInit;
  #config: Config;
  #trusted: IpMatcher;
  /** Failures by network, oldest first. */
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor(init: LoginsInit) {
    this.#init = init;
    this.#config = init.config;
    this.#trusted = ipMatcher(init.config.trustedNetworks);
  }

  reconfigure(config: Config): void {
    this.#config = config;
    this.#trusted = ipMatcher(config.trustedNetworks);
  }

  /** The login of one connection. */
  begin(wire: Wire, listener: ListenerConfig): Login {
    return new Login(this, wire, listener);
  }

  get log(): Log {
    return this.#init.log;
  }

  get failuresMax(): number {
    return this.#config.limits.authFailuresMax;
  }

  get offersApop(): boolean {
    return this.#init.users?.apop?.isOffered() === true;
  }

  /** Only where it is offered. */
  checkApop(address: string, timestamp: string, digest: string): User | undefined {
    return this.#init.users!.apop!.authenticate(address, timestamp, digest);
  }

  get scramHashes(): readonly ScramHash[] {
    return this.#init.users?.scram?.hashes() ?? [];
  }

  /** Only for a hash that is offered. */
  candidate(address: string, hash: ScramHash): ScramCandidate {
    return this.#init.users!.scram!.candidate(address, hash);
  }

  /** Undefined: not these. Rejects with an OperationalError when passwords cannot be checked now. */
  async check(wire: Wire, address: string, password: string): Promise<User | undefined> {
    return this.#init.users?.authenticate(address, password, this.#networkOf(wire));
  }

  /** Resolves when a failure may be answered: the later, the more of them came from that network. */
  async failed(wire: Wire): Promise<void> {
    const baseMs = this.#init.authFailureDelayMs ?? authFailureDelayMs;
    const delayMs = Math.min(accessLimits.failureDelayMsMax, baseMs * 2 ** (this.#count(wire) - 1));
    // A client that goes away is not waited for.
    await delay(delayMs, undefined, { signal: wire.signal }).catch(() => {});
  }

  /** This failure included. Where one address speaks for many, as a webmail's, it is no reason to make all wait. */
  #count(wire: Wire): number {
    const network = this.#networkOf(wire);
    if (network === undefined) return 1;
    const now = this.#init.clock.monotonicMs();
    const known = this.#failures.get(network);
    const count = known !== undefined && known.until > now ? known.count + 1 : 1;
    this.#failures.delete(network);
    this.#failures.set(network, { count, until: now + accessLimits.failuresMemoryMs });
    if (this.#failures.size > accessLimits.failuresNetworksMax) {
      this.#failures.delete(this.#failures.keys().next().value!);
    }
    return count;
  }

  #networkOf({ peer: { remoteIp } }: Wire): string | undefined {
    const shared = remoteIp === '' || isLoopback(remoteIp) || this.#trusted.matches(remoteIp);
    return shared ? undefined : clientKey(remoteIp);
  }
}

export class Login {
  readonly #logins: Logins;
  readonly #wire: Wire;
  readonly #listener: ListenerConfig;
  #failures = 0;

  constructor(logins: Logins, wire: Wire, listener: ListenerConfig) {
    this.#logins = logins;
    this.#wire = wire;
    this.#listener = listener;
  }

  /** The mechanisms to announce now; none where a password would be seen on the wire. */
  get mechanisms(): readonly string[] {
    if (!this.allowed) return [];
    const scram = this.#logins.scramHashes.map((hash) => `SCRAM-${hash}`);
    const plus = this.#wire.tls === undefined ? [] : scram.map((name) => `${name}-PLUS`);
    return [...plus, ...scram, ...saslMechanisms];
  }

  /** Passwords are taken over TLS, or from this machine where the listener says so. RFC 4954 section 4, RFC 8314. */
  get allowed(): boolean {
    if (!this.#listener.auth) return false;
    if (this.#wire.tls !== undefined) return true;
    const { remoteIp } = this.#wire.peer;
    const onUnixSocket = remoteIp === '' && this.#listener.address.kind === 'unix';
    return this.#listener.authWithoutTls && (onUnixSocket || isLoopback(remoteIp));
  }

  /**
   * @param initial the initial response, decoded; undefined when the command had none
   * @param dataWithSuccess the protocol can carry `data` in its answer; else it is asked as one more challenge
   */
  async authenticate(
    mechanism: string,
    initial: Buffer | undefined,
    ask: AskClient,
    dataWithSuccess = false,
  ): Promise<LoginOutcome> {
    const scram = this.#scram(mechanism.toUpperCase());
    if (scram !== undefined && this.allowed) return this.#proof(scram, initial, ask, dataWithSuccess);
    const exchange = startSasl(mechanism);
    if (exchange === undefined) return refused('mechanism', 'authentication mechanism not supported');
    if (!this.allowed) return encryptionNeeded;
    return this.#exchange(mechanism.toUpperCase(), exchange, exchange.next(initial), ask);
  }

  /** For commands that carry name and password themselves: LOGIN of IMAP, USER and PASS of POP3. */
  async password(method: string, address: string, password: string): Promise<LoginOutcome> {
    if (!this.allowed) return encryptionNeeded;
    try {
      const user = await this.#logins.check(this.#wire, address, password);
      return user === undefined
        ? await this.#fail(method, 'credentials', invalid)
        : this.#enter(method, user);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#logins.log.warn('login-unavailable', { id: this.#wire.peer.id, error: error.message });
      return refused('unavailable', error.clientText);
    }
  }

  /** True when the greeting is to bear a timestamp. RFC 1939 section 7: over TLS alone, as all logins. */
  get offersApop(): boolean {
    return this.allowed && this.#logins.offersApop;
  }

  /** Only where it is offered. @param timestamp of the greeting, angle brackets included */
  async apop(address: string, timestamp: string, digest: string): Promise<LoginOutcome> {
    const user = this.#logins.checkApop(address, timestamp, digest);
    return user === undefined ? this.#fail('APOP', 'credentials', invalid) : this.#enter('APOP', user);
  }

  async #exchange(
    method: string,
    exchange: SaslExchange,
    first: SaslStep,
    ask: AskClient,
  ): Promise<LoginOutcome> {
    for (let step = first; ; ) {
      switch (step.kind) {
        case 'challenge': {
          const response = await ask(step.data);
          if (response === 'cancel') return cancelled;
          if (response === undefined) return this.#fail(method, 'malformed', undecodable);
          step = exchange.next(response);
          break;
        }
        case 'credentials':
          return this.password(method, step.address, step.password);
        case 'forbidden-identity':
          return this.#fail(method, 'credentials', invalid);
        case 'malformed':
          return this.#fail(method, 'malformed', undecodable);
      }
    }
  }

  /** Undefined for what is no SCRAM, or none that is offered. */
  #scram(mechanism: string): { exchange: Scram; hash: ScramHash; method: string } | undefined {
    const hash = this.#logins.scramHashes.find((each) => mechanism.startsWith(`SCRAM-${each}`));
    const plus = mechanism.endsWith('-PLUS');
    if (hash === undefined || mechanism !== `SCRAM-${hash}${plus ? '-PLUS' : ''}`) return undefined;
    const socket = this.#wire.tlsSocket;
    const bindings = socket && channelBindings(socket);
    return { exchange: new Scram({ hash, plus, ...(bindings && { bindings }) }), hash, method: mechanism };
  }

  /** RFC 5802 section 3. The password never comes here, so that there is nothing to hash. */
  async #proof(
    { exchange, hash, method }: { exchange: Scram; hash: ScramHash; method: string },
    initial: Buffer | undefined,
    ask: AskClient,
    dataWithSuccess: boolean,
  ): Promise<LoginOutcome> {
    const opening = initial ?? (await ask(Buffer.alloc(0)));
    if (opening === 'cancel') return cancelled;
    const first = opening && exchange.first(opening);
    if (first === undefined || first.kind === 'malformed')
      return this.#fail(method, 'malformed', undecodable);
    if (first.kind === 'forbidden-identity') return this.#fail(method, 'credentials', invalid);
    const candidate = this.#logins.candidate(first.name, hash);
    const closing = await ask(exchange.challenge(candidate.keys));
    if (closing === 'cancel') return cancelled;
    const final = closing && exchange.final(closing);
    if (final === undefined || final.kind === 'malformed')
      return this.#fail(method, 'malformed', undecodable);
    const user = final.kind === 'proven' ? candidate.confirm() : undefined;
    if (user === undefined || final.kind !== 'proven') return this.#fail(method, 'credentials', invalid);
    if (dataWithSuccess) return { ...this.#enter(method, user), data: final.data };
    const heard = await ask(final.data);
    return heard === 'cancel' ? cancelled : this.#enter(method, user);
  }

  #enter(method: string, user: User): LoginOutcome & { readonly kind: 'user' } {
    const { id, remoteIp } = this.#wire.peer;
    const tls = this.#wire.tls !== undefined;
    this.#logins.log.info('login', { id, ip: remoteIp, user: user.address, method, tls });
    this.#failures = 0;
    return { kind: 'user', user };
  }

  async #fail(method: string, reason: LoginRefusal, text: string): Promise<LoginOutcome> {
    this.#failures += 1;
    const { id, remoteIp } = this.#wire.peer;
    this.#logins.log.warn('login-failed', { id, ip: remoteIp, method, reason });
    await this.#logins.failed(this.#wire);
    return { kind: 'refused', reason, text, last: this.#failures >= this.#logins.failuresMax };
  }
}

/** One text for all who may not enter: it must not tell who exists. */
const invalid = 'authentication failed';
const undecodable = 'cannot decode the response';
const cancelled = refused('cancelled', 'authentication cancelled');
const encryptionNeeded = refused('encryption', 'authentication needs TLS here');

function refused(reason: LoginRefusal, text: string): LoginOutcome {
  return { kind: 'refused', reason, text, last: false };
}
