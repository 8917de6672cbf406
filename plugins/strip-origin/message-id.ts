/** A Message-ID that does not name the host it was made on. RFC 5322 section 3.6.4. */
import { createHash } from 'node:crypto';

/**
 * The Message-ID to write instead, or undefined when the right side is a domain of ours or the sender's; a name below
 * one of these may well be the client's host.
 * The same original always gives the same answer, so that a hook that runs twice, or a copy, threads as before.
 * @param ours domains and host names of this installation, lower case; the first serves as the new right side where the
 *   null sender gives none
 */
export function hiddenMessageId(value: string, sender: string, ours: readonly string[]): string | undefined {
  const right = /@([^@<>\s]+)>?\s*$/.exec(value.slice(-1000))?.[1]?.toLowerCase() ?? '';
  const senderDomain = sender.slice(sender.lastIndexOf('@') + 1).toLowerCase();
  const fitting = senderDomain === '' ? ours : [senderDomain, ...ours];
  if (fitting.includes(right)) return undefined;
  const digest = createHash('sha256').update(value).digest('hex').slice(0, 40);
  return `<${digest}@${fitting[0]}>`;
}
