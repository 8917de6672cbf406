/**
 * A client of SMTP (RFC 5321) and LMTP (RFC 2033): TLS, AUTH, PIPELINING, CHUNKING, DSN, SMTPUTF8, an answer per recipient.
 * A recipient counts as served by a 2yz after the data and by nothing else.
 */
import { OperationalError } from '../base/errors.ts';
import { encodeXtext } from '../base/xtext.ts';
import { authenticate, type SmtpCredentials } from './smtp-auth.ts';
import { SmtpChannel, type SmtpChannelOptions, type SmtpStage } from './smtp-channel.ts';
import {
  type Extensions,
  mailCommand,
  type OutgoingEnvelope,
  rcptCommand,
  readExtensions,
  readLimits,
  type SmtpLimits,
  unfit,
} from './smtp-commands.ts';
import { dotStuff, gathered } from './smtp-data.ts';
import { isPositive, parseReply, refusal, refuseUnless, type SmtpReply } from './smtp-reply.ts';

export interface SmtpClientOptions extends SmtpChannelOptions {
  readonly protocol?: 'smtp' | 'lmtp';
  /** Name in EHLO or LHLO. */
  readonly name: string;
  /** `starttls` fails where the server does not offer it, `opportunistic` goes on without; default `none`. */
  readonly tls?: 'none' | 'opportunistic' | 'starttls' | 'implicit';
  /** Refused by this client itself where the connection has no TLS and `plaintextAuth` is not set. */
  readonly auth?: SmtpCredentials;
  readonly plaintextAuth?: boolean;
}

/** Octets with CRLF line ends; `length` serves SIZE, and CHUNKING where the server has it. */
export interface OutgoingMessage {
  readonly length?: number;
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface SendOutcome {
  /** Of the server, or our own where the server lacks what the message needs. */
  readonly mailFrom: SmtpReply;
  /** One per recipient, in order: of RCPT, or after the data where RCPT was accepted. */
  readonly recipients: readonly SmtpReply[];
  /** True when at least one recipient was accepted after the data. */
  readonly accepted: boolean;
}

/** One connection; `send` as often as liked, one at a time. */
export class SmtpClient {
  readonly #channel: SmtpChannel;
  readonly #options: SmtpClientOptions;
  #extensions: Extensions = new Map();
  /** A 421 announces the end: what comes after it is explained by it. RFC 5321 section 3.8. */
  #farewell: SmtpReply | undefined;
  #sent = 0;

