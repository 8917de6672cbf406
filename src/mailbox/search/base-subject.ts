/** The base subject by which SORT and THREAD compare: without `Re:`, `Fwd:`, list names and `(fwd)`. RFC 5256 section 2.1. */

import { indexLimits } from '../../../core/base/limits/mailbox.ts';

/** @param subject decoded; what is past the limit is not compared: taking leaders off one by one is quadratic */
export function baseSubject(subject: string): { readonly base: string; readonly isReplyOrForward: boolean } {
  if (!mayHaveMore.test(subject) && subject.length <= indexLimits.subjectCharactersMax)
    return { base: subject, isReplyOrForward: false };
  // (1) continuation lines and runs of white space are one space.
  let text = subject.slice(0, indexLimits.subjectCharactersMax).replace(/\s+/g, ' ');
  let isReplyOrForward = false;
  for (;;) {
    // (2) trailers
    const trimmed = text.replace(/(?: |\(fwd\))+$/i, '');
    if (/\(fwd\)\s*$/i.test(text)) isReplyOrForward = true;
    text = trimmed;
    // (3) to (5) leaders, and blobs unless nothing else is left
    for (;;) {
      const leader = /^(?:\[[^[\]]*\] *)*(?:re|fwd?) *(?:\[[^[\]]*\])? *:/i.exec(text);
      const blank = /^ +/.exec(text);
      const blob = /^\[[^[\]]*\] *(?=.)/.exec(text);
      if (leader) isReplyOrForward = true;
      const taken = leader ?? blank ?? blob;
      if (!taken) break;
      text = text.slice(taken[0].length);
    }
    // (6) `[fwd: ... ]`
    const forwarded = /^\[fwd:(.*)\]$/i.exec(text);
    if (!forwarded) return { base: text, isReplyOrForward };
    isReplyOrForward = true;
    text = forwarded[1]!;
  }
}

/** What every leader, blob and trailer has, and white space that is not a single space between words. */
const mayHaveMore = /[:[(]|^\s|\s$|\s\s|[^\S ]/;
