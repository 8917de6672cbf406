/** Mailboxes that could not take a copy after the 250: until one fits again, RCPT for them answers 452, so that senders keep their mail. */
import type { Clock } from '../../core/base/clock.ts';
import { troubledForgetMs, troubledUsersMax } from '../../core/base/limits/flow.ts';
import type { Reply } from '../../core/mail/reply.ts';

export interface TroubledMailboxes {
  /** RFC 3463: X.2.2 mailbox full, X.3.1 mail system full. */
  refusal(user: string): Reply | undefined;
  failed(user: string, overQuota: boolean): void;
  stored(user: string): void;
}

export function createTroubledMailboxes(clock: Clock): TroubledMailboxes {
  const troubled = new Map<string, { until: number; overQuota: boolean }>();
  return {
    refusal(user) {
      if (troubled.size === 0) return undefined;
      const trouble = troubled.get(user);
      if (!trouble) return undefined;
      if (trouble.until < clock.now()) {
        troubled.delete(user);
        return undefined;
      }
      return trouble.overQuota
        ? { code: 452, enhanced: '4.2.2', text: 'mailbox full, try again later' }
        : { code: 452, enhanced: '4.3.1', text: 'mailbox cannot be written now, try again later' };
    },
    failed(user, overQuota) {
      if (troubled.size < troubledUsersMax)
        troubled.set(user, { until: clock.now() + troubledForgetMs, overQuota });
    },
    stored(user) {
      if (troubled.size > 0) troubled.delete(user);
    },
  };
}
