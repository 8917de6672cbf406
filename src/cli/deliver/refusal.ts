/** What a server's refusal is as the end of a delivery. */
import type { SmtpReply } from '../../../core/net/smtp-reply.ts';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';

export function refusalOf({ code, enhanced, text }: SmtpReply): DeliveryError {
  return new DeliveryError(exitCode(code, enhanced), text, enhanced);
}

function exitCode(code: number, enhanced: string | undefined): number {
  if (code < 500) return deliveryCodes.tempFail;
  if (enhanced === '5.3.4') return deliveryCodes.unavailable;
  return enhanced === '5.1.1' ? deliveryCodes.noUser : deliveryCodes.noPermission;
}
