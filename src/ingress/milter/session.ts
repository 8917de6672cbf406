/**
 * One milter session: an MTA's commands become the flow's questions, the flow's answers become replies. Knows no socket.
 * Nothing is modified before everything is decided: the modifications and the last word are one answer.
 */

import { milterLimits } from '../../../core/base/limits/doors.ts';
import type { Limits } from '../../../core/base/limits/settings.ts';
import type { Log } from '../../../core/base/log.ts';
import { compareForm } from '../../../core/mail/address.ts';
import type { RecipientId } from '../../../core/mail/envelope.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import {
  encodeReply,
  formatReplyLines,
  type MilterCommand,
  type MilterReply,
  MilterWireError,
  type StepName,
  type Terms,
} from '../../../core/net/milter/index.ts';
import type { Connection } from '../../../core/session/connection.ts';
import type { Decision, Keeper } from '../../flow/keeper.ts';
import type { RaisedHooks } from '../../flow/open-session.ts';
import type { Answer, FlowSession, MailFrom, MessageSink, OpenSession } from '../../flow/session.ts';
import { readMail, readRcpt } from './envelope.ts';
import { fieldOctets } from './header-field.ts';
import { Macros } from './macros.ts';
import { type Told, tellMta } from './modifications.ts';
import { termsFor, wantsBody } from './terms.ts';

export interface SessionHost {
  readonly listener: string;
  /** As termsFor's. */
  readonly silent: boolean;
  /** Of the config as it is now. */
  readonly limits: Limits;
  readonly log: Log;
  readonly openSession: OpenSession;
  readonly raisedHooks: RaisedHooks;
  /** No further transaction may begin. */
  readonly draining: boolean;
  /** A connection as the MTA's connect command tells of it. */
  connection(command: MilterCommand & { readonly type: 'connect' }, macros: Macros): Connection;
}

/** What to write; empty where the MTA waits for nothing. */
export type Packets = readonly Buffer[];

interface Transaction {
  readonly mailFrom: MailFrom;
  readonly paths: Map<string, string>;
  dataRaised: boolean;
  sink: MessageSink | undefined;
  inBody: boolean;
  /** The body is larger than may be; what is left of it is let pass unread. */
  tooLarge: boolean;
}

const say = (type: 'continue' | 'discard' | 'skip' | 'tempfail' | 'reject' | 'progress'): Buffer =>
  encodeReply({ type });
const silent: Packets = [];
const proceed: Packets = [say('continue')];
const progress = say('progress');

export class MilterSession {
  readonly #host: SessionHost;
  readonly #write: (packet: Buffer) => void;
  readonly #macros = new Macros();
  #terms: Terms | undefined;
  /** As plugins had it at the negotiation. */
  #wantsBody = true;
  #flow: FlowSession | undefined;
  #transaction: Transaction | undefined;
  /** A refusal at a step whose reply the MTA does not wait for: it answers every later step that it does wait for. */
  #owed: Reply | undefined;
  #told: Told | undefined;

  /** @param write what is said while a command is still worked on */
  constructor(host: SessionHost, write: (packet: Buffer) => void) {
    this.#host = host;
    this.#write = write;
  }

  /** Nothing is under way that the end of the connection would break off. */
  get idle(): boolean {
    return this.#transaction === undefined;
  }

  get negotiated(): boolean {
    return this.#terms !== undefined;
  }

  /** Works on one command after the other. @throws MilterWireError for commands out of order */
  handle(command: MilterCommand): Packets | Promise<Packets> {
    if (command.type === 'negotiate') return this.#negotiate(command.terms);
    const terms = this.#terms;
    if (terms === undefined) throw new MilterWireError(`${command.type} before the negotiation`);
    switch (command.type) {
      case 'macros':
        this.#macros.set(command.for, command.macros);
        return silent;
      case 'connect':
        return this.#connect(command, terms);
      case 'helo':
        return this.#helo(command.name, terms);
      case 'mail':
        return this.#mail(command, terms);
      case 'rcpt':
        return this.#rcpt(command, terms);
      case 'data':
        return this.#data(terms);
      case 'unknown':
        return terms.steps.has('noReplyUnknown') ? silent : proceed;
      case 'header':
        return this.#header(command, terms);
      case 'endOfHeaders':
        return terms.steps.has('noReplyEndOfHeaders') ? silent : proceed;
      case 'body':
        return this.#body(command.chunk, terms);
      case 'endOfMessage':
        return this.#endOfMessage(command.chunk);
      case 'abort':
        this.#abort();
        return silent;
      case 'quitNewConnection':
        return this.#nextSession();
      case 'quit':
        throw new TypeError('the end of the connection is for its owner to see');
    }
  }

  /** The connection is over; resolves when the close hooks have run. */
  async close(reason: Parameters<FlowSession['close']>[0]): Promise<void> {
    this.#abort();
    const flow = this.#flow;
    this.#flow = undefined;
    await flow?.close(reason);
  }

