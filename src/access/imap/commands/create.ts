/** CREATE, DELETE and RENAME. RFC 9051 sections 6.3.4 to 6.3.6, RFC 6154 section 3. */
import { type SpecialUse, specialUses } from '../../../mailbox/mailbox.ts';
import { command } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';
import { bad, no } from '../refusal.ts';

export const create = command({
  name: 'CREATE',
  in: 'authenticated',
  parse(input) {
    input.space();
    const mailbox = input.mailbox();
    const uses: SpecialUse[] = [];
    if (input.skip(' ')) {
      input.list(() => {
        input.expect('USE ');
        uses.push(...input.list(() => readUse(input), { empty: true }));
      });
    }
    return { mailbox, uses };
  },
  async run(session, { mailbox, uses }) {
    const folder = session.folderName(mailbox);
    const { mailboxId } = await session.account.create(folder, uses);
    return { code: `MAILBOXID (${mailboxId})` };
  },
});

/** RFC 6154 section 3: an attribute that cannot be given is refused, not passed over. */
function readUse(input: Cursor): SpecialUse {
  const flag = input.flag().toLowerCase();
  if (!flag.startsWith('\\')) throw bad('a special use was expected');
  const use = specialUses.find((each) => each.toLowerCase() === flag);
  if (!use) throw no('this special use is not known', 'USEATTR');
  return use;
}

export const deleteMailbox = command({
  name: 'DELETE',
  in: 'authenticated',
  parse(input) {
    input.space();
    return input.mailbox();
  },
  async run(session, mailbox) {
    const folder = session.folderName(mailbox);
    const isSelected = session.selectedOrNone?.folder.name === folder;
    await session.account.delete(folder);
    if (!isSelected) return;
    session.deselect();
    session.untagged('OK [CLOSED] The selected mailbox is deleted');
  },
});

export const rename = command({
  name: 'RENAME',
  in: 'authenticated',
  parse(input) {
    input.space();
    const from = input.mailbox();
    input.space();
    return { from, to: input.mailbox() };
  },
  async run(session, { from, to }) {
    const before = session.folderName(from);
    const after = session.folderName(to);
    const selected = session.selectedOrNone?.folder.name;
    await session.account.rename(before, after);
    // INBOX stays where it is; what its messages are now is told as ever.
    if (selected === undefined || before === 'INBOX') return;
    if (selected === before || selected.startsWith(`${before}/`))
      await session.follow(after + selected.slice(before.length));
  },
});
