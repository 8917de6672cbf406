/** Makes the verdicts that hooks answer with. Codes: RFC 5321 section 4.2.3, RFC 3463. */
import type { Verdict } from '../session/verdict.ts';

/** Go on with the next plugin; the same as returning nothing. */
export function proceed(): Verdict {
  return { action: 'continue' };
}

/** Trusted: later plugins of kind `verify` and `score` are skipped. Nothing else is: no route, no relay control, no signing. */
export function accept(): Verdict {
  return { action: 'accept' };
}

/**
 * Refuse for good. The class digit of `enhanced` is taken from the code, so `'x.7.1'` and `'5.7.1'` are the same.
 * @param code 500 to 559; 521 and 554 at connect also end the connection
 * @param enhanced RFC 3463 status
 * @param text what the client reads: no secrets; \n parts lines
 * @throws RangeError when the code is not of that range
 */
export function reject(code = 550, enhanced = '5.7.1', text = 'message refused'): Verdict {
  return { action: 'reject', code, enhanced: enhancedStatus(code, 5, enhanced), text };
}

/**
 * Refuse for now: the client is to try again later.
 * @param code 400 to 459; 421 also ends the connection
 * @param enhanced RFC 3463 status; its class digit is taken from the code
 * @param text what the client reads: no secrets; \n parts lines
 * @throws RangeError when the code is not of that range
 */
export function tempfail(code = 451, enhanced = '4.7.1', text = 'try again later'): Verdict {
  return { action: 'tempfail', code, enhanced: enhancedStatus(code, 4, enhanced), text };
}

/** Answer 250 and drop the message. The reason stands in the trace alone. */
export function discard(reason: string): Verdict {
  return { action: 'discard', reason };
}

/** Answer 250 and hold the message for an operator; a later reject or tempfail wins. The reason stands in the trace. */
export function quarantine(reason: string): Verdict {
  return { action: 'quarantine', reason };
}

function enhancedStatus(code: number, replyClass: 4 | 5, enhanced: string): string {
  if (!/^[45][0-5]\d$/.test(String(code)) || Math.floor(code / 100) !== replyClass) {
    throw new RangeError(`reply code ${code} is not ${replyClass}yz`);
  }
  const detail = /^.\.(\d{1,3}\.\d{1,3})$/.exec(enhanced)?.[1];
  if (detail === undefined) throw new RangeError(`enhanced status "${enhanced}" is not class.subject.detail`);
  return `${replyClass}.${detail}`;
}
