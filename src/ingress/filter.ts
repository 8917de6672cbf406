/**
 * The doors of a filter in front of another server: content filter (behind the MTA's queue) and proxy filter (before it).
 * Nothing is acknowledged before the next server has done so. Postfix's FILTER_README and SMTPD_PROXY_README.
 */
import { idleNextMs } from '../../core/base/limits/doors.ts';
import { NextConnections } from './filter/next-connections.ts';
import { NextKeeper } from './filter/next-keeper.ts';
import { createSmtpDoor, type SmtpDoor, type SmtpDoorOptions } from './smtp.ts';

/** Speaks to its clients what it speaks to `next`: SMTP, or LMTP with an answer for each recipient. Throws as createSmtpDoor. */
export async function createFilterDoor(options: SmtpDoorOptions): Promise<SmtpDoor> {
  const { listener, config, log } = options;
  const next = listener.next;
  if (next === undefined) throw new TypeError(`listener "${listener.name}" has no "next"`);
  const { address, protocol } = next;
  const to = address.kind === 'tcp' ? { host: address.host, port: address.port } : { path: address.path };
  const connections = new NextConnections({ to, protocol, name: config.hostname }, idleNextMs);
  const settings = {
    connections,
    log,
    via: next.text,
    lmtp: protocol === 'lmtp',
    // Before the queue it is one message with one answer.
    editsPerRecipient: listener.protocol === 'content-filter',
  };
  const door = await createSmtpDoor({
    ...options,
    openSession: (connection) => options.openSession(connection, new NextKeeper(settings)),
  });
  return {
    ...door,
    close: async (drainMs, decisionMs) => {
      await door.close(drainMs, decisionMs);
      connections.close();
    },
  };
}
