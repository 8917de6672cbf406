/** rspamd's actions and edits as verdicts and edits of ours, as its own milter would have the MTA carry them out. */
import {
  addHeader,
  addRecipient,
  changeHeader,
  changeSender,
  deleteHeader,
  deleteRecipient,
  discard,
  type Edit,
  insertHeader,
  quarantine,
  reject,
  tempfail,
  type Verdict,
} from 'mailfilter/plugin';
import type { RspamdReply } from './reply.ts';

/** Undefined where the message goes on. */
export function verdictOf({ action, smtpMessage }: RspamdReply): Verdict | undefined {
  const text = (fallback: string) => smtpMessage?.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300) ?? fallback;
  switch (action) {
    case 'reject':
      return reject(554, '5.7.1', text('message is spam'));
    case 'soft reject':
      return tempfail(451, '4.7.1', text('try again later'));
    case 'quarantine':
      return quarantine(text('rspamd says so'));
    case 'discard':
      return discard(text('rspamd says so'));
    // What is to be delayed its greylist module has made a soft reject of; this is the rest, which has waited.
    case 'greylist':
    case 'no action':
    case 'add header':
    case 'rewrite subject':
      return undefined;
  }
}

/** Removed first, then added, so that what is forged goes and what rspamd writes stays. */
export function editsOf(reply: RspamdReply, subject: string): Edit[] {
  const { action, added, removed, dkimSignatures } = reply;
  const spam = action === 'add header' || action === 'rewrite subject';
  return [
    deleteHeader('X-Spam'),
    ...removed.map(({ name, nth }) => deleteHeader(name, nth > 0 ? nth : 'all')),
    ...added.map(({ name, value, order }) => {
      const text = folded(value);
      return order >= 0 ? insertHeader(order, name, text) : addHeader(name, text);
    }),
    ...dkimSignatures.map((value) => insertHeader(0, 'DKIM-Signature', folded(value))),
    ...(spam && !added.some(({ name }) => name.toLowerCase() === 'x-spam')
      ? [addHeader('X-Spam', 'Yes')]
      : []),
    ...(action === 'rewrite subject'
      ? [changeHeader('Subject', 1, reply.subject ?? `*** SPAM *** ${subject}`)]
      : []),
    ...(reply.changeFrom === undefined ? [] : [changeSender(bare(reply.changeFrom))]),
    ...reply.addRecipients.map((address) => addRecipient(bare(address))),
    ...reply.deleteRecipients.map((address) => deleteRecipient(bare(address))),
  ];
}

/** rspamd folds with LF or CRLF; a line that is not a continuation would be another field. */
function folded(value: string): string {
  return value.replace(/\r?\n[ \t]*/g, '\r\n\t').trim();
}

function bare(path: string): string {
  return path.replace(/^<(.*)>$/, '$1');
}
