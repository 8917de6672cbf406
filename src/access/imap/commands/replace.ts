/** REPLACE and UID REPLACE: a new message in the place of one of the selected mailbox. RFC 8508. */
import { command } from '../command.ts';
import { takesMessageLiteral } from '../message-source.ts';
import { readSet } from '../parse/sequence-set.ts';
import { bad, no } from '../refusal.ts';
import { setText } from '../write/text.ts';
import { appendAll, readNewMessage } from './append.ts';

export const replace = command({
  name: 'REPLACE',
  in: 'selected',
  hasUidForm: true,
  takesMessage: takesMessageLiteral,
  parse(input) {
    input.space();
    const set = readSet(input);
    if (set === 'saved' || set.length !== 1 || set[0]![0] !== set[0]![1])
      throw bad('one message was expected');
    input.space();
    const mailbox = input.mailbox();
    input.space();
    return { set, mailbox, message: readNewMessage(input) };
  },
  async run(session, { set, mailbox, message }, call) {
    const { folder } = session.writable;
    const [uid] = session.selected.uidsOf(set, call.uid);
    if (uid === undefined) throw no('there is no such message', 'NONEXISTENT');
    const target = session.folderName(mailbox);
    const { uidValidity, uids } = await appendAll(session, target, [message]);
    // RFC 8508 section 3: the client may rely on the new one before the old one goes.
    session.untagged(`OK [APPENDUID ${uidValidity} ${setText(uids)}] Replacement is there`);
    await folder.remove([uid]);
    await folder.refresh();
    session.announce(true);
  },
});
