/** A POP3 client: TLS, login, UIDL, RETR, DELE; time and memory bounded. RFC 1939, STLS RFC 2595, CAPA RFC 2449. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describeError, OperationalError } from '../base/errors.ts';

export interface Pop3Options {
  readonly host: string;
  readonly port: number;
  readonly tls: 'implicit' | 'starttls' | 'none';
  /** PEM of roots, in place of the system's. */
  readonly ca?: readonly string[];
  readonly user: string;
  readonly password: string;
  /** For each answer. */
  readonly timeoutMs: number;
  /** A longer message ends the connection. */
  readonly messageBytesMax: number;
}

export interface Pop3Entry {
  readonly number: number;
  /** RFC 1939 section 7: the same for as long as the message lies there. */
  readonly uidl: string;
}

/** A list of what lies there is no longer than this. */
const listBytesMax = 16 * 1024 * 1024;

/** Every method rejects with an OperationalError: `pop3-connect`, `pop3-tls`, `pop3-lost`, `pop3-refused`, `pop3-protocol`. */
export class Pop3Client {
  #socket: Socket;
  readonly #options: Pop3Options;
  #received: Buffer[] = [];
  #wake: () => void = () => {};
  #ended: string | undefined;

  private constructor(socket: Socket, options: Pop3Options) {
    this.#socket = socket;
    this.#options = options;
    this.#listen();
  }

