/**
 * One session with a milter, in step with a client's: whatever the milter has not heard of yet is told before the next
 * step, so that a hook may come first at any stage.
 */
import { mailWords, rcptWords } from 'mailfilter/mail';
import {
  type ActionName,
  actionBits,
  bodyChunkBytes,
  commandLetters,
  type MacroStage,
  type MilterCommand,
  type MilterModification,
  type MilterReply,
  MilterWireError,
  macroStages,
  type StepName,
  stepBits,
  type Terms,
  versionMax,
} from 'mailfilter/milter';
import type { DaemonAddress, HookInput, MessageInput, Recipient, TransactionInput } from 'mailfilter/plugin';

import {
  clientName,
  connectMacros,
  heloMacros,
  mailMacros,
  ofTransaction,
  rcptMacros,
  refusedRcptMacros,
} from './macros.ts';
import { type MessageView, milterValue } from './message-view.ts';
import { MilterSocket } from './milter-socket.ts';

/** What ends a step: anything but `continue`. */
export type Decision = Exclude<MilterReply, { type: 'continue' | 'progress' | 'negotiate' }>;

/** What is asked for at the end of the message, and the last word. */
export interface Outcome {
  readonly modifications: readonly MilterModification[];
  readonly decision: Decision | undefined;
}

const offer: Terms = {
  version: versionMax,
  actions: new Set(Object.keys(actionBits) as ActionName[]),
  steps: new Set(Object.keys(stepBits) as StepName[]),
};

export class ClientSession {
  readonly #socket: MilterSocket;
  readonly #terms: Terms;
  readonly #hostname: string;
  #connected = false;
  #helo = '';
  /** The milter wants to hear no more of this client. */
  #acceptsAll = false;
  #transaction:
    | { readonly id: string; readonly rcpts: Set<string>; data: boolean; accepted: boolean }
    | undefined;

  private constructor(socket: MilterSocket, terms: Terms, hostname: string) {
    this.#socket = socket;
    this.#terms = terms;
    this.#hostname = hostname;
  }