  private constructor(channel: SmtpChannel, options: SmtpClientOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /**
   * Connects, greets, and goes as far as TLS and AUTH are asked for.
   * Rejects with an OperationalError: `smtp-connect`, `smtp-lost`, `smtp-timeout`, `smtp-protocol`, `smtp-tls`,
   * `smtp-auth`, or `smtp-refused` with the server's reply in its facts.
   */
  static async connect(options: SmtpClientOptions): Promise<SmtpClient> {
    const channel = await SmtpChannel.open(options, options.tls === 'implicit');
    const client = new SmtpClient(channel, options);
    try {
      await client.#begin();
      return client;
    } catch (error) {
      channel.destroy();
      throw error;
    }
  }

  get extensions(): Extensions {
    return this.#extensions;
  }

  get limits(): SmtpLimits {
    return readLimits(this.#extensions);
  }

  /** TLS of this connection, as `TLSv1.3`; undefined without. */
  get tls(): string | undefined {
    return this.#channel.tlsProtocol;
  }

  get cipher(): string | undefined {
    return this.#channel.tlsCipher;
  }

  /** Whether another transaction may be tried: the connection stands, and the server's MAILMAX is not reached. */
  get usable(): boolean {
    const { mailMax = Number.POSITIVE_INFINITY } = this.limits;
    return this.#farewell === undefined && !this.#channel.isBroken && this.#sent < mailMax;
  }

  /** Addresses of both ends: `192.0.2.1`. */
  get remoteIp(): string {
    return this.#channel.remoteIp;
  }

  get localIp(): string {
    return this.#channel.localIp;
  }

  /**
   * One transaction. A refusal is an outcome; it rejects only when the connection is of no more use, with the errors
   * of `connect`. Whether a message was taken is then unknown only where the error's facts say `afterData`.
   */
  async send(envelope: OutgoingEnvelope, message: OutgoingMessage): Promise<SendOutcome> {
    const refused = unfit(envelope, this.#extensions, message.length);
    if (refused)
      return { mailFrom: refused, recipients: envelope.recipients.map(() => refused), accepted: false };
    this.#sent += 1;
    const { mailFrom, recipients } = await this.#offer(envelope, message);
    const taken = recipients.flatMap((reply, index) => (isPositive(reply) ? [index] : []));
    if (!isPositive(mailFrom) || taken.length === 0) {
      await this.#reset();
      const replies = isPositive(mailFrom) ? recipients : recipients.map(() => mailFrom);
      return { mailFrom, recipients: replies, accepted: false };
    }
    const answers = await this.transmit(message, taken.length, envelope.body === 'binarymime');
    const final = replaced(recipients, taken, (position) => answers[position]!);
    return { mailFrom, recipients: final, accepted: answers.some(isPositive) };
  }

  /**
   * The message of a transaction whose MAIL and RCPT the caller has sent himself: an answer for each of the `accepted`
   * recipients. Rejects as `send`.
   */
  async transmit(message: OutgoingMessage, accepted: number, binary: boolean): Promise<SmtpReply[]> {
    const refused = await this.#transfer(message, binary);
    if (refused) await this.#reset();
    const answers = refused
      ? [refused]
      : await this.#answers(this.#options.protocol === 'lmtp' ? accepted : 1);
    return Array.from({ length: accepted }, (_, position) => answers[position] ?? answers[0]!);
  }

  /** One command and its reply, for what this client has no method for. Never DATA or BDAT. */
  async command(line: string): Promise<SmtpReply> {
    await this.#channel.writeLines([line]);
    return this.#reply('command');
  }

  /**
   * Tells a server behind us about the client before us, as far as it asks to be told. Postfix's XFORWARD and XCLIENT.
   * @param attributes NAME, ADDR, PORT, PROTO, HELO, IDENT, SOURCE, LOGIN; those that are unknown left out
   */
  async forwardClient(
    verb: 'XFORWARD' | 'XCLIENT',
    attributes: Readonly<Record<string, string>>,
  ): Promise<void> {
    const offered = (this.#extensions.get(verb) ?? '').toUpperCase().split(' ');
    const words = Object.entries(attributes).filter(([name]) => offered.includes(name.toUpperCase()));
    if (words.length === 0) return;
    const line = [verb, ...words.map(([name, value]) => `${name}=${encodeXtext(value)}`)].join(' ');
    refuseUnless(await this.command(line), verb);
    // The session begins anew after XCLIENT: a 220, then EHLO.
    if (verb === 'XCLIENT') await this.#hello();
  }

  /** Says QUIT and closes; a server that is gone already is no error. */
  async quit(): Promise<void> {
    await this.#tolerantly('QUIT');
    this.#channel.destroy();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#channel.destroy();
  }

  async #begin(): Promise<void> {
    const { tls, auth } = this.#options;
    refuseUnless(await this.#reply('greeting'), 'the greeting');
    await this.#hello();
    if (tls === 'starttls' || (tls === 'opportunistic' && this.#extensions.has('STARTTLS'))) {
      await this.#startTls();
    }
    if (auth !== undefined) await this.#authenticate(auth);
  }

  async #startTls(): Promise<void> {
    if (!this.#extensions.has('STARTTLS')) {
      throw new OperationalError('smtp-tls', 'the server does not offer STARTTLS', {
        temporary: true,
        facts: { result: 'starttls-not-supported' },
      });
    }
    const reply = await this.command('STARTTLS');
    if (!isPositive(reply)) {
      throw new OperationalError('smtp-tls', `the server refused STARTTLS: ${reply.code} ${reply.text}`, {
        temporary: true,
        facts: { result: 'starttls-not-supported' },
      });
    }
    await this.#channel.startTls();
    // RFC 3207 section 4.2: what was learnt before the handshake is forgotten.
    await this.#hello();
  }

  async #hello(): Promise<void> {
    const verb = this.#options.protocol === 'lmtp' ? 'LHLO' : 'EHLO';
    const reply = await this.command(`${verb} ${this.#options.name}`);
    if (isPositive(reply)) {
      this.#extensions = readExtensions(reply.text);
      return;
    }
    // RFC 5321 section 3.2: HELO only where EHLO is not known; a server that is busy says so to both.
    if (verb === 'LHLO' || reply.code < 500) throw refusal(reply, verb);
    refuseUnless(await this.command(`HELO ${this.#options.name}`), 'HELO');
    this.#extensions = new Map();
  }

  #authenticate(credentials: SmtpCredentials): Promise<void> {
    const mechanisms = (this.#extensions.get('AUTH') ?? '').toUpperCase().split(' ').filter(Boolean);
    const connection = {
      mechanisms,
      secured: this.tls !== undefined,
      command: (line: string) => this.command(line),
    };
    return authenticate(connection, credentials, this.#options.plaintextAuth === true);
  }

  /** MAIL and RCPT, in one write where the server takes PIPELINING. RFC 2920 section 3.1. */
  async #offer(
    envelope: OutgoingEnvelope,
    message: OutgoingMessage,
  ): Promise<{ mailFrom: SmtpReply; recipients: SmtpReply[] }> {
    const commands = [
      mailCommand(envelope, this.#extensions, message.length),
      ...envelope.recipients.map((recipient) => rcptCommand(recipient, this.#extensions)),
    ];
    const replies: SmtpReply[] = [];
    if (this.#extensions.has('PIPELINING')) {
      await this.#channel.writeLines(commands);
      while (replies.length < commands.length) replies.push(await this.#answer('command'));
    } else {
      for (const command of commands) {
        // Who refused the sender is not asked about recipients.
        if (replies.length > 0 && !isPositive(replies[0]!)) replies.push(replies[0]!);
        else {
          await this.#channel.writeLines([command]);
          replies.push(await this.#answer('command'));
        }
      }
    }
    const [mailFrom, ...recipients] = replies;
    return { mailFrom: mailFrom!, recipients };
  }

  /** Sends the octets, by BDAT where the server takes it. Answers the reply that kept them from being sent. */
  async #transfer(message: OutgoingMessage, binary: boolean): Promise<SmtpReply | undefined> {
    const { length } = message;
    if (length !== undefined && (binary || this.#extensions.has('CHUNKING'))) {
      // RFC 3030 section 2: one chunk, the last; its octets follow the command without waiting.
      const line = Buffer.from(`BDAT ${length} LAST\r\n`);
      await this.#stream(exactly(message.chunks, length), line);
      return undefined;
    }
    await this.#channel.writeLines(['DATA']);
    const go = await this.#reply('dataStart');
    if (go.code !== 354) {
      if (go.code < 400) throw this.#unexpected(go, 'DATA');
      return go;
    }
    await this.#stream(dotStuff(message.chunks));
    return undefined;
  }

  async #stream(chunks: AsyncIterable<Uint8Array>, first?: Uint8Array): Promise<void> {
    try {
      for await (const chunk of gathered(chunks, first)) await this.#channel.write(chunk);
    } catch (error) {
      // A server that had enough says why before it closes: its refusal is read below. Anything else ends it here,
      // so that a part of a message is never taken for the whole.
      if (error instanceof OperationalError && error.code === 'smtp-lost' && this.#channel.hasReply) return;
      this.#channel.destroy();
      throw error;
    }
  }

  /** After the data. RFC 2033 section 4.2: LMTP answers once for each recipient that was accepted. */
  async #answers(count: number): Promise<SmtpReply[]> {
    const answers: SmtpReply[] = [];
    while (answers.length < count) {
      try {
        answers.push(await this.#answer('data'));
      } catch (error) {
        // Of LMTP's answers those that came are certain; the others never came, and are not known.
        if (answers.length === 0) throw afterData(error);
        while (answers.length < count) answers.push(unknownOutcome);
      }
    }
    return answers;
  }

  /** The transaction is over either way: a server that does not answer is only of no more use. */
  async #reset(): Promise<void> {
    if (this.usable) await this.#tolerantly('RSET');
  }

  async #tolerantly(line: string): Promise<void> {
    try {
      await this.command(line);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#channel.destroy();
    }
  }

  /** A reply that says yes or no. RFC 5321 section 4.2.1. */
  async #answer(stage: SmtpStage): Promise<SmtpReply> {
    const reply = await this.#reply(stage);
    if (reply.code >= 300 && reply.code < 400) throw this.#unexpected(reply, 'a yes or no');
    return reply;
  }

  async #reply(stage: SmtpStage): Promise<SmtpReply> {
    let lines: string[];
    try {
      lines = await this.#channel.readReply(stage);
    } catch (error) {
      if (this.#farewell !== undefined) throw refusal(this.#farewell, 'to go on');
      throw error;
    }
    const reply = parseReply(lines);
    if (reply.code === 421) this.#farewell = reply;
    return reply;
  }

  #unexpected({ code, text }: SmtpReply, wanted: string): OperationalError {
    this.#channel.destroy();
    return new OperationalError('smtp-protocol', `${code} ${text} is no answer to ${wanted}`, {
      temporary: true,
    });
  }
}

/** RFC 3463 X.4.2, bad connection. */
const unknownOutcome: SmtpReply = { code: 451, enhanced: '4.4.2', text: 'the connection was lost' };

function afterData(error: unknown): unknown {
  if (!(error instanceof OperationalError) || error.code === 'smtp-refused') return error;
  return new OperationalError(error.code, `after the data: ${error.message}`, {
    temporary: error.temporary,
    facts: { ...error.facts, afterData: true },
    cause: error,
  });
}

/** The chunks, which must be as many octets as was said: the server counts. */
async function* exactly(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  length: number,
): AsyncGenerator<Uint8Array> {
  let octets = 0;
  for await (const chunk of chunks) {
    octets += chunk.length;
    if (octets > length) break;
    yield chunk;
  }
  if (octets !== length) {
    throw new OperationalError('smtp-message', `the message has ${octets} octets, not ${length}`, {
      temporary: true,
    });
  }
}

function replaced(
  replies: readonly SmtpReply[],
  indices: readonly number[],
  by: (position: number) => SmtpReply,
): SmtpReply[] {
  const final = [...replies];
  for (const [position, index] of indices.entries()) final[index] = by(position);
  return final;
}
