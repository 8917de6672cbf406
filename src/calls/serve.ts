/** The mta's side of calls between roles: a unix socket that only the server's own user may open. */
import { createServer, type Socket } from 'node:net';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import type { Log } from '../../core/base/log.ts';
import { listen } from '../sockets/listen.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import type { AnswerFrame, CallFrame, WireCalls } from './mta-calls.ts';
import { callSocket } from './socket-path.ts';

/** @throws OperationalError `listen` @returns what ends it: calls that came are answered first */
export async function serveCalls(
  runDirectory: string,
  calls: WireCalls,
  log: Log,
): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const running = new Set<Promise<void>>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const reader = new FrameReader();
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of reader.take(chunk)) {
          const answering = answer(socket, frame as CallFrame, calls, log);
          running.add(answering);
          answering.finally(() => running.delete(answering));
        }
      } catch (error) {
        log.error('call-unreadable', { error: describeError(error) });
        socket.destroy();
      }
    });
  });
  const place = callSocket(runDirectory);
  try {
    await listen(server, { name: 'calls', address: { kind: 'unix', path: place.path, mode: 0o600 } });
  } finally {
    place.release();
  }
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(running);
    for (const socket of sockets) socket.destroySoon();
    await closed;
  };
}

async function answer(socket: Socket, frame: CallFrame, calls: WireCalls, log: Log): Promise<void> {
  const { call, name, argument } = frame;
  const settled = await settle(calls, name, argument, log);
  if (socket.writable) socket.write(encodeFrame({ call, ...settled } satisfies AnswerFrame));
}

async function settle(
  calls: WireCalls,
  name: keyof WireCalls,
  argument: unknown,
  log: Log,
): Promise<Omit<AnswerFrame, 'call'>> {
  try {
    // The other side is this same program: the argument is what the types say.
    return { value: await (calls[name] as (argument: unknown) => Promise<unknown>)(argument) };
  } catch (error) {
    if (error instanceof OperationalError) {
      const { code, message, temporary } = error;
      return { error: { code, message, temporary } };
    }
    log.error('call-bug', { name, error: describeError(error) });
    return { error: { code: 'call-failed', message: describeError(error), temporary: true } };
  }
}
