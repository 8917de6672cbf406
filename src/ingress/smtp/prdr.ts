/**
 * An answer for each recipient after the data, and one for the message: PRDR, draft-hall-prdr-00, as Exim speaks it. What was
 * refused to one recipient then needs no bounce, and who is to wait waits at the client.
 */
import type { Reply } from '../../../core/mail/reply.ts';
import type { SmtpSession } from './session.ts';

/** Behind a filter door the next server has the answers, and there is one of it; LMTP needs no extension. */
export function prdrOffered({ door }: SmtpSession): boolean {
  return door.protocol === 'smtp' || door.protocol === 'submission';
}

const begins: Reply = { code: 353, text: 'Recipients one by one' };

/** @param each one for every accepted RCPT, in order */
export function prdrReplies(each: readonly Reply[]): Reply[] {
  const [first] = each;
  const same = each.every(({ code, text }) => code === first?.code && text === first?.text);
  // Who refuses the message as a whole says so once.
  if (first !== undefined && first.code >= 400 && same) return [first];
  return [begins, ...each, summary(each)];
}

/** The client goes by it where it says no: then nobody's yes counts. */
function summary(each: readonly Reply[]): Reply {
  const accepted = each.filter(({ code }) => code < 400).length;
  if (accepted > 0) return { code: 250, enhanced: '2.0.0', text: `Ok for ${accepted} of ${each.length}` };
  const later = each.some(({ code }) => code < 500);
  return later
    ? { code: 451, enhanced: '4.0.0', text: 'not now, for nobody' }
    : { code: 550, enhanced: '5.0.0', text: 'refused for everybody' };
}
