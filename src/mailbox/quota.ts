/**
 * Who has room for how much: what lies in a mailbox, and what was promised to it and is not stored yet. Room is set
 * aside before the 250, so that a promise is never broken by a quota.
 */
import type { Clock } from '../../core/base/clock.ts';
import { quotaUsersMax } from '../../core/base/limits/flow.ts';
import { maildirSizeStamp } from './maildirsize.ts';
import { maildirUsage, mboxUsage } from './usage.ts';

export interface QuotaLedger {
  /**
   * Sets octets aside; false when they do not fit. A quota of 0 is no limit.
   * @param path absolute: the Maildir, or the INBOX mbox
   * @throws system errors when the mailbox cannot be counted
   */
  reserve(user: string, path: string, quotaBytes: number, octets: number): Promise<boolean>;
  /** Gives back what was set aside and will not be stored, or is stored. */
  release(user: string, octets: number): void;
  /** Adds what lies in the mailbox now, until it is counted again. */
  stored(user: string, octets: number): void;
  /** Octets that lie in the mailbox, counted at most a minute ago. @throws system errors */
  usage(user: string, path: string, quotaBytes: number): Promise<number>;
  /** Counts again at the next question. */
  recount(user: string): void;
}

export interface QuotaLedgerOptions {
  readonly format: 'maildir' | 'mbox';
  readonly clock: Clock;
}

/** Users expunge and other programs deliver: after this long the mailbox is counted again. */
const countedForMs = 60_000;

interface Account {
  reserved: number;
  used: number;
  countedAt: number;
  counting: Promise<void> | undefined;
  /** Of the count that all processes share, when it was read. */
  stamp: string;
}

export function createQuotaLedger({ format, clock }: QuotaLedgerOptions): QuotaLedger {
  const accounts = new Map<string, Account>();

  function accountOf(user: string): Account {
    const known = accounts.get(user);
    if (known) return known;
    if (accounts.size >= quotaUsersMax) forgetIdle(accounts);
    const account: Account = {
      reserved: 0,
      used: 0,
      countedAt: Number.NEGATIVE_INFINITY,
      counting: undefined,
      stamp: '',
    };
    accounts.set(user, account);
    return account;
  }

  function stampOf(path: string): string {
    return format === 'maildir' ? maildirSizeStamp(path) : '';
  }

  async function count(account: Account, path: string, quotaBytes: number): Promise<void> {
    const startedAt = clock.monotonicMs();
    const used = format === 'maildir' ? maildirUsage(path, quotaBytes, clock.now()) : mboxUsage(path);
    account.used = await used;
    account.countedAt = startedAt;
    account.stamp = stampOf(path);
  }

  async function counted(account: Account, path: string, quotaBytes: number): Promise<void> {
    // Another process delivered or expunged: the count that they share says so.
    const changed = account.stamp !== stampOf(path);
    if (changed || clock.monotonicMs() - account.countedAt > countedForMs) {
      account.counting ??= count(account, path, quotaBytes).finally(() => {
        account.counting = undefined;
      });
    }
    await account.counting;
  }

  return {
    async reserve(user, path, quotaBytes, octets) {
      if (quotaBytes === 0) return true;
      const account = accountOf(user);
      // Held from the start: while one counts, others may ask for the same room.
      account.reserved += octets;
      try {
        await counted(account, path, quotaBytes);
      } catch (error) {
        account.reserved -= octets;
        throw error;
      }
      if (account.used + account.reserved <= quotaBytes) return true;
      account.reserved -= octets;
      return false;
    },
    release(user, octets) {
      const account = accounts.get(user);
      // Mail accepted before a restart, or before there was a quota, had nothing set aside here.
      if (account) account.reserved = Math.max(0, account.reserved - octets);
    },
    stored(user, octets) {
      const account = accounts.get(user);
      if (account) account.used += octets;
    },
    async usage(user, path, quotaBytes) {
      const account = accountOf(user);
      await counted(account, path, quotaBytes);
      return account.used;
    },
    recount(user) {
      const account = accounts.get(user);
      if (account) account.countedAt = Number.NEGATIVE_INFINITY;
    },
  };
}

/** Accounts that hold nothing can be counted anew. */
function forgetIdle(accounts: Map<string, Account>): void {
  for (const [user, { reserved, counting }] of accounts)
    if (reserved === 0 && !counting) accounts.delete(user);
}
