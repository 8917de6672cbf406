/** What one transaction says of a message to the next host, and the octets that it is given. */
import type { Envelope } from '../../core/mail/envelope.ts';
import { type Rendered, streamRendered } from '../../core/mail/render.ts';
import { type SevenBitPlan, streamSevenBit } from '../../core/mail/seven-bit.ts';
import { secondsLeft } from '../../core/mail/timed-parameters.ts';
import type { OutgoingMessage, SmtpClient } from '../../core/net/smtp-client.ts';
import { needsUtf8, type OutgoingEnvelope } from '../../core/net/smtp-commands.ts';
import type { OutboundMail } from './outbound.ts';

/** @param indices of the recipients of `mail` that go in this transaction */
export function outgoingEnvelope(mail: OutboundMail, indices: readonly number[]): OutgoingEnvelope {
  const { sender, envelope, recipients, rendered } = mail;
  return {
    sender,
    recipients: indices.map((index) => {
      const { address, notify, orcpt } = recipients[index]!;
      return { address, notify, ...(orcpt === undefined ? {} : { orcpt }) };
    }),
    ...asSent(envelope, rendered),
    ...timed(mail),
  };
}

/** RFC 6531 section 3.1: SMTPUTF8 brings 8-bit content with it. */
export function takesEightBit({ extensions }: SmtpClient, envelope: OutgoingEnvelope): boolean {
  return extensions.has('8BITMIME') || envelope.body === 'binarymime' || needsUtf8(envelope);
}

/** RFC 6152 section 3. A converted message has no length beforehand: SIZE is not said, and it goes by DATA. */
export function outgoingMessage(rendered: Rendered, plan: SevenBitPlan): OutgoingMessage {
  const chunks = streamRendered(rendered, 'crlf');
  if (typeof plan === 'string') return { length: rendered.length, chunks };
  return { chunks: streamSevenBit(chunks, plan) };
}

/** LMTP delivers as it answers: no deadline is left to pass on. */
function timed({ envelope: { deliverBy, priority }, via }: OutboundMail) {
  const seconds = deliverBy && secondsLeft(deliverBy.until, Date.now());
  return {
    ...(deliverBy && !via.startsWith('lmtp:') && { deliverBy: { ...deliverBy, seconds: seconds! } }),
    ...(priority !== undefined && { priority }),
  };
}

/** RFC 6531 section 3.6: what needs no SMTPUTF8 is not held up by a server without it. */
function asSent(
  { body, smtputf8, requireTls, ret, envid }: OutboundMail['envelope'],
  { header }: Rendered,
): Pick<Envelope, 'body' | 'smtputf8' | 'requireTls' | 'ret' | 'envid'> {
  const utf8 = smtputf8 && header.some((chunk) => chunk.some((octet) => octet > 127));
  return {
    body,
    smtputf8: utf8,
    requireTls,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
  };
}
