/** Reads the PROXY header that a listed proxy must send first, and leaves the client's own octets on the socket. */
import type { Socket } from 'node:net';
import { proxyHeaderBytesMax } from '../../core/base/limits/doors.ts';
import { type ProxyHeader, parseProxyHeader } from '../../core/net/proxy-protocol.ts';

export type ProxyOutcome = Extract<ProxyHeader, { kind: 'local' | 'proxied' | 'malformed' }>;

/** Calls back once: with the header, or why there is none. The caller bounds the time by destroying the socket. */
export function readProxyHeader(socket: Socket, done: (outcome: ProxyOutcome) => void): void {
  let read = Buffer.alloc(0);
  const finish = (outcome: ProxyOutcome) => {
    socket.off('readable', onReadable);
    socket.off('end', onEnd);
    socket.off('close', onEnd);
    socket.off('error', onEnd);
    done(outcome);
  };
  const onEnd = () => finish({ kind: 'malformed', reason: 'connection ended before the PROXY header' });
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      read = Buffer.concat([read, chunk]);
      const header = parseProxyHeader(read);
      if (header.kind === 'incomplete' && read.length <= proxyHeaderBytesMax) continue;
      if (header.kind === 'incomplete') {
        finish({ kind: 'malformed', reason: 'PROXY header too long' });
        return;
      }
      if (header.kind !== 'malformed' && header.length < read.length) {
        socket.unshift(read.subarray(header.length));
      }
      finish(header);
      return;
    }
  };
  socket.on('readable', onReadable);
  socket.once('end', onEnd);
  socket.once('close', onEnd);
  socket.once('error', onEnd);
}
