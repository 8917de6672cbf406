/** A client for protocols of lines: sends octets as they are, reads lines and SMTP replies, can start TLS. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

export class LineClient {
  /** Packets received; a test may set it back. */
  chunks = 0;
  #socket: Socket;
  #input = '';
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  /** To a port of this machine; not closed before destroy(). */
  static toPort(port: number): LineClient {
    return new LineClient(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  }

  /** The code and, where there is one, the enhanced status of each of the next replies: `250 2.1.0`. */
  async codes(count: number, timeoutMs?: number): Promise<string[]> {
    const codes: string[] = [];
    while (codes.length < count) {
      const last = (await this.reply(timeoutMs)).at(-1) ?? '';
      codes.push(/^\d{3}(?: \d\.\d+\.\d+)?/.exec(last)?.[0] ?? last);
    }
    return codes;
  }

  send(octets: string | Buffer): void {
    this.#socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);
  }

  /** The next line without its end; undefined when the server has closed. */
  async line(timeoutMs = 5000): Promise<string | undefined> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const end = this.#input.indexOf('\n');
      if (end !== -1) {
        const line = this.#input.slice(0, end).replace(/\r$/, '');
        this.#input = this.#input.slice(end + 1);
        return line;
      }
      if (this.#ended) return undefined;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error('the server says nothing');
      await Promise.race([
        new Promise<void>((resolve) => (this.#wake = resolve)),
        delay(leftMs, undefined, { ref: false }),
      ]);
    }
  }

  /** All lines of one reply. */
  async reply(timeoutMs?: number): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line(timeoutMs);
      if (line === undefined) throw new Error(`closed in place of a reply, after ${JSON.stringify(lines)}`);
      lines.push(line);
      if (line[3] !== '-') return lines;
    }
  }

  async startTls(): Promise<void> {
    const raw = this.#socket;
    raw.removeAllListeners('data');
    this.#socket = connectTls({ socket: raw, rejectUnauthorized: false, servername: 'mx.example.test' });
    await once(this.#socket, 'secureConnect');
    this.#listen();
  }

  /** Reads no more, so that the server's replies pile up. */
  pause(): void {
    this.#socket.pause();
  }

  /** Goes with a reset rather than an orderly end. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.chunks += 1;
      this.#input += chunk.toString('utf8');
      this.#wake();
    });
    const ended = () => {
      this.#ended = true;
      this.#wake();
    };
    this.#socket.on('end', ended);
    this.#socket.on('close', ended);
    this.#socket.on('error', ended);
  }
}
