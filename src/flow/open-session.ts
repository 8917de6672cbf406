/** A client's session before its messages: connect, helo, auth, MAIL and RCPT, each judged by the core first and by the plugins after. */
import { OperationalError } from '../../core/base/errors.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { clientKey, isLoopback } from '../../core/net/ip.ts';
import type { ScramHash } from '../../core/net/scram.ts';
import {
  emptyPipelineState,
  type PipelineRequest,
  type PipelineState,
  type TraceEntry,
} from '../../core/pipeline/request.ts';
import type { Connection, Session, TlsInfo } from '../../core/session/connection.ts';
import { type DoorName, doors, type HookName } from '../../core/session/powers.ts';
import type { User } from '../users/users.ts';
import { raiseInTransaction, refusalOf } from './hooks.ts';
import type { House } from './house.ts';
import type { Keeper } from './keeper.ts';
import { admitRecipient } from './recipients.ts';
import type {
  Answer,
  FlowSession,
  KnownMail,
  MailFrom,
  MessageSink,
  OpenSession,
  RcptTo,
  ScramLogin,
  SpooledMessage,
} from './session.ts';
import { sessionUser } from './session-user.ts';
import { leaveTrace } from './trace.ts';
import { transact } from './transact.ts';
import { beginTransaction, newTransactionId, type Transaction } from './transaction.ts';

/**
 * `current` is asked at every connection and transaction, so that a reload takes effect with the next one.
 * @param ready who connects before it resolves waits for the greeting
 */
export function createOpenSession(current: () => House, ready: Promise<unknown>): OpenSession {
  return (connection, keeper) => new ClientSession(current, connection, keeper, ready);
}

/** The hooks that a listener's pipeline has, of those its door raises: what nobody asks for, a door need not wait for. */
export type RaisedHooks = (listener: string, door: DoorName) => Promise<ReadonlySet<HookName>>;

/** @param ready as createOpenSession's */
export function createRaisedHooks(current: () => House, ready: Promise<unknown>): RaisedHooks {
  return async (listener, door) => {
    await ready;
    const { config, pipelines } = current();
    const pipeline = config.listeners.find(({ name }) => name === listener)?.pipeline;
    if (pipeline === undefined) return new Set();
    return new Set(doors[door].hooks.filter((hook) => pipelines.has(pipeline, hook)));
  };
}

/** What connect, helo and auth hooks left; each transaction begins with it. */
interface Left {
  readonly state: PipelineState;
  readonly trace: readonly TraceEntry[];
  readonly discard: string | undefined;
}
const nothingLeft: Left = { state: emptyPipelineState, trace: [], discard: undefined };

class ClientSession implements FlowSession {
  readonly connection: Connection;
  readonly #current: () => House;
  readonly #keeper: Keeper | undefined;
  readonly #ready: Promise<unknown>;
  #pipeline: string | undefined;
  #session: Session = { helo: '', esmtp: false };
  #left = nothingLeft;
  /** As it was before HELO, which a client may say again: nothing of it counts twice. */
  #leftByConnect = nothingLeft;
  #transaction: Transaction | undefined;

  constructor(
    current: () => House,
    connection: Connection,
    keeper: Keeper | undefined,
    ready: Promise<unknown>,
  ) {
    this.#current = current;
    this.connection = connection;
    this.#keeper = keeper;
    this.#ready = ready;
  }

  async connect(): Promise<Answer> {
    await this.#ready;
    const { listeners, sendPipeline, pipelines } = this.#current().config;
    // What this machine's own programs send goes the way of all that we send.
    const own = this.connection.door === 'pipe' && sendPipeline in pipelines ? sendPipeline : undefined;
    this.#pipeline = own ?? listeners.find(({ name }) => name === this.connection.listener)?.pipeline;
    const answer = await this.#raise('connect');
    this.#leftByConnect = this.#left;
    return answer;
  }

  talkedEarly(before: 'greeting' | 'command'): void {
    this.#session = { talkedEarly: before, ...this.#session };
  }

