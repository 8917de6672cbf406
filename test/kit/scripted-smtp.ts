/** An SMTP or LMTP server that follows a script: for clients that must take good and bad answers. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { selfSigned } from '../../src/cli/certificate.ts';

/**
 * Answers by the first word of each line; `data` answers the end of the data or of a BDAT. Lists are used up one by one;
 * `close` closes in place of an answer, nothing at all is silence.
 */
export interface Script {
  greeting?: string;
  [command: string]: string | string[] | undefined;
}

export interface ScriptedServer {
  readonly port: number;
  /** Lines as received; data as one entry. */
  readonly heard: string[];
  /** Number of chunks that carried commands: one for a pipelined group. */
  writes: number;
  connections: number;
  /** Takes effect at once. */
  readonly answers: Script;
  /** Closes the server and its connections before the test's end. */
  close(): Promise<void>;
}

export interface ScriptedOptions {
  readonly implicitTls?: boolean;
  /** Loopback address to listen on. */
  readonly host?: string;
  readonly port?: number;
  /** PEM; default: for localhost and 127.0.0.1. */
  readonly certificate?: string;
  readonly key?: string;
}

export const scriptDefaults: Script = {
  greeting: '220 hi',
  EHLO: '250-me\r\n250-PIPELINING\r\n250 SIZE 1000',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go',
  data: '250 2.0.0 queued',
  RSET: '250 2.0.0 ok',
  QUIT: '221 2.0.0 bye',
};

/** Certificate of every scripted server that has none of its own. */
export const scriptedPair = selfSigned({ names: ['localhost', '127.0.0.1'], days: 1, now: Date.now() });

export async function serveScript(
  t: TestContext,
  script: Script,
  options: ScriptedOptions = {},
): Promise<ScriptedServer> {
  const { certificate = scriptedPair.certificate, key = scriptedPair.key } = options;
  const answers: Script = { ...scriptDefaults, ...script };
  const heard: string[] = [];
  const state = { heard, answers, writes: 0, connections: 0 };
  const talk = (socket: Socket, greet: boolean): void => {
    let text = '';
    /** Octets of a BDAT still to come; -1 within DATA. */
    let wanted = 0;
    const say = (word: string): void => {
      const answer = answers[word];
      const line = Array.isArray(answer) ? answer.shift() : answer;
      if (line === undefined) return;
      if (line === 'close') socket.end();
      else socket.write(`${line}\r\n`);
    };
    const sayData = (content: string): void => {
      heard.push(content);
      const lines = [answers.data ?? []].flat();
      for (const line of lines) line === 'close' ? socket.end() : socket.write(`${line}\r\n`);
    };
    const take = (line: string): void => {
      heard.push(line);
      const word = line.split(' ')[0]!.split(':')[0]!.toUpperCase();
      if (word === 'BDAT') wanted = Number(line.split(' ')[1]);
      else say(word);
      if (word === 'DATA' && String(answers.DATA).startsWith('354')) wanted = -1;
      if (word === 'STARTTLS' && String(answers.STARTTLS).startsWith('2')) {
        socket.removeAllListeners('data');
        const secured = new TLSSocket(socket, { isServer: true, cert: certificate, key });
        secured.on('error', () => {});
        talk(secured, false);
      }
    };
    const step = (): boolean => {
      if (wanted > 0) {
        if (text.length < wanted) return false;
        const content = text.slice(0, wanted);
        text = text.slice(wanted);
        wanted = 0;
        sayData(content);
        return true;
      }
      const mark = wanted === -1 ? '\r\n.\r\n' : '\r\n';
      const end = text.indexOf(mark);
      if (end === -1) return false;
      const line = text.slice(0, end);
      text = text.slice(end + mark.length);
      if (wanted === 0) take(line);
      else {
        wanted = 0;
        sayData(line);
      }
      return true;
    };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      state.writes += 1;
      text += chunk.toString('latin1');
      while (step());
    });
    if (greet) say('greeting');
  };
  const server = options.implicitTls
    ? createTlsServer({ cert: certificate, key }, (socket) => talk(socket, true))
    : createServer({ noDelay: true }, (socket) => talk(socket, true));
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    state.connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  t.after(() => (server.listening ? close() : undefined));
  return Object.assign(state, { port: (server.address() as AddressInfo).port, close });
}