  static async open(address: DaemonAddress, hostname: string, signal: AbortSignal): Promise<ClientSession> {
    const socket = await MilterSocket.open(address, signal);
    try {
      await socket.send({ type: 'negotiate', terms: offer }, signal);
      const reply = await socket.reply(signal);
      if (reply.type !== 'negotiate') throw new MilterWireError(`${reply.type} to the negotiation`);
      return new ClientSession(socket, reply.terms, hostname);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#socket.closed;
  }

  async connect(input: HookInput, signal: AbortSignal): Promise<Decision | undefined> {
    if (this.#connected || this.#acceptsAll) return undefined;
    this.#connected = true;
    const { connection } = input;
    const inet = connection.remoteIp.includes(':') ? 'inet6' : 'inet';
    const command: MilterCommand = {
      type: 'connect',
      hostname: clientName(connection),
      family: connection.remoteIp === '' ? 'unknown' : inet,
      port: connection.remotePort,
      address: connection.remoteIp,
    };
    const macros = connectMacros(connection, this.#hostname);
    return this.#ofConnection(await this.#step(command, macros, 'noConnect', 'noReplyConnect', signal));
  }

  async helo(input: HookInput, signal: AbortSignal): Promise<Decision | undefined> {
    const before = await this.connect(input, signal);
    const { helo } = input.session;
    if (before || helo === '' || helo === this.#helo || this.#acceptsAll) return before;
    this.#helo = helo;
    await this.#abort(signal);
    const command: MilterCommand = { type: 'helo', name: helo };
    const macros = heloMacros(input.session);
    return this.#ofConnection(await this.#step(command, macros, 'noHelo', 'noReplyHelo', signal));
  }

  async mail(input: TransactionInput, signal: AbortSignal): Promise<Decision | undefined> {
    const before = await this.helo(input, signal);
    if (before || this.#acceptsAll || this.#transaction?.id === input.id) return before;
    await this.#abort(signal);
    this.#transaction = { id: input.id, rcpts: new Set(), data: false, accepted: false };
    const { sender } = input.envelope;
    const command: MilterCommand = {
      type: 'mail',
      path: `<${sender}>`,
      arguments: mailWords(input.envelope),
    };
    const macros = mailMacros(input.id, input, sender);
    return this.#ofMessage(await this.#step(command, macros, 'noMail', 'noReplyMail', signal));
  }

  async rcpt(
    input: TransactionInput,
    recipient: Recipient,
    signal: AbortSignal,
  ): Promise<Decision | undefined> {
    const { address } = recipient;
    const before = await this.mail(input, signal);
    if (before || this.#done || this.#transaction!.rcpts.has(address)) return before;
    this.#transaction!.rcpts.add(address);
    const macros = rcptMacros(input.id, address);
    return this.#ofMessage(await this.#step(rcptCommand(recipient), macros, 'noRcpt', 'noReplyRcpt', signal));
  }

  /** Of a recipient who is turned away, for a milter that counts them; what it says to that changes nothing. */
  async refusedRcpt(input: TransactionInput, recipient: Recipient, signal: AbortSignal): Promise<void> {
    if (!this.#terms.steps.has('rejectedRecipients')) return;
    const before = await this.mail(input, signal);
    if (before || this.#done) return;
    const macros = refusedRcptMacros(input.id);
    await this.#step(rcptCommand(recipient), macros, 'noRcpt', 'noReplyRcpt', signal);
  }

  async data(input: TransactionInput, signal: AbortSignal): Promise<Decision | undefined> {
    const before = await this.mail(input, signal);
    if (before || this.#done || this.#transaction!.data) return before;
    this.#transaction!.data = true;
    if (this.#terms.version < 4) return undefined;
    const macros = ofTransaction(input.id);
    return this.#ofMessage(await this.#step({ type: 'data' }, macros, 'noData', 'noReplyData', signal));
  }

  /** Header, body and end. All that came before has been told. */
  async message(input: MessageInput, view: MessageView, signal: AbortSignal): Promise<Outcome> {
    const none: Outcome = { modifications: [], decision: undefined };
    if (this.#done) return none;
    const decision =
      (await this.#sendHeader(input.id, view, signal)) ?? (await this.#sendBody(input, signal));
    if (decision) {
      this.#transaction = undefined;
      if (decision.type !== 'accept') await this.#socket.send({ type: 'abort' }, signal);
      return { modifications: [], decision };
    }
    await this.#sendMacros('endOfMessage', ofTransaction(input.id), signal);
    await this.#socket.send({ type: 'endOfMessage', chunk: Buffer.alloc(0) }, signal);
    const outcome = await this.#readOutcome(signal);
    this.#transaction = undefined;
    return outcome;
  }

  quit(): void {
    this.#socket.quit();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get #done(): boolean {
    return this.#acceptsAll || this.#transaction === undefined || this.#transaction.accepted;
  }

  async #sendHeader(id: string, { fields }: MessageView, signal: AbortSignal): Promise<Decision | undefined> {
    const leadingSpace = this.#terms.steps.has('leadingSpace');
    for (const field of this.#terms.steps.has('noHeaders') ? [] : fields) {
      const value = milterValue(field, leadingSpace);
      // MTAs hand on no field that holds NUL, which would end it here.
      if (value.includes(0)) continue;
      const command: MilterCommand = { type: 'header', name: Buffer.from(field.name, 'latin1'), value };
      const decision = await this.#step(command, undefined, 'noHeaders', 'noReplyHeader', signal);
      if (decision?.type === 'skip') break;
      if (decision) return decision;
    }
    return this.#step(
      { type: 'endOfHeaders' },
      // Older ones know of no macros for this step.
      this.#terms.macros?.endOfHeaders && ofTransaction(id),
      'noEndOfHeaders',
      'noReplyEndOfHeaders',
      signal,
    );
  }

  async #sendBody({ message }: MessageInput, signal: AbortSignal): Promise<Decision | undefined> {
    if (this.#terms.steps.has('noBody')) return undefined;
    for await (const piece of message.body()) {
      const octets = piece as Buffer;
      for (let at = 0; at < octets.length; at += bodyChunkBytes) {
        const chunk = octets.subarray(at, at + bodyChunkBytes);
        const decision = await this.#step(
          { type: 'body', chunk },
          undefined,
          'noBody',
          'noReplyBody',
          signal,
        );
        if (decision?.type === 'skip') return undefined;
        if (decision) return decision;
      }
    }
    return undefined;
  }

  async #readOutcome(signal: AbortSignal): Promise<Outcome> {
    const modifications: MilterModification[] = [];
    for (;;) {
      const reply = await this.#socket.reply(signal);
      if (isModification(reply)) modifications.push(reply);
      else return { modifications, decision: decisionOf(reply) };
    }
  }

  /** One command with its macros, where the milter wants it, and its answer, where there will be one. */
  async #step(
    command: MilterCommand,
    macros: ReadonlyMap<string, string> | undefined,
    declined: StepName,
    noReply: StepName,
    signal: AbortSignal,
  ): Promise<Decision | undefined> {
    if (this.#terms.steps.has(declined)) return undefined;
    if (macros) await this.#sendMacros(command.type, macros, signal);
    await this.#socket.send(command, signal);
    if (this.#terms.steps.has(noReply)) return undefined;
    const reply = await this.#socket.reply(signal);
    if (isModification(reply)) throw new MilterWireError(`${reply.type} before the end of the message`);
    return decisionOf(reply);
  }

  /** Those that the milter named for the step, where it named some; else all there are. */
  async #sendMacros(
    command: MilterCommand['type'],
    macros: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = command in macroStages ? this.#terms.macros?.[command as MacroStage] : undefined;
    const chosen = wanted === undefined ? macros : namedIn(wanted, macros);
    await this.#socket.send({ type: 'macros', for: commandLetters[command], macros: chosen }, signal);
  }

  async #abort(signal: AbortSignal): Promise<void> {
    if (!this.#transaction) return;
    this.#transaction = undefined;
    await this.#socket.send({ type: 'abort' }, signal);
  }

  #ofConnection(decision: Decision | undefined): Decision | undefined {
    if (decision?.type === 'accept') this.#acceptsAll = true;
    return decision?.type === 'accept' ? undefined : decision;
  }

  #ofMessage(decision: Decision | undefined): Decision | undefined {
    if (decision?.type === 'accept' && this.#transaction) this.#transaction.accepted = true;
    return decision?.type === 'accept' ? undefined : decision;
  }
}

function rcptCommand(recipient: Recipient): MilterCommand {
  return { type: 'rcpt', path: `<${recipient.address}>`, arguments: rcptWords(recipient) };
}

/** Single letters may be asked for with braces, and long names without. */
function namedIn(
  wanted: readonly string[],
  macros: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const names = new Set(wanted.map(bareName));
  return new Map([...macros].filter(([name]) => names.has(bareName(name))));
}

function bareName(name: string): string {
  return name.replace(/^\{(.*)\}$/, '$1');
}

const modificationTypes: ReadonlySet<MilterReply['type']> = new Set<MilterModification['type']>([
  'addHeader',
  'insertHeader',
  'changeHeader',
  'changeSender',
  'addRecipient',
  'addRecipientWithArguments',
  'deleteRecipient',
  'replaceBody',
  'quarantine',
]);

function isModification(reply: MilterReply): reply is MilterModification {
  return modificationTypes.has(reply.type);
}

function decisionOf(reply: MilterReply): Decision | undefined {
  if (reply.type === 'continue') return undefined;
  if (reply.type === 'negotiate' || reply.type === 'progress') {
    throw new MilterWireError(`${reply.type} is no answer`);
  }
  return reply;
}
