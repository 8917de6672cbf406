/** LSUB. RFC 3501 section 6.3.9. */
import { command } from '../command.ts';
import { listPattern } from '../list-pattern.ts';

export const lsub = command({
  name: 'LSUB',
  in: 'authenticated',
  parse(input) {
    input.space();
    const reference = input.mailbox();
    input.space();
    return reference + input.listMailbox();
  },
  async run(session, pattern) {
    const isMatch = listPattern(session.patternText(pattern));
    const told = new Map<string, boolean>();
    for (const { name, subscribed } of await session.account.list()) {
      if (!subscribed) continue;
      if (isMatch(name)) told.set(name, true);
      // A level that matches where the subscribed name below it does not is told as \Noselect.
      else
        for (const above of levelsAbove(name)) if (isMatch(above) && !told.has(above)) told.set(above, false);
    }
    for (const [name, isSubscribed] of told) {
      session.untagged(`LSUB (${isSubscribed ? '' : '\\Noselect'}) "/" ${session.mailboxText(name)}`);
    }
  },
});

function levelsAbove(name: string): string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
