/** Tells the mta that a user moved messages: bayes learns from it, and rules of the mailbox run. RFC 6785. */
import type { Account, Copied } from '../../mailbox/mailbox.ts';
import { queueEvent } from './events.ts';
import { runEvent, scriptOf } from './imapsieve.ts';
import type { Session } from './session.ts';

/**
 * Not waited for: the client's answer tells of the mailbox alone, and what cannot be told is logged. Of copies too,
 * for that is how a client without MOVE moves.
 */
export function tellOfMoves(session: Session, to: string, copied: Copied): void {
  if (copied.to.length === 0) return;
  const { name: from } = session.selected.folder;
  const { house, user } = session;
  const tell = async (account: Account) => {
    const script = await scriptOf(house, account, to);
    const event = script === undefined ? undefined : ({ script, cause: 'COPY', changedFlags: [] } as const);
    const target = await account.openFolder(to, { readOnly: event === undefined });
    try {
      await target.refresh();
      for await (const { uid, octets } of target.messages(copied.to, 'all')) {
        await runEvent({ house, account, folder: target, user: user.address, uid, octets, from, event });
      }
    } finally {
      target.close();
    }
  };
  queueEvent(house, user, { failure: 'moved-not-told', messages: copied.to.length, tell });
}