  /** Connects and logs in; without TLS only where the options say so. */
  static async connect(options: Pop3Options): Promise<Pop3Client> {
    const tcp = connectTcp({ host: options.host, port: options.port });
    await happens(tcp, 'connect', options.timeoutMs, 'pop3-connect');
    const socket = options.tls === 'implicit' ? await secure(tcp, options) : tcp;
    const client = new Pop3Client(socket, options);
    try {
      await client.#reply();
      if (options.tls === 'starttls') await client.#startTls();
      await client.#command(`USER ${options.user}`);
      await client.#command(`PASS ${options.password}`);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** All messages, in their order. */
  async list(): Promise<Pop3Entry[]> {
    await this.#command('UIDL');
    const text = (await this.#lines(listBytesMax)).toString('latin1');
    return text
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [, number, uidl] = /^(\d+) ([\x21-\x7e]{1,70})$/.exec(line) ?? [];
        if (number === undefined || uidl === undefined) throw broken(`UIDL says ${line.slice(0, 80)}`);
        return { number: Number(number), uidl };
      });
  }

  /** The message, CRLF line ends, dots unstuffed. */
  async retrieve(number: number): Promise<Buffer> {
    await this.#command(`RETR ${number}`);
    return this.#lines(this.#options.messageBytesMax);
  }

  /** Takes effect with `quit`. */
  async delete(number: number): Promise<void> {
    await this.#command(`DELE ${number}`);
  }

  /** Ends the session; what was deleted is gone when this resolves. */
  async quit(): Promise<void> {
    await this.#command('QUIT');
    this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #startTls(): Promise<void> {
    await this.#command('STLS');
    // What came before the handshake was not protected by it.
    if (this.#received.length > 0) throw broken('more came before the TLS handshake');
    this.#socket.removeAllListeners();
    this.#socket = await secure(this.#socket, this.#options);
    this.#listen();
  }

  async #command(line: string): Promise<string> {
    if (/[\r\n]/.test(line)) throw broken('a command with a line break');
    this.#socket.write(`${line}\r\n`);
    return this.#reply();
  }

  async #reply(): Promise<string> {
    const line = (await this.#until('\r\n', 8192)).toString('utf8');
    if (line.startsWith('+OK')) return line.slice(4);
    if (!line.startsWith('-ERR')) throw broken(`no POP3 answer: ${line.slice(0, 80)}`);
    // RFC 3206: what the server says of itself may pass, a wrong password does not.
    const temporary = /\[(?:SYS\/TEMP|IN-USE|LOGIN-DELAY)\]/.test(line);
    throw new OperationalError('pop3-refused', line.slice(5), { temporary });
  }

  /** Lines up to the one with a dot alone. RFC 1939 section 3. */
  async #lines(bytesMax: number): Promise<Buffer> {
    const first = await this.#peek(3);
    if (first.toString('latin1') === '.\r\n') {
      await this.#until('.\r\n', 8);
      return Buffer.alloc(0);
    }
    const stuffed = Buffer.concat([await this.#until('\r\n.\r\n', bytesMax), Buffer.from('\r\n')]);
    const parts: Buffer[] = [];
    let from = stuffed[0] === 0x2e ? 1 : 0;
    for (let at = stuffed.indexOf('\r\n.'); at >= 0; at = stuffed.indexOf('\r\n.', at + 1)) {
      parts.push(stuffed.subarray(from, at + 2));
      from = at + 3;
    }
    return Buffer.concat([...parts, stuffed.subarray(from)]);
  }

  /** Octets before the mark, which is taken off as well. */
  async #until(mark: string, bytesMax: number): Promise<Buffer> {
    let octets = 0;
    for (;;) {
      // Only the join of the last two chunks and what is new can hold the mark.
      const all = Buffer.concat(this.#received);
      this.#received = all.length > 0 ? [all] : [];
      const at = all.indexOf(mark, Math.max(0, octets - mark.length));
      if (at >= 0) {
        const rest = all.subarray(at + mark.length);
        this.#received = rest.length > 0 ? [rest] : [];
        return all.subarray(0, at);
      }
      octets = all.length;
      if (octets > bytesMax) throw broken(`more than ${bytesMax} octets`);
      // Large messages come in many pieces: they are joined now and then, not each time.
      await this.#more(Math.max(1, Math.floor(octets / 2)));
    }
  }

  async #peek(count: number): Promise<Buffer> {
    while (this.#size() < count) await this.#more(1);
    return Buffer.concat(this.#received).subarray(0, count);
  }

  #size(): number {
    return this.#received.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** Waits for octets: that many more, or as many as come in one turn with what may be the end. */
  async #more(wanted: number): Promise<void> {
    const before = this.#size();
    do {
      if (this.#ended !== undefined)
        throw new OperationalError('pop3-lost', this.#ended, { temporary: true });
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(() => {
        this.#ended = `nothing for ${this.#options.timeoutMs} ms`;
        this.#socket.destroy();
        resolve();
      }, this.#options.timeoutMs);
      await promise;
      clearTimeout(timer);
    } while (this.#size() - before < wanted && !endsInLine(this.#received.at(-1)));
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#wake();
    });
    const end = (reason: string) => {
      this.#ended ??= reason;
      this.#wake();
    };
    this.#socket.on('error', (error) => end(describeError(error)));
    this.#socket.on('close', () => end('the server closed the connection'));
  }
}

function endsInLine(chunk: Buffer | undefined): boolean {
  return chunk?.at(-1) === 10;
}

function broken(message: string): OperationalError {
  return new OperationalError('pop3-protocol', message, { temporary: true });
}

async function secure(socket: Socket, { host, ca, timeoutMs }: Pop3Options): Promise<Socket> {
  const secured = connectTls({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca: [...ca] }),
    minVersion: 'TLSv1.2',
  });
  await happens(secured, 'secureConnect', timeoutMs, 'pop3-tls');
  return secured;
}

function happens(socket: Socket, event: string, timeoutMs: number, code: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (reason?: string) => {
      clearTimeout(timer);
      socket.removeListener(event, done).removeListener('error', failed);
      if (reason === undefined) return resolve();
      socket.on('error', () => {});
      socket.destroy();
      reject(new OperationalError(code, reason, { temporary: true }));
    };
    const done = () => end();
    const failed = (error: Error) => end(describeError(error));
    const timer = setTimeout(() => end(`nothing for ${timeoutMs} ms`), timeoutMs);
    socket.on(event, done).on('error', failed);
  });
}
