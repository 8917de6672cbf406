/** A client of SMTP (RFC 5321) and LMTP (RFC 2033): STARTTLS, AUTH PLAIN, PIPELINING, an answer per recipient. */
import { OperationalError } from '../base/errors.ts';
import { SmtpChannel, type SmtpChannelOptions } from './smtp-channel.ts';
import { dotStuff } from './smtp-data.ts';

/** What a server answered: lines parted by \n, code and enhanced status taken off. */
export interface SmtpReply {
  readonly code: number;
  /** RFC 3463, where the server gives one. */
  readonly enhanced?: string;
  readonly text: string;
}

export interface SmtpClientOptions extends SmtpChannelOptions {
  readonly protocol?: 'smtp' | 'lmtp';
  /** Name in EHLO or LHLO. */
  readonly name: string;
  /** `starttls` fails where the server does not offer it; default `none`. */
  readonly tls?: 'none' | 'starttls' | 'implicit';
  /** AUTH PLAIN, RFC 4616; refused by this client itself where the connection has no TLS and `plaintextAuth` is not set. */
  readonly auth?: { readonly user: string; readonly password: string };
  readonly plaintextAuth?: boolean;
}

export interface OutgoingEnvelope {
  /** Reverse-path; '' is the null path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Further ESMTP parameters of MAIL, such as `BODY=8BITMIME`; SIZE is added by itself. */
  readonly parameters?: readonly string[];
}

