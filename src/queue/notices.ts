/** What the sender is to hear of mail that has not failed: that it is late, or was passed on where nobody reports further. RFC 3461 sections 4.1 and 5.2. */
import type { Attempt, QueueEntry, QueueWork } from './queue.ts';
import type { Schedule } from './schedule.ts';

export interface Notice {
  /** The entry that it tells of, or the first of them. */
  readonly entry: QueueEntry;
  readonly id: string;
  readonly work: QueueWork & { readonly kind: 'notice' };
}

interface Ended {
  readonly entry: QueueEntry;
  readonly attempt: Attempt | undefined;
}

/** At most one notice for those that are done, and one for each that waits; which of these are due is for `wantsDelayNotice`. */
export function noticesOf(ended: readonly Ended[]): Notice[] {
  const passedOn: Notice[] = [];
  const delayed: Notice[] = [];
  for (const { entry, attempt } of ended) {
    const { work } = entry;
    if (work.kind !== 'relay' || entry.envelope.sender === '') continue;
    if (attempt?.outcome === 'done' && attempt.notice) {
      const { action, ...report } = attempt.notice;
      const reports = work.recipients.map((recipient) => ({ recipient, ...report }));
      passedOn.push({ entry, id: `${entry.id}/told`, work: { kind: 'notice', action, reports } });
    } else if (attempt?.outcome === 'retry') {
      const remote = attempt.remoteMta === undefined ? {} : { remoteMta: attempt.remoteMta };
      const reply = { code: 451, enhanced: '4.4.1', text: attempt.reason };
      const reports = work.recipients.map((recipient) => ({
        recipient,
        reply,
        retryUntil: entry.expiresAt,
        ...remote,
      }));
      delayed.push({
        entry,
        id: `${entry.id}/delayed`,
        work: { kind: 'notice', action: 'delayed', reports },
      });
    }
  }
  const [first] = passedOn;
  if (first === undefined) return delayed;
  const together = { ...first.work, reports: passedOn.flatMap(({ work }) => work.reports) };
  return [{ ...first, work: together }, ...delayed];
}

/** Who names DELAY wants it, who names something else does not, and who names nothing gets what the operator set. */
export function wantsDelayNotice(
  { work, envelope, createdAt, expiresAt }: QueueEntry,
  { delayNoticeSeconds = 0 }: Schedule,
  now: number,
): boolean {
  if (work.kind !== 'relay') return false;
  const notify = work.recipients.flatMap((recipient) => recipient.notify);
  const asked = notify.includes('delay');
  if (notify.length > 0 && !asked) return false;
  // RFC 2852 section 4.1.2: the sender named the time himself.
  if (envelope.deliverBy?.mode === 'notify' && now >= envelope.deliverBy.until) return now < expiresAt;
  if (delayNoticeSeconds === 0 && !asked) return false;
  const after = delayNoticeSeconds === 0 ? defaultDelaySeconds : delayNoticeSeconds;
  // A notice that comes with the bounce is of no use.
  return now - createdAt >= after * 1000 && now < expiresAt;
}

/** RFC 5321 leaves it open; sendmail has said after four hours for decades. */
const defaultDelaySeconds = 4 * 3600;
