/** One SMTP or LMTP session without its socket: where it stands, and what happens when a transaction begins or ends. */
import { describeError } from '../../../core/base/errors.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import type { Connection, TlsInfo } from '../../../core/session/connection.ts';
import type { Answer, FlowSession, MailFrom } from '../../flow/session.ts';
import type { ForwardedClient } from './forwarded-client.ts';
import { prdrReplies } from './prdr.ts';
import { type Framing, Reception } from './reception.ts';
import { replies, spoolFailure } from './replies.ts';
import type { CloseReason, DoorSettings, Peer, Wire } from './settings.ts';

/** From an accepted MAIL to the answer for the message, or RSET. */
export interface Transaction {
  readonly mailFrom: MailFrom;
  /** Recipients that were accepted. */
  recipients: number;
  /** RCPT commands so far. */
  attempts: number;
  /** Set from the first BDAT on. */
  bdat: Reception | undefined;
}

/** What arrives next, when it is not a command. */
export type Expected =
  | { readonly kind: 'line'; readonly take: (line: string) => CommandResult }
  | { readonly kind: 'data'; readonly reception: Reception }
  | {
      readonly kind: 'chunk';
      /** Undefined: the octets are dropped. */
      readonly reception: Reception | undefined;
      left: number;
      /** In the door's coarse time. */
      readonly startedMs: number;
      readonly done: () => CommandResult;
    };

/** Undefined where the command has nothing more to say. */
export type CommandResult = Reply | undefined | Promise<Reply | undefined>;

export class SmtpSession {
  readonly door: DoorSettings;
  readonly wire: Wire;
  readonly peer: Peer;
  flow: FlowSession;
  helo = '';
  esmtp = false;
  tls: TlsInfo | undefined;
  user: string | undefined;
  transaction: Transaction | undefined;
  expected: Expected | undefined;
  /** What XFORWARD said of the next transaction's client, and whether the flow's session was opened for such a client. */
  forwarded: ForwardedClient | undefined;
  flowIsForwarded = false;
  /** XCLIENT has put another client in this one's place, who must not do the same. */
  replaced = false;
  authFailures = 0;
  /** The command or message that is being decided; the flow's session is not closed before. */
  busy: Promise<unknown> | undefined;
  /** The message is in and its answer is not known yet: whatever is said meanwhile might be untrue. */
  deciding = false;
  #errors = 0;
  #talkedEarly = false;
  #messages = 0;
  #closed = false;
  readonly #closings: Promise<void>[] = [];