/** Octets with CRLF line ends; `length` serves SIZE. */
export interface OutgoingMessage {
  readonly length?: number;
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface SendOutcome {
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
  /** Keyword in upper case to its parameters. */
  #extensions: ReadonlyMap<string, string> = new Map();

  private constructor(channel: SmtpChannel, options: SmtpClientOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /**
   * Connects, greets, and goes as far as TLS and AUTH are asked for.
   * Rejects with an OperationalError: `smtp-connect`, `smtp-lost`, `smtp-timeout`, `smtp-protocol`, `smtp-tls`, or
   * `smtp-refused` with the server's reply in its facts.
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

  get extensions(): ReadonlyMap<string, string> {
    return this.#extensions;
  }

  /** TLS of this connection, as `TLSv1.3`; undefined without. */
  get tls(): string | undefined {
    return this.#channel.tlsProtocol;
  }

  /**
   * One transaction. A refusal is an outcome; it rejects only when the connection is of no more use, with the errors
   * of `connect`. Whether a message was taken is then unknown to the caller unless the data had not been sent.
   */
  async send(envelope: OutgoingEnvelope, message: OutgoingMessage): Promise<SendOutcome> {
    const { mailFrom, recipients } = await this.#offer(envelope, message);
    const taken = recipients.flatMap((reply, index) => (isPositive(reply) ? [index] : []));
    if (!isPositive(mailFrom) || taken.length === 0) {
      await this.#command('RSET');
      return { mailFrom, recipients, accepted: false };
    }
    const go = await this.#command('DATA');
    if (go.code !== 354) {
      await this.#command('RSET');
      return { mailFrom, recipients: replaced(recipients, taken, () => go), accepted: false };
    }
    for await (const chunk of dotStuff(message.chunks)) await this.#channel.write(chunk);
    const answers: SmtpReply[] = [];
    // RFC 2033 section 4.2: LMTP answers once for each recipient that was accepted.
    const count = this.#options.protocol === 'lmtp' ? taken.length : 1;
    while (answers.length < count) answers.push(await this.#reply('data'));
    const final = replaced(recipients, taken, (position) => answers[position] ?? answers[0]!);
    return { mailFrom, recipients: final, accepted: answers.some(isPositive) };
  }

  /** Says QUIT and closes; a server that is gone already is no error. */
  async quit(): Promise<void> {
    try {
      await this.#command('QUIT');
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
    }
    this.#channel.destroy();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#channel.destroy();
  }

  async #begin(): Promise<void> {
    refuseUnless(await this.#reply('greeting'), 'the greeting');
    await this.#hello();
    if (this.#options.tls === 'starttls') {
      if (!this.#extensions.has('STARTTLS')) {
        throw new OperationalError('smtp-tls', 'the server does not offer STARTTLS', { temporary: true });
      }
      refuseUnless(await this.#command('STARTTLS'), 'STARTTLS');
      await this.#channel.startTls();
      // RFC 3207 section 4.2: what was learnt before the handshake is forgotten.
      await this.#hello();
    }
    if (this.#options.auth !== undefined) await this.#authenticate(this.#options.auth);
  }

  async #hello(): Promise<void> {
    const verb = this.#options.protocol === 'lmtp' ? 'LHLO' : 'EHLO';
    const reply = await this.#command(`${verb} ${this.#options.name}`);
    if (isPositive(reply)) {
      this.#extensions = new Map(
        reply.text
          .split('\n')
          .slice(1)
          .map((line) => {
            const [keyword = '', ...parameters] = line.trim().split(' ');
            return [keyword.toUpperCase(), parameters.join(' ')];
          }),
      );
      return;
    }
    if (verb === 'LHLO') refuseUnless(reply, verb);
    refuseUnless(await this.#command(`HELO ${this.#options.name}`), 'HELO');
    this.#extensions = new Map();
  }

  async #authenticate({ user, password }: { user: string; password: string }): Promise<void> {
    if (this.tls === undefined && this.#options.plaintextAuth !== true) {
      throw new OperationalError('smtp-tls', 'no password is sent without TLS', { temporary: false });
    }
    const token = Buffer.from(`\0${user}\0${password}`).toString('base64');
    refuseUnless(await this.#command(`AUTH PLAIN ${token}`), 'AUTH');
  }

  /** MAIL and RCPT, in one write where the server takes PIPELINING. RFC 2920 section 3.1. */
  async #offer(
    envelope: OutgoingEnvelope,
    message: OutgoingMessage,
  ): Promise<{ mailFrom: SmtpReply; recipients: SmtpReply[] }> {
    const size =
      this.#extensions.has('SIZE') && message.length !== undefined ? [`SIZE=${message.length}`] : [];
    const commands = [
      [`MAIL FROM:<${envelope.sender}>`, ...size, ...(envelope.parameters ?? [])].join(' '),
      ...envelope.recipients.map((recipient) => `RCPT TO:<${recipient}>`),
    ];
    const replies: SmtpReply[] = [];
    if (this.#extensions.has('PIPELINING')) {
      await this.#channel.writeLines(commands);
      while (replies.length < commands.length) replies.push(await this.#reply('command'));
    } else {
      for (const command of commands) replies.push(await this.#command(command));
    }
    const [mailFrom, ...recipients] = replies;
    return { mailFrom: mailFrom!, recipients };
  }

  async #command(line: string): Promise<SmtpReply> {
    await this.#channel.writeLines([line]);
    return this.#reply('command');
  }

  async #reply(stage: 'greeting' | 'command' | 'data'): Promise<SmtpReply> {
    const lines = await this.#channel.readReply(stage);
    const texts = lines.map((line) => line.slice(4));
    const enhanced = /^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)/.exec(texts.at(-1) ?? '')?.[0];
    const text = texts
      .map((line) => (enhanced === undefined ? line : line.replace(`${enhanced} `, '')))
      .join('\n');
    return { code: Number(lines.at(-1)?.slice(0, 3)), ...(enhanced === undefined ? {} : { enhanced }), text };
  }
}

export function isPositive(reply: SmtpReply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** `550 5.1.1 no such user`, in one line. */
export function formatReply({ code, enhanced, text }: SmtpReply): string {
  return [code, ...(enhanced === undefined ? [] : [enhanced]), text.replaceAll('\n', ' ')].join(' ');
}

function refuseUnless(reply: SmtpReply, what: string): void {
  if (isPositive(reply)) return;
  throw new OperationalError('smtp-refused', `the server refused ${what}: ${formatReply(reply)}`, {
    temporary: reply.code < 500,
    facts: { code: reply.code, enhanced: reply.enhanced ?? null, text: reply.text },
  });
}

function replaced(
  replies: readonly SmtpReply[],
  indices: readonly number[],
  by: (position: number) => SmtpReply,
): SmtpReply[] {
  return replies.map((reply, index) => {
    const position = indices.indexOf(index);
    return position === -1 ? reply : by(position);
  });
}
