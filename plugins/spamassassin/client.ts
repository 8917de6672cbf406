/**
 * A client of SpamAssassin's spamd: `mailfilter/spamassassin-client`. SPAMC/SPAMD protocol 1.5, every command of it.
 * `new SpamAssassinClient({ host, port, timeout })` with `check`, `symbols`, `report` and `ping` answers as the public
 * package spamassassin-client does, so that the two can be exchanged.
 *
 * @example
 * const client = new SpamAssassinClient({ host: '127.0.0.1' });
 * const { spam, score } = await client.check('Subject: hello\r\n\r\nHello.\r\n');
 */
import type { ConnectionOptions } from 'node:tls';
import { deflateSync } from 'node:zlib';
import {
  type AskContext,
  converse,
  type DaemonAddress,
  Daemons,
  formatDaemonAddress,
} from 'mailfilter/plugin';
import { parseSpamdReply, readReportTable, readSpamField, type SpamdReply } from './reply.ts';

export interface SpamAssassinOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 783. */
  readonly port?: number;
  /** Seconds for one question, all daemons together. Default 10. */
  readonly timeout?: number;
  /** A unix socket in place of host and port. */
  readonly path?: string;
  /** Several daemons, in order of preference, in place of the above: one that fails rests, and the next is asked. */
  readonly servers?: readonly DaemonAddress[];
  /** Whose preferences and Bayes database are used. */
  readonly user?: string;
  /** Send messages compressed with zlib, for a spamd far away. */
  readonly compress?: boolean;
  /** TLS (spamd --ssl), with what Node's tls.connect takes. */
  readonly tls?: boolean | ConnectionOptions;
  /** Octets of a message; a larger one is refused here. Default 512,000, as spamc has it. */
  readonly maxSize?: number;
  /** Daemons that go down and come back are told of here. */
  readonly log?: AskContext['log'];
}

export interface GenericResult {
  /** 0; what spamd cannot do is an error. */
  readonly code: number;
  readonly message: string;
}
export interface CheckResult extends GenericResult {
  readonly spam: boolean;
  readonly score: number;
  /** From where on spamd calls it spam. */
  readonly threshold: number;
}
export interface SymbolsResult extends CheckResult {
  readonly symbols: string[];
}
export interface ReportResult extends CheckResult {
  readonly report: string;
  /** The table of the report, where it has the usual form. */
  readonly rules: { readonly name: string; readonly score: number; readonly text: string }[];
}
export interface ProcessResult extends CheckResult {
  /** The message as spamd gives it back; of `headers` the header alone. */
  readonly content: Buffer;
}
export interface TellResult extends GenericResult {
  readonly didSet: string[];
  readonly didRemove: string[];
}

/** What a message is called, and where that is remembered. */
export interface TellRequest {
  readonly class?: 'spam' | 'ham';
  /** `local`: Bayes; `remote`: the networks that spamd reports to. */
  readonly set?: readonly ('local' | 'remote')[];
  readonly remove?: readonly ('local' | 'remote')[];
}

/** How one question differs from the client's options. */
export interface QuestionOptions {
  readonly user?: string;
  readonly signal?: AbortSignal;
}

/** Above the size that a client sends: the message is not sent, and nothing is known of it. */
export class MessageTooLargeError extends Error {}

/** spamd answered that it cannot: with its code of sysexits.h. */
export class SpamdError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(`spamd answers ${code} ${message}`);
    this.code = code;
  }
}

type Command = 'CHECK' | 'SYMBOLS' | 'REPORT' | 'REPORT_IFSPAM' | 'PROCESS' | 'HEADERS' | 'TELL' | 'PING';
type Written = string | Uint8Array;

/** A report, and fields that spamd adds to a message that it gives back. */
const answerExtraBytes = 1024 * 1024;

export class SpamAssassinClient {
  readonly #options: SpamAssassinOptions;
  readonly #daemons: Daemons<DaemonAddress>;

  constructor(options: SpamAssassinOptions = {}) {
    const { host = '127.0.0.1', port = 783, timeout = 10, path, servers, maxSize = 512_000 } = options;
    if (typeof host !== 'string') throw new TypeError('options.host is no string');
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError('options.port is no port');
    if (!(timeout > 0)) throw new TypeError('options.timeout is no number of seconds');
    if (!(maxSize > 0)) throw new TypeError('options.maxSize is no number of octets');
    const addresses = servers ?? [path === undefined ? { host, port } : { path }];
    this.#options = { ...options, timeout, maxSize };
    this.#daemons = new Daemons('spamd', addresses, formatDaemonAddress);
  }

