/** The mail as it came, whole and in memory: expressions look at all of it. */
import { procmailLimits } from '../../../../core/base/limits/rules.ts';
import { DeliveryError, deliveryCodes } from '../delivery-error.ts';

/** @throws DeliveryError EX_TEMPFAIL for nothing at all, EX_UNAVAILABLE above the limit */
export async function readMail(
  input: AsyncIterable<Uint8Array>,
  octetsMax: number = procmailLimits.mailBytesMax,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > octetsMax) {
      throw new DeliveryError(deliveryCodes.unavailable, `larger than ${octetsMax} octets`, '5.3.4');
    }
    chunks.push(chunk);
  }
  if (length === 0) throw new DeliveryError(deliveryCodes.tempFail, 'there is no message', '4.6.0');
  return Buffer.concat(chunks);
}
