/** What XFORWARD tells the next server of the client. Postfix's XFORWARD_README. */
import { isIPv6 } from 'node:net';
import type { Connection, Session } from '../../../core/session/connection.ts';

const unavailable = '[UNAVAILABLE]';

/** @param id of the transaction: the next server's log names it */
export function clientAttributes(
  { remoteIp, remoteName, remotePort }: Connection,
  { helo, esmtp }: Session,
  id: string,
): Readonly<Record<string, string>> {
  return {
    NAME: remoteName || unavailable,
    ADDR: remoteIp === '' ? unavailable : isIPv6(remoteIp) ? `IPV6:${remoteIp}` : remoteIp,
    PORT: remotePort === 0 ? unavailable : String(remotePort),
    PROTO: esmtp ? 'ESMTP' : 'SMTP',
    HELO: helo || unavailable,
    IDENT: id,
  };
}
