/**
 * The short way of `mailfilter deliver` for a user of the running server: from standard input to the server's socket, by
 * LMTP (RFC 2033), with almost nothing loaded. What it does not understand is for the long way, untouched.
 */
import { once } from 'node:events';
import { read, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { deliverWaitMs } from '../../../core/base/limits/doors.ts';
import { CrlfConverter } from '../../../core/mail/line-ends.ts';
import { isPositive, parseReply } from '../../../core/net/smtp-reply.ts';
import { deliverySocket } from '../../delivery-socket.ts';
import { DeliveryError, deliveryCodes, reportFailure } from './delivery-error.ts';
import { FromLine } from './from-line.ts';
import { refusalOf } from './refusal.ts';

interface Errand {
  readonly socket: string;
  readonly recipient: string;
  /** Undefined: as the From_ line says. */
  readonly sender: string | undefined;
}

/** The exit code, or undefined before anything was read: then it is for the long way. */
export async function deliverStraight(argv: readonly string[]): Promise<number | undefined> {
  const errand = readErrand(argv);
  const socket = errand && (await reach(errand.socket));
  if (socket === undefined) return undefined;
  // A bug is no reason to lose mail or to send it back.
  process.on('uncaughtException', (error) => process.exit(reportFailure(error)));
  try {
    await handOver(new Conversation(socket), errand!);
    return deliveryCodes.ok;
  } catch (error) {
    return reportFailure(error);
  } finally {
    socket.destroy();
  }
}

const options: Readonly<Record<string, 'config' | 'user' | 'detail' | 'sender'>> = {
  ...{ '-c': 'config', '--config': 'config', '-d': 'user', '--user': 'user' },
  ...{ '-a': 'detail', '--detail': 'detail', '-f': 'sender', '--sender': 'sender' },
};

/** Only a plain line that names an address of a server whose config says where its data lies. */
function readErrand(argv: readonly string[]): Errand | undefined {
  const given: Partial<Record<(typeof options)[string], string>> = {};
  for (let at = 0; at < argv.length; at += 2) {
    const name = options[argv[at]!];
    const value = argv[at + 1];
    if (name === undefined || value === undefined || name in given) return undefined;
    given[name] = value;
  }
  const config = given.config ?? process.env.MAILFILTER_CONFIG;
  const { SENDER, RECIPIENT } = process.env;
  // As the long way has it: Postfix's local(8) sets both.
  const sender = given.sender?.replace(/^<(.*)>$/, '$1') ?? (RECIPIENT === undefined ? undefined : SENDER);
  if (!config || !isPlain(given.user) || !given.user.includes('@')) return undefined;
  if (sender !== undefined && sender !== '' && !isPlain(sender)) return undefined;
  const dataDirectory = dataDirectoryIn(config);
  if (dataDirectory === undefined) return undefined;
  return { socket: deliverySocket(dataDirectory), recipient: given.user, sender };
}

/** An address that can stand in a command as it is. */
function isPlain(address: string | undefined): address is string {
  return address !== undefined && /^[^\s<>\x00-\x20\x7f]{1,320}$/.test(address);
}

/** Undefined where there are comments, or anything else that the reader of configs has to look at. */
function dataDirectoryIn(configFile: string): string | undefined {
  try {
    const { dataDirectory, users } = JSON.parse(readFileSync(configFile, 'utf8'));
    if (typeof dataDirectory !== 'string' || typeof users !== 'object') return undefined;
    return resolve(dirname(configFile), dataDirectory);
  } catch {
    return undefined;
  }
}

/** Undefined where no server listens. */
async function reach(path: string): Promise<Socket | undefined> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return socket;
  } catch {
    return undefined;
  }
}

async function handOver(server: Conversation, { recipient, sender }: Errand): Promise<void> {
  await server.hear();
  server.say(`LHLO ${hostname()}\r\n`);
  await server.hear();
  const message = new Message();
  const chunks = message.chunks(standardInput());
  // The From_ line has been read when the first octets of the message are there.
  const first = await chunks.next();
  if (first.done) throw new DeliveryError(deliveryCodes.tempFail, 'there is no message', '4.6.0');
  const from = sender ?? message.sender ?? '';
  const utf8 = /[^\0-\x7f]/.test(from + recipient) ? ' SMTPUTF8' : '';
  server.say(`MAIL FROM:<${from}> BODY=8BITMIME${utf8}\r\nRCPT TO:<${recipient}>\r\n`);
  await server.hear();
  await server.hear();
  let chunk = first.value;
  for await (const next of chunks) {
    await server.sayChunk(chunk, '');
    chunk = next;
  }
  await server.sayChunk(chunk, ' LAST');
}

/** Without the stream that Node would make of it, which takes longer to load than most messages to read. */
async function* standardInput(): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    try {
      const { bytesRead } = await readDescriptor(0, chunk, 0, chunkBytes, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      // Whoever shares it has made it non-blocking.
      yield* process.stdin;
      return;
    }
  }
}

const readDescriptor = promisify(read);
const chunkBytes = 64 * 1024;

/** Standard input as SMTP has it: CRLF line ends, no From_ line, no empty chunk. */
class Message {
  readonly #fromLine = new FromLine();
  readonly #lines = new CrlfConverter();

  get sender(): string | undefined {
    return this.#fromLine.sender;
  }

  async *chunks(input: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      const octets = this.#lines.convert(this.#fromLine.strip(chunk));
      if (octets.length > 0) yield octets;
    }
    const rest = this.#lines.convert(this.#fromLine.end());
    if (rest.length > 0) yield rest;
  }
}

/** What is said and heard on the socket; each reply in its turn. */
class Conversation {
  readonly #socket: Socket;
  #text = '';
  #ended: Error | undefined;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setTimeout(deliverWaitMs, () => socket.destroy(new Error('it does not answer')));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('it closed the connection')));
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  /** RFC 3030: every octet as it is, a missing end of line included. Throws as `hear`. */
  async sayChunk(octets: Uint8Array, last: '' | ' LAST'): Promise<void> {
    this.#socket.cork();
    this.#socket.write(`BDAT ${octets.length}${last}\r\n`);
    this.#socket.write(octets);
    this.#socket.uncork();
    await this.hear();
  }

  /** @throws DeliveryError by a reply that is no yes, or EX_TEMPFAIL where none comes */
  async hear(): Promise<void> {
    for (;;) {
      const end = /^\d{3}(?: [^\n]*)?\n/m.exec(this.#text);
      if (end) {
        const lines = this.#text
          .slice(0, end.index + end[0].length)
          .trimEnd()
          .split(/\r?\n/);
        this.#text = this.#text.slice(end.index + end[0].length);
        const reply = parseReply(lines);
        if (isPositive(reply)) return;
        throw refusalOf(reply);
      }
      if (this.#ended) {
        const words = `the server took no mail: ${this.#ended.message}`;
        throw new DeliveryError(deliveryCodes.tempFail, words, '4.3.2');
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#wake();
  }
}