  /** Is it spam? */
  async check(message: Written, options: QuestionOptions = {}): Promise<CheckResult> {
    return checked(await this.#ask('CHECK', message, options));
  }

  /** The names of the rules that matched. */
  async symbols(message: Written, options: QuestionOptions = {}): Promise<SymbolsResult> {
    const reply = await this.#ask('SYMBOLS', message, options);
    const names = reply.body.toString('latin1').trim();
    return { ...checked(reply), symbols: names === '' ? [] : names.split(/\s*,\s*/) };
  }

  /** What SpamAssassin says of it, in words; `ifSpam`: only of spam, else nothing. */
  async report(
    message: Written,
    options: QuestionOptions & { ifSpam?: boolean } = {},
  ): Promise<ReportResult> {
    const reply = await this.#ask(options.ifSpam === true ? 'REPORT_IFSPAM' : 'REPORT', message, options);
    const report = reply.body.toString('utf8');
    return { ...checked(reply), report, rules: readReportTable(report) };
  }

  /** The message as SpamAssassin would have it: marked, and wrapped where it is spam. */
  async process(message: Written, options: QuestionOptions = {}): Promise<ProcessResult> {
    const reply = await this.#ask('PROCESS', message, options);
    return { ...checked(reply), content: reply.body };
  }

  /** The header as SpamAssassin would have it. */
  async headers(message: Written, options: QuestionOptions = {}): Promise<ProcessResult> {
    const reply = await this.#ask('HEADERS', message, options);
    return { ...checked(reply), content: reply.body };
  }

  /** Teaches it, or takes back what it was taught. Needs spamd --allow-tell. */
  async tell(message: Written, request: TellRequest, options: QuestionOptions = {}): Promise<TellResult> {
    const fields = [
      ...(request.class ? [`Message-class: ${request.class}`] : []),
      ...(request.set?.length ? [`Set: ${request.set.join(', ')}`] : []),
      ...(request.remove?.length ? [`Remove: ${request.remove.join(', ')}`] : []),
    ];
    if (fields.length === 0) throw new TypeError('tell: nothing to set or remove');
    const reply = await this.#ask('TELL', message, options, fields);
    const { code, message: said } = reply;
    return { code, message: said, didSet: wordsOf(reply, 'didset'), didRemove: wordsOf(reply, 'didremove') };
  }

  /** Remembers it as spam or ham in the Bayes database. */
  learn(message: Written, kind: 'spam' | 'ham', options: QuestionOptions = {}): Promise<TellResult> {
    return this.tell(message, { class: kind, set: ['local'] }, options);
  }

  /** Forgets what was learnt of it. */
  forget(message: Written, options: QuestionOptions = {}): Promise<TellResult> {
    return this.tell(message, { remove: ['local'] }, options);
  }

  /** Is spamd there? */
  async ping(options: QuestionOptions = {}): Promise<GenericResult> {
    const { code, message } = await this.#ask('PING', undefined, options);
    if (message !== 'PONG') throw new Error(`spamd answers a ping with ${JSON.stringify(message)}`);
    return { code, message };
  }

  /** As part of a hook: its deadline and its log in place of the client's. */
  checkWithin(context: AskContext, message: Written, user?: string): Promise<ReportResult> {
    const options = user === undefined ? {} : { user };
    return this.#ask('REPORT', message, options, [], context).then((reply) => {
      const report = reply.body.toString('utf8');
      return { ...checked(reply), report, rules: readReportTable(report) };
    });
  }

  async #ask(
    command: Command,
    message: Written | undefined,
    options: QuestionOptions,
    fields: readonly string[] = [],
    context: AskContext = this.#contextOf(options),
  ): Promise<SpamdReply> {
    const { maxSize = 0, compress = false, tls } = this.#options;
    const octets = message === undefined ? undefined : Buffer.from(message as Uint8Array);
    if (octets !== undefined && octets.length > maxSize) {
      throw new MessageTooLargeError(
        `a message of ${octets.length} octets is above the ${maxSize} that spamd is sent`,
      );
    }
    const body = octets && (compress ? deflateSync(octets) : octets);
    const user = options.user ?? this.#options.user;
    const head = headOf(command, body?.length, user, compress, fields);
    const answer = await this.#daemons.ask(context, async (address, signal) => {
      const { answer, saidAll } = await converse(address, () => inOrder(head, body), {
        signal,
        answerBytesMax: (octets?.length ?? 0) * 2 + answerExtraBytes,
        halfClose: tls === undefined || tls === false,
        ...(tls && { tls: tls === true ? {} : tls }),
      });
      const reply = parseSpamdReply(answer);
      if (!saidAll && reply.code === 0)
        throw new Error('spamd answered before it had seen the whole message');
      // EX_TEMPFAIL, EX_UNAVAILABLE, EX_IOERR, EX_TIMEOUT: another daemon may do better.
      if (daemonsFault.has(reply.code)) throw new SpamdError(reply.code, reply.message);
      return reply;
    });
    if (answer.code !== 0) throw new SpamdError(answer.code, answer.message);
    return answer;
  }

  #contextOf({ signal }: QuestionOptions): AskContext {
    return {
      clock: { now: () => Date.now(), monotonicMs: () => performance.now() },
      deadline: Date.now() + this.#options.timeout! * 1000,
      signal: signal ?? new AbortController().signal,
      log: this.#options.log ?? (() => {}),
    };
  }
}

export default SpamAssassinClient;

/** sysexits.h, and 79 of spamd's own: EX_UNAVAILABLE, EX_SOFTWARE, EX_OSERR, EX_OSFILE, EX_IOERR, EX_TEMPFAIL, EX_TIMEOUT. */
const daemonsFault: ReadonlySet<number> = new Set([69, 70, 71, 72, 74, 75, 79]);

function checked(reply: SpamdReply): CheckResult {
  return { code: reply.code, message: reply.message, ...readSpamField(reply) };
}

function headOf(
  command: Command,
  length: number | undefined,
  user: string | undefined,
  compress: boolean,
  fields: readonly string[],
): Buffer {
  const lines = [`${command} SPAMC/1.5`];
  if (user !== undefined && user !== '') {
    if (/[\x00-\x1f]/.test(user)) throw new TypeError('a user with control characters');
    lines.push(`User: ${user}`);
  }
  lines.push(...fields);
  if (compress && length !== undefined) lines.push('Compress: zlib');
  if (length !== undefined) lines.push(`Content-length: ${length}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
}

async function* inOrder(head: Buffer, body: Buffer | undefined): AsyncGenerator<Buffer> {
  yield head;
  if (body) yield body;
}

function wordsOf({ fields }: SpamdReply, name: string): string[] {
  const words = fields.get(name) ?? '';
  return words === '' ? [] : words.split(/\s*,\s*/);
}
