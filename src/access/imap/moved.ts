/** Tells the mta that a user moved messages: bayes and IMAPSIEVE learn from it. RFC 6785. */
import { describeError } from '../../../core/base/errors.ts';
import type { Copied } from '../../mailbox/mailbox.ts';
import type { Session } from './session.ts';

/**
 * Not waited for: the client's answer tells of the mailbox alone, and what cannot be told is logged. Of copies too,
 * for that is how a client without MOVE moves.
 */
export function tellOfMoves(session: Session, to: string, copied: Copied): void {
  if (copied.to.length === 0) return;
  const { name: from } = session.selected.folder;
  const { account, house, user } = session;
  const work = async () => {
    const target = await account.openFolder(to, { readOnly: true });
    try {
      await target.refresh();
      for await (const { uid, octets } of target.messages(copied.to, 'all')) {
        const index = target.snapshot.indexOf(uid);
        const flags = index < 0 ? [] : target.snapshot.flagNames(index);
        await house.mta.moved({ user: user.address, message: octets, from, to, flags });
      }
    } finally {
      target.close();
    }
  };
  work().catch((error) =>
    house.log.warn('moved-not-told', { user: user.address, error: describeError(error) }),
  );
}