  async helo(name: string, esmtp: boolean): Promise<Answer> {
    this.reset();
    // A login outlives another EHLO, and so does what was found out about it.
    if (this.#session.user === undefined) this.#left = this.#leftByConnect;
    this.#session = { ...this.#session, helo: name, esmtp };
    return this.#raise('helo');
  }

  secured(tls: TlsInfo): void {
    // RFC 3207 section 4.2: what was learnt before the handshake is forgotten.
    this.reset();
    this.#left = this.#leftByConnect;
    const { talkedEarly } = this.#session;
    this.#session = { helo: '', esmtp: false, tls, ...(talkedEarly && { talkedEarly }) };
  }

  async authenticate(
    method: string,
    address: string,
    password: string,
  ): Promise<{ user: string } | { refused: Reply }> {
    const user = await this.#check(address, password);
    if (user === 'busy') {
      // RFC 4954 section 6: a failure of ours is not the client's.
      return {
        refused: { code: 454, enhanced: '4.7.0', text: 'passwords cannot be checked now, try again later' },
      };
    }
    return user ? this.#enter(user.address, method) : this.#wrong(method);
  }

  readonly scram = {
    hashes: () => this.#current().users?.scram?.hashes() ?? [],
    candidate: (address: string, hash: ScramHash): ScramLogin => {
      const candidate = this.#current().users!.scram!.candidate(address, hash);
      return {
        keys: candidate.keys,
        conclude: async (method, proven) => {
          const user = proven ? candidate.confirm() : undefined;
          return user ? this.#enter(user.address, method) : this.#wrong(method);
        },
      };
    },
  };

  #wrong(method: string): { refused: Reply } {
    this.#current().log.warn('auth-failed', {
      connection: this.connection.id,
      ip: this.connection.remoteIp,
      method,
    });
    return { refused: { code: 535, enhanced: '5.7.8', text: 'authentication credentials invalid' } };
  }

  async assume(user: string, method = 'XCLIENT'): Promise<{ user: string } | { refused: Reply }> {
    if (this.#keeper) {
      this.#session = { ...this.#session, user, authMethod: method };
      return { user };
    }
    const known = this.#current().users?.find(user)?.user;
    const address = known && sessionUser(this.#current(), known.address)?.address;
    if (address) return this.#enter(address, method);
    return { refused: { code: 535, enhanced: '5.7.8', text: 'no such user here' } };
  }

  async mailFrom(
    { prdr = false, priorityLowered: _, ...mailFrom }: MailFrom,
    known?: KnownMail,
  ): Promise<Answer> {
    this.reset();
    const house = this.#current();
    const refused = this.#refuseSender(house, mailFrom.sender);
    if (refused) return refused;
    const startedAt = known?.at ?? house.clock.now();
    const transaction = beginTransaction(
      {
        id: known?.id ?? newTransactionId(startedAt),
        house,
        connection: this.connection,
        session: this.#session,
        pipeline: this.#pipeline,
        startedAt,
        envelope: { ...mailFrom, recipients: [], ...this.#origin() },
      },
      {
        ...this.#left,
        trace: [...this.#left.trace],
        keeper: this.#keeper,
        prdr,
        repeated: known?.repeated ?? false,
      },
    );
    this.#transaction = transaction;
    const refusal = await raiseInTransaction(transaction, 'mailFrom');
    // Mail that is dropped goes nowhere.
    const asked = refusal === undefined && transaction.discard === undefined ? this.#keeper : undefined;
    const answer = note(transaction, '', refusal ?? (await asked?.begin?.(transaction)));
    if (answer) this.reset();
    return answer;
  }

  async rcptTo(rcptTo: RcptTo): Promise<Answer> {
    const transaction = this.#transaction!;
    return note(transaction, rcptTo.address, await admitRecipient(transaction, rcptTo));
  }

  async data(): Promise<Answer> {
    const transaction = this.#transaction!;
    return note(transaction, '', await raiseInTransaction(transaction, 'data'));
  }

  openMessage(): MessageSink {
    return this.#transaction!.house.openSink();
  }

  async message(spooled: SpooledMessage): Promise<readonly Reply[]> {
    const transaction = this.#transaction!;
    this.#transaction = undefined;
    try {
      return await transact(transaction, spooled);
    } finally {
      this.#keeper?.abandon?.();
      transaction.house.pipelines.forget(transaction.id);
    }
  }

  reset(): void {
    const transaction = this.#transaction;
    if (!transaction) return;
    this.#transaction = undefined;
    this.#keeper?.abandon?.();
    // What was refused before its message has a story too; what the client merely gave up has none.
    const last = transaction.refusals.at(-1);
    if (last) leaveTrace(transaction, 0, [last.reply], new Map());
    transaction.house.pipelines.forget(transaction.id);
  }

  async close(reason: 'quit' | 'lost' | 'timeout' | 'limit' | 'shutdown'): Promise<void> {
    this.reset();
    // A connection that ended before the house stood was never seen by a plugin.
    if (this.#pipeline === undefined) return;
    const { pipelines } = this.#current();
    if (pipelines.has(this.#pipeline, 'close')) {
      // close observes: what it answers changes nothing.
      await pipelines.run({ ...this.#request('close'), reason });
    }
    pipelines.forget(this.connection.id);
  }

  async #check(address: string, password: string): Promise<User | undefined | 'busy'> {
    const { users, log } = this.#current();
    try {
      return await users?.authenticate(address, password, this.#clientKey());
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      log.warn('auth-unavailable', {
        connection: this.connection.id,
        code: error.code,
        error: error.message,
      });
      return 'busy';
    }
  }

  /** Undefined where one address speaks for many, as that of a webmail on this machine. */
  #clientKey(): string | undefined {
    const { remoteIp, trusted } = this.connection;
    return remoteIp === '' || trusted || isLoopback(remoteIp) ? undefined : clientKey(remoteIp);
  }

  /** The auth hooks have the last word. */
  async #enter(user: string, authMethod: string): Promise<{ user: string } | { refused: Reply }> {
    const before = this.#session;
    this.#session = { ...before, user, authMethod };
    const refused = await this.#raise('auth');
    if (!refused) return { user };
    this.#session = before;
    return { refused };
  }

  /** Kept with the mail until it leaves: what signs it then asks whose it is. */
  #origin(): Pick<Envelope, 'origin'> {
    if (this.#session.user !== undefined) return { origin: 'user' };
    return this.connection.trusted ? { origin: 'trusted' } : {};
  }

  /** Rules of the house that come before any plugin. */
  #refuseSender(house: House, sender: string): Answer {
    // Who may write as whom is decided where the users are.
    if (this.#keeper) return undefined;
    const { door, trusted } = this.connection;
    if (door === 'submission' && this.#session.user === undefined && !trusted) {
      return { code: 530, enhanced: '5.7.0', text: 'authentication required' };
    }
    if (this.#session.user === undefined) return undefined;
    const user = sessionUser(house, this.#session.user);
    if (user && (sender === '' || house.users!.owns(user, sender))) return undefined;
    return { code: 553, enhanced: '5.7.1', text: `sender address is not one of ${this.#session.user}` };
  }

  /** Raises a hook of the connection; what it leaves stays for every transaction. */
  async #raise(stage: HookName): Promise<Answer> {
    const { pipelines } = this.#current();
    if (!this.#pipeline || !pipelines.has(this.#pipeline, stage)) return undefined;
    const outcome = await pipelines.run(this.#request(stage));
    const { verdict } = outcome;
    this.#left = {
      state: outcome.state,
      trace: [...this.#left.trace, ...outcome.trace],
      discard: this.#left.discard ?? (verdict.action === 'discard' ? verdict.reason : undefined),
    };
    const refused = refusalOf(verdict);
    if (refused) leaveTrace(this.#withoutMail(), 0, [refused], new Map());
    return refused;
  }

  /** What the trace of a connection that was refused is made of. */
  #withoutMail(): Transaction {
    const house = this.#current();
    const startedAt = this.connection.openedAt;
    const [connection, session, pipeline] = [this.connection, this.#session, this.#pipeline];
    const beginning = {
      id: connection.id,
      house,
      connection,
      session,
      pipeline,
      startedAt,
      envelope: noEnvelope,
    };
    return beginTransaction(beginning, { trace: [...this.#left.trace] });
  }

  #request(stage: HookName): PipelineRequest {
    return {
      pipeline: this.#pipeline!,
      stages: [stage],
      id: this.connection.id,
      connection: this.connection,
      session: this.#session,
      state: this.#left.state,
    };
  }
}

const noEnvelope: Envelope = { sender: '', recipients: [], body: '7bit', smtputf8: false, requireTls: false };

function note(transaction: Transaction, to: string, answer: Answer): Answer {
  const { refusals, house } = transaction;
  if (answer && refusals.length < house.config.limits.recipientsMax) refusals.push({ to, reply: answer });
  return answer;
}
