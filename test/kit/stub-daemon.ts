/** A daemon of a test's own on loopback, that behaves as well or as badly as the test wants. */

import { mkdtempSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** What it does with each connection. */
export type Behaviour = (socket: Socket) => void;

export interface StubDaemon {
  /** `127.0.0.1:port`, or `unix:/path`. */
  readonly address: string;
  readonly port: number;
  readonly path: string;
  /** From now on. */
  behave(behaviour: Behaviour): void;
  /** Connections so far. */
  readonly connections: number;
  /** Ends it: nobody listens any more. */
  stop(): Promise<void>;
}

export async function startStubDaemon(
  t: TestContext,
  behaviour: Behaviour,
  { unix = false }: { unix?: boolean } = {},
): Promise<StubDaemon> {
  let current = behaviour;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    current(socket);
  });
  const path = unix ? join(mkdtempSync(join(tmpdir(), 'mailfilter-stub-')), 'daemon.sock') : '';
  await new Promise<void>((resolve) => {
    if (unix) server.listen(path, resolve);
    else server.listen(0, '127.0.0.1', resolve);
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  t.after(stop);
  return {
    address: unix ? `unix:${path}` : `127.0.0.1:${port}`,
    port,
    path,
    behave: (next) => {
      current = next;
    },
    get connections() {
      return connections;
    },
    stop,
  };
}

/** Reads up to where `isWhole` says so, answers, and ends. */
export function answering(isWhole: (heard: Buffer) => boolean, answer: (heard: Buffer) => string): Behaviour {
  return (socket) => {
    let heard = Buffer.alloc(0);
    let answered = false;
    const look = (ended: boolean) => {
      if (answered || !(ended || isWhole(heard))) return;
      answered = true;
      socket.end(answer(heard), 'latin1');
    };
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      look(false);
    });
    socket.on('end', () => look(true));
  };
}

/** What a daemon that is not well does, by name; `whole` is what a good one would have said. */
export function misbehaviours(isWhole: (heard: Buffer) => boolean, whole: string): Record<string, Behaviour> {
  return {
    'accepts and hangs': () => {},
    'closes at once': (socket) => socket.destroy(),
    'closes half way through the message': (socket) => socket.once('data', () => socket.destroy()),
    'hears all and closes': (socket) => {
      let heard = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        heard = Buffer.concat([heard, chunk]);
        if (isWhole(heard)) socket.destroy();
      });
      socket.on('end', () => socket.destroy());
    },
    'answers garbage': answering(isWhole, () => 'hello? \x00\x01\x02 anybody?\r\n\r\n'),
    'answers half': answering(isWhole, () => whole.slice(0, Math.floor(whole.length / 2))),
    'answers nothing but line ends': answering(isWhole, () => '\r\n\r\n'),
    'answers without end': (socket) => {
      const more = () => {
        while (socket.writable && socket.write('x'.repeat(65_536))) {}
      };
      socket.on('drain', more);
      socket.on('data', () => {});
      more();
    },
    'answers an octet a second': (socket) => {
      let at = 0;
      socket.on('data', () => {});
      const timer = setInterval(() => socket.write(whole[at++] ?? '', 'latin1'), 1000);
      socket.on('close', () => clearInterval(timer));
    },
  };
}