  async #negotiate(offer: Terms): Promise<Packets> {
    if (this.#terms !== undefined) throw new MilterWireError('a second negotiation');
    const raised = await this.#host.raisedHooks(this.#host.listener, 'milter');
    this.#wantsBody = wantsBody(raised);
    this.#terms = termsFor(offer, raised, this.#host.silent);
    return [encodeReply({ type: 'negotiate', terms: this.#terms })];
  }

  async #connect(command: MilterCommand & { type: 'connect' }, terms: Terms): Promise<Packets> {
    if (this.#flow) throw new MilterWireError('a second connect');
    const keeper: Keeper = {
      via: 'milter',
      answersPerRecipient: false,
      receives: false,
      holds: true,
      keep: (decision) => this.#keep(decision),
    };
    this.#flow = this.#host.openSession(this.#host.connection(command, this.#macros), keeper);
    const answer = this.#host.draining ? shuttingDown : await this.#flow.connect();
    if (answer && !this.#speaks('Postfix') && !terms.steps.has('noReplyConnect')) {
      // Sendmail takes a reply code here for a refusal for good, whatever it says.
      return [say(answer.code < 500 ? 'tempfail' : 'reject')];
    }
    return this.#answer(answer, 'noReplyConnect', terms);
  }

  async #helo(name: string, terms: Terms): Promise<Packets> {
    const flow = this.#open();
    this.#abort();
    const protocol = this.#macros.get('tls_version');
    if (protocol) {
      const cipher = this.#macros.get('cipher') ?? '';
      const subject = this.#macros.get('verify') === 'OK' ? this.#macros.get('cert_subject') : undefined;
      flow.secured({ protocol, cipher, ...(subject && { clientSubject: subject }) });
    }
    // The protocol does not tell HELO from EHLO; nearly all clients say the latter.
    return this.#answer(await flow.helo(name, true), 'noReplyHelo', terms);
  }

  async #mail(command: MilterCommand & { type: 'mail' | 'rcpt' }, terms: Terms): Promise<Packets> {
    const flow = this.#open();
    if (this.#transaction) this.#abort({ keepMacros: true });
    if (this.#host.draining) return this.#answer(shuttingDown, 'noReplyMail', terms);
    const user = this.#macros.get('auth_authen');
    if (user) await flow.assume?.(user, this.#macros.get('auth_type') ?? '');
    const mailFrom = readMail(command.path, command.arguments, this.#macros.get('j') ?? '');
    const answer = await flow.mailFrom(mailFrom);
    const refused = answer !== undefined && answer.code >= 400;
    if (!refused || terms.steps.has('noReplyMail')) {
      const begun = { dataRaised: false, sink: undefined, inBody: false, tooLarge: false };
      this.#transaction = { mailFrom, paths: new Map(), ...begun };
    }
    return this.#answer(answer, 'noReplyMail', terms);
  }

  async #rcpt(command: MilterCommand & { type: 'mail' | 'rcpt' }, terms: Terms): Promise<Packets> {
    const transaction = this.#began('RCPT');
    if (this.#owed) return this.#answer(undefined, 'noReplyRcpt', terms);
    const rcptTo = readRcpt(command.path, command.arguments, this.#macros.get('j') ?? '');
    const answer = await this.#open().rcptTo(rcptTo);
    if (!answer || answer.code < 400) transaction.paths.set(compareForm(rcptTo.address), command.path);
    return this.#answer(answer, 'noReplyRcpt', terms);
  }

  async #data(terms: Terms): Promise<Packets> {
    return this.#answer(await this.#raiseData(this.#began('DATA')), 'noReplyData', terms);
  }

  /** Raised once a transaction, whether the MTA has a step for it or not. */
  async #raiseData(transaction: Transaction): Promise<Answer> {
    if (transaction.dataRaised || this.#owed) return undefined;
    transaction.dataRaised = true;
    return this.#open().data();
  }

  #header({ name, value }: MilterCommand & { type: 'header' }, terms: Terms): Packets | Promise<Packets> {
    const octets = fieldOctets(name, value, terms.steps.has('leadingSpace'));
    const reply = terms.steps.has('noReplyHeader') ? silent : proceed;
    const transaction = this.#began('a field');
    if (transaction.inBody) throw new MilterWireError('a field after the body began');
    const written = this.#keepOctets(transaction, octets);
    return written ? written.then(() => reply) : reply;
  }

  #body(chunk: Buffer, terms: Terms): Packets | Promise<Packets> {
    const transaction = this.#began('a body');
    const silence = terms.steps.has('noReplyBody');
    // An MTA that cannot leave out the body is told at its first chunk that nobody wants it.
    if (!this.#wantsBody) return terms.steps.has('skip') ? [say('skip')] : proceed;
    const written = this.#writeBody(transaction, chunk);
    const reply = () => {
      if (silence) return silent;
      return transaction.tooLarge && terms.steps.has('skip') ? [say('skip')] : proceed;
    };
    return written ? written.then(reply) : reply();
  }

  async #endOfMessage(chunk: Buffer): Promise<Packets> {
    const transaction = this.#began('the end of a message');
    const working = setInterval(() => this.#write(progress), milterLimits.progressMs);
    try {
      return await this.#decide(transaction, chunk);
    } finally {
      clearInterval(working);
      transaction.sink?.abort();
      this.#transaction = undefined;
      this.#told = undefined;
      this.#owed = undefined;
      this.#macros.endTransaction();
    }
  }

  async #decide(transaction: Transaction, chunk: Buffer): Promise<Packets> {
    const flow = this.#open();
    const refused = this.#owed ?? (await this.#raiseData(transaction));
    const raised = await this.#host.raisedHooks(this.#host.listener, 'milter');
    // A plugin that came with a reload must not judge a message by a body that was never sent.
    const unread = !this.#wantsBody && wantsBody(raised);
    if (!refused && !unread) await this.#writeBody(transaction, chunk);
    const answer = refused ?? (unread ? changedMeanwhile : transaction.tooLarge ? tooLarge : undefined);
    if (answer) {
      flow.reset();
      return [refusal(answer)];
    }
    const sink = transaction.sink!;
    transaction.sink = undefined;
    const [reply] = await flow.message(await sink.finish());
    const told = this.#told;
    if (reply && reply.code >= 400) return [refusal(reply)];
    // Without a decision nothing was taken over, whatever else is said.
    if (!told) return [say('tempfail')];
    return [...told.modifications, say(told.last)];
  }

  /** The flow hands the message over: what is to be told is worked out, and said once the flow has settled. */
  async #keep(decision: Decision): Promise<ReadonlyMap<RecipientId, Reply>> {
    const { mailFrom, paths } = this.#transaction!;
    const { actions, steps } = this.#terms!;
    const leadingSpace = steps.has('leadingSpace');
    // The MTA's own Received stands above what we see; both Postfix and Sendmail count it.
    this.#told = tellMta(decision, { mailFrom, paths, actions, leadingSpace, indexOffset: 1 });
    const queueId = this.#macros.get('i');
    const text = queueId ? `Ok: goes on as ${queueId}` : 'Ok: goes on';
    return new Map(decision.recipients.map(({ id }) => [id, { code: 250, enhanced: '2.0.0', text }]));
  }

  #writeBody(transaction: Transaction, chunk: Buffer): Promise<void> | undefined {
    const separator = transaction.inBody ? undefined : this.#keepOctets(transaction, crlf);
    transaction.inBody = true;
    if (chunk.length === 0) return separator;
    return separator
      ? separator.then(() => this.#keepOctets(transaction, chunk))
      : this.#keepOctets(transaction, chunk);
  }

  #keepOctets(transaction: Transaction, octets: Buffer): Promise<void> | undefined {
    if (transaction.tooLarge || this.#owed) return undefined;
    transaction.sink ??= this.#open().openMessage();
    if (transaction.sink.length + octets.length <= this.#host.limits.messageBytesMax) {
      return transaction.sink.write(octets) ?? undefined;
    }
    transaction.tooLarge = true;
    transaction.sink.abort();
    transaction.sink = undefined;
    return undefined;
  }

  #answer(answer: Answer, noReply: StepName, terms: Terms): Packets {
    if (terms.steps.has(noReply)) {
      this.#owed ??= answer;
      return silent;
    }
    const refused = this.#owed ?? answer;
    return refused && refused.code >= 400 ? [refusal(refused)] : proceed;
  }

  #abort({ keepMacros = false } = {}): void {
    this.#transaction?.sink?.abort();
    this.#transaction = undefined;
    this.#told = undefined;
    this.#owed = undefined;
    this.#flow?.reset();
    if (!keepMacros) this.#macros.endTransaction();
  }

  async #nextSession(): Promise<Packets> {
    await this.close('quit');
    this.#macros.clear();
    return silent;
  }

  #open(): FlowSession {
    if (!this.#flow) throw new MilterWireError('a command before connect');
    return this.#flow;
  }

  #began(what: string): Transaction {
    if (!this.#transaction) throw new MilterWireError(`${what} before MAIL`);
    return this.#transaction;
  }

  #speaks(mta: string): boolean {
    return this.#macros.get('v')?.startsWith(mta) ?? false;
  }
}

const crlf = Buffer.from('\r\n');
const shuttingDown: Reply = { code: 421, enhanced: '4.3.2', text: 'filter is shutting down' };
const tooLarge: Reply = { code: 552, enhanced: '5.3.4', text: 'message exceeds the size limit' };
const changedMeanwhile: Reply = { code: 451, enhanced: '4.3.5', text: 'filter was reconfigured, try again' };

function refusal(reply: Reply): Buffer {
  const message: MilterReply = { type: 'replyCode', lines: formatReplyLines(reply) };
  return encodeReply(message);
}
