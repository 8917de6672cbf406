/**
 * Acknowledging what a peer has sent although there is nothing to answer: tcp(7), TCP_QUICKACK. A peer that writes in
 * small pieces holds the next one back until the last is acknowledged (Nagle's algorithm), and an
 * acknowledgement alone waits 40 ms for something to travel with.
 */
import type { Socket } from 'node:net';
import koffi from 'koffi';

export interface QuickAck {
  /** Sends the acknowledgement that is due, if one is. Not for unix sockets, which know none. */
  acknowledge(socket: Socket): void;
}

/** Undefined where the system lacks it. */
export const quickAck: QuickAck | undefined = process.platform === 'linux' ? load() : undefined;

function load(): QuickAck | undefined {
  try {
    const setsockopt = koffi
      .load(null)
      .func('int setsockopt(int fd, int level, int name, const int *value, unsigned int length)');
    return {
      acknowledge(socket) {
        const fd = descriptorOf(socket);
        // Where it fails, the 40 ms are not saved and nothing else happens.
        if (fd >= 0) setsockopt(fd, ipprotoTcp, tcpQuickack, [1], 4);
      },
    };
  } catch {
    // No shared C library to call.
    return undefined;
  }
}

/** -1 where the socket is closed. Node gives no public name to it. */
function descriptorOf(socket: Socket & { readonly _handle?: { readonly fd?: number } | null }): number {
  return socket._handle?.fd ?? -1;
}

/** From netinet/in.h and linux/tcp.h, the same on every architecture. */
const ipprotoTcp = 6;
const tcpQuickack = 12;