  constructor(door: DoorSettings, wire: Wire, peer: Peer, connection: Connection, tls: TlsInfo | undefined) {
    this.door = door;
    this.wire = wire;
    this.peer = peer;
    this.tls = tls;
    this.flow = door.openSession(connection);
    if (tls !== undefined) this.flow.secured(tls);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Runs the connect hooks and greets, or refuses. */
  async greet(): Promise<void> {
    const refusal = await this.ask(() => this.flow.connect());
    if (this.#closed) return;
    if (refusal !== undefined && refusal.code >= 400) {
      this.wire.reply(refusal);
      this.end('limit');
      return;
    }
    this.sendGreeting();
  }

  /** Once for each client: the flow is told, and nothing is refused. */
  talkedEarly(before: 'greeting' | 'command'): void {
    if (this.#talkedEarly) return;
    this.#talkedEarly = true;
    this.door.log.debug('smtp-early-talker', { id: this.peer.id, ip: this.peer.remoteIp, before });
    this.flow.talkedEarly?.(before);
  }

  sendGreeting(): void {
    // RFC 2034 section 4: the greeting has no enhanced status.
    const service = this.door.lmtp ? 'LMTP' : 'ESMTP';
    this.wire.reply({ code: 220, text: `${this.door.hostname} ${service}` });
    this.wire.flush();
  }

  /** Puts a question to the flow; a flow that throws is a bug, and the answer is 451. */
  async ask(question: () => Promise<Answer>): Promise<Answer> {
    try {
      return await question();
    } catch (error) {
      return this.bug(error);
    }
  }

  bug(error: unknown): Reply {
    this.door.log.error('smtp-bug', {
      id: this.peer.id,
      error: describeError(error),
      stack: error instanceof Error ? (error.stack ?? '') : '',
    });
    return replies.bug;
  }

  /** Sends one reply, counts errors, and closes where the reply says so. */
  answer(reply: Reply): void {
    this.#answerAll([reply]);
  }

  /** All that answer one message go out before any of them ends the session: who misses one sends that copy again. */
  #answerAll(answers: readonly Reply[]): void {
    for (const reply of answers) this.wire.reply(reply);
    if (answers.some(({ code }) => code === 421 || code === 521)) {
      this.end('limit');
      return;
    }
    const errors = answers.filter(({ code }) => code >= 500).length;
    if (errors === 0) return;
    this.#errors += errors;
    if (this.#errors < this.door.limits.errorsPerSessionMax) return;
    this.door.log.info('smtp-too-many-errors', { id: this.peer.id, ip: this.peer.remoteIp });
    this.wire.reply(replies.tooManyErrors);
    this.end('limit');
  }

  /** After every command: a door that is closing lets go of sessions with no transaction. */
  settle(): void {
    if (this.door.draining && this.transaction === undefined && this.expected === undefined) this.shutDown();
  }

  shutDown(): void {
    if (this.#closed) return;
    this.wire.reply(replies.shuttingDown);
    this.end('shutdown');
  }

  /** How long the message that is coming in has been coming in; 0 when none is. */
  get messageAgeMs(): number {
    const { expected } = this;
    const startedMs =
      expected?.kind === 'data'
        ? expected.reception.startedMs
        : (this.transaction?.bdat?.startedMs ??
          (expected?.kind === 'chunk' ? expected.startedMs : undefined));
    return startedMs === undefined ? 0 : this.door.coarseMs - startedMs;
  }

  /** Opens a transaction; the flow has accepted the sender. */
  begin(mailFrom: MailFrom): void {
    this.transaction = { mailFrom, recipients: 0, attempts: 0, bdat: undefined };
  }

  /** Ends a transaction that came to nothing. */
  reset(): void {
    if (this.transaction === undefined) return;
    this.#dropMessage();
    this.transaction = undefined;
    this.flow.reset();
  }

  /** One more message may be sent in this session. */
  countMessage(): boolean {
    this.#messages += 1;
    return this.#messages <= this.door.limits.messagesPerSessionMax;
  }

  /** Asks the flow for a place to write to; a reply where it has none. */
  openReception(framing: Framing): Reception | Reply {
    try {
      const sink = this.flow.openMessage();
      return new Reception(sink, framing, this.door);
    } catch (error) {
      return spoolFailure(error);
    }
  }

  /** The message is in: the flow decides, and each answer is sent. Ends the transaction. */
  async complete(reception: Reception): Promise<undefined> {
    const recipients = this.transaction?.recipients ?? 0;
    const prdr = this.transaction?.mailFrom.prdr === true;
    const wanted = this.door.lmtp || prdr ? recipients : 1;
    if (reception.bareNewlines > 0) {
      this.door.log.info('smtp-bare-newlines', {
        id: this.peer.id,
        ip: this.peer.remoteIp,
        count: reception.bareNewlines,
      });
    }
    this.deciding = true;
    const answers = await this.#decide(reception);
    this.deciding = false;
    this.transaction = undefined;
    if (this.#closed) return;
    // A flow that answers for fewer recipients than there are has not accepted the rest.
    const each = Array.from({ length: wanted }, (_, n) => answers[n] ?? replies.bug);
    this.#answerAll(prdr ? prdrReplies(each) : each);
  }

  async #decide(reception: Reception): Promise<readonly Reply[]> {
    const outcome = await reception.finish();
    if ('refused' in outcome) {
      this.flow.reset();
      return new Array<Reply>(Math.max(1, this.transaction?.recipients ?? 0)).fill(outcome.refused);
    }
    try {
      return await this.flow.message(outcome.spooled);
    } catch (error) {
      this.flow.reset();
      return new Array<Reply>(Math.max(1, this.transaction?.recipients ?? 0)).fill(this.bug(error));
    }
  }

  /** Puts the flow's session for another client in place of the present one; a reply when that client is refused. */
  async reopen(connection: Connection): Promise<Answer> {
    const former = this.flow;
    await former.close('quit').catch((error: unknown) => void this.bug(error));
    this.flow = this.door.openSession(connection);
    if (this.tls !== undefined) this.flow.secured(this.tls);
    const refusal = await this.ask(() => this.flow.connect());
    return refusal !== undefined && refusal.code >= 400 ? refusal : undefined;
  }

  /** Back to where a client is after the handshake: nothing it said in clear holds any more. RFC 3207 section 4.2. */
  secured(tls: TlsInfo): void {
    this.reset();
    this.helo = '';
    this.esmtp = false;
    this.forwarded = undefined;
    this.tls = tls;
    try {
      this.flow.secured(tls);
    } catch (error) {
      // There is no command to answer; a session that the flow takes for one in clear must not go on.
      this.bug(error);
      this.end('lost');
    }
  }

  /** Writes what is to be said and closes the socket. */
  end(reason: CloseReason): void {
    if (this.#closed) return;
    this.wire.end();
    this.close(reason);
  }

  /** The socket is gone or going; a message that is not whole is dropped, one that the flow has is the flow's. */
  close(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropMessage();
    this.expected = undefined;
    this.#closeFlow(reason);
  }

  /** Resolves when the close hooks have run. */
  async ended(): Promise<void> {
    await Promise.all(this.#closings);
  }

  #dropMessage(): void {
    try {
      if (this.expected?.kind === 'data') this.expected.reception.abort();
      this.transaction?.bdat?.abort();
    } catch (error) {
      // Called where sessions end, which must go on.
      this.bug(error);
    }
  }

  #closeFlow(reason: CloseReason): void {
    const { flow } = this;
    const closing = async () => {
      await this.busy;
      await flow.close(reason);
    };
    this.#closings.push(closing().catch((error: unknown) => void this.bug(error)));
  }
}
