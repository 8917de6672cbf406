/** Answers of an IMAP server as nested values, and the client that reads them: for tests that compare what is meant, not how it is written. */
import { connect, type Socket } from 'node:net';

/** An atom or string, or a list. A string's quotes are gone: `"a"`, `a` and a literal are the same. */
export type ImapValue = string | readonly ImapValue[];

/** One response line with its literals: `* 1 FETCH (...)` is `['*', '1', 'FETCH', [...]]`. */
export function parseValues(line: string): ImapValue[] {
  let at = 0;
  const read = (close: string): ImapValue[] => {
    const values: ImapValue[] = [];
    while (at < line.length) {
      const character = line[at]!;
      if (character === close) {
        at += 1;
        return values;
      }
      if (character === ' ') at += 1;
      else if (character === '(') {
        at += 1;
        values.push(read(')'));
      } else if (character === '[') {
        // A response code.
        at += 1;
        values.push(['[', ...read(']')]);
      } else values.push(readWord());
    }
    return values;
  };
  const readWord = (): string => {
    if (line[at] === '"') return readQuoted();
    const literal = /^~?\{(\d+)\}\r\n/.exec(line.slice(at, at + 20));
    if (literal) {
      at += literal[0].length + Number(literal[1]);
      return line.slice(at - Number(literal[1]), at);
    }
    let depth = 0;
    const start = at;
    while (at < line.length && (depth > 0 || !/[ ()\]]/.test(line[at]!))) {
      if (line[at] === '[') depth += 1;
      if (line[at] === ']') depth -= 1;
      at += 1;
    }
    return line.slice(start, at);
  };
  const readQuoted = (): string => {
    let text = '';
    for (at += 1; at < line.length && line[at] !== '"'; at += 1) {
      if (line[at] === '\\') at += 1;
      text += line[at];
    }
    at += 1;
    return text;
  };
  return read('');
}

/** A raw connection: responses as they come, literals within their line, octets as Latin-1. */
export class ImapWire {
  readonly socket: Socket;
  #buffer = '';
  readonly #waiting: (() => void)[] = [];
  #ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on('error', () => {});
  }

  static async open(port: number): Promise<ImapWire> {
    const wire = new ImapWire(connect(port, '127.0.0.1'));
    await wire.response();
    return wire;
  }

  send(octets: string): void {
    this.socket.write(Buffer.from(octets, 'latin1'));
  }

  /** The next response without its line end; '' at the end of the connection. */
  async response(): Promise<string> {
    for (;;) {
      const end = this.#responseEnd();
      if (end >= 0) {
        const response = this.#buffer.slice(0, end);
        this.#buffer = this.#buffer.slice(end + 2);
        return response;
      }
      if (this.#ended) return '';
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** All responses up to and with the tagged one, or a go-ahead. */
  async until(tag: string): Promise<string[]> {
    const responses: string[] = [];
    for (;;) {
      const response = await this.response();
      responses.push(response);
      if (response === '' || response.startsWith(`${tag} `) || response.startsWith('+')) return responses;
    }
  }

  /** @returns the untagged responses, then the tagged one */
  async command(tag: string, text: string): Promise<string[]> {
    this.send(`${tag} ${text}\r\n`);
    return this.until(tag);
  }

  close(): void {
    this.socket.destroy();
  }

  #responseEnd(): number {
    let at = 0;
    for (;;) {
      const end = this.#buffer.indexOf('\r\n', at);
      if (end < 0) return -1;
      const literal = /\{(\d+)\}$/.exec(this.#buffer.slice(Math.max(at, end - 14), end));
      if (!literal) return end;
      at = end + 2 + Number(literal[1]);
      if (at > this.#buffer.length) return -1;
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
