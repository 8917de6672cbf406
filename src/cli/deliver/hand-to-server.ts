/** A message for a user of the running server: over its unix socket, by LMTP, so that 0 means what 250 means. RFC 2033. */
import { hostname } from 'node:os';
import { renderStream } from '../../../core/mail/render.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import { SmtpClient } from '../../../core/net/smtp-client.ts';
import { isPositive } from '../../../core/net/smtp-reply.ts';
import { deliverySocket } from '../../delivery-socket.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';
import { refusalOf } from './refusal.ts';

/** @throws DeliveryError by the server's answer; EX_TEMPFAIL where no server answers */
export async function handToServer(
  dataDirectory: string,
  sender: string,
  recipient: string,
  source: MessageSource,
): Promise<void> {
  const path = deliverySocket(dataDirectory);
  const client = await connect(path);
  try {
    const chunks = renderStream(source, [], { lineEnds: 'crlf', smtputf8: true });
    const { recipients } = await client.send(
      { sender, recipients: [recipient], body: '8bitmime' },
      { length: source.length, chunks },
    );
    const reply = recipients[0]!;
    if (isPositive(reply)) return;
    throw refusalOf(reply);
  } finally {
    client.destroy();
  }
}

async function connect(path: string): Promise<SmtpClient> {
  try {
    return await SmtpClient.connect({ to: { path }, name: hostname(), protocol: 'lmtp' });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new DeliveryError(deliveryCodes.tempFail, `no server takes mail at ${path}: ${words}`, '4.3.2');
  }
}
