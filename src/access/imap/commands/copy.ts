/** COPY and MOVE. RFC 9051 sections 6.4.7 and 6.4.8. */
import type { Copied } from '../../../mailbox/mailbox.ts';
import { type Call, command, type Done } from '../command.ts';
import { tellOfMoves } from '../moved.ts';
import type { Cursor } from '../parse/cursor.ts';
import { readSet, type SequenceSet } from '../parse/sequence-set.ts';
import { intoTarget, no } from '../refusal.ts';
import type { Session } from '../session.ts';
import { setText } from '../write/text.ts';

interface CopyArguments {
  readonly set: SequenceSet;
  readonly mailbox: string;
}

export const copy = command({
  name: 'COPY',
  in: 'selected',
  hasUidForm: true,
  parse: readArguments,
  async run(session, given, call): Promise<Done | undefined> {
    const { uids, target } = located(session, given, call);
    if (uids.length === 0) return nothingThere;
    const { folder } = session.selected;
    const copied = await intoTarget(folder.copy(uids, target));
    tellOfMoves(session, target, copied);
    if (target === folder.name) await folder.refresh();
    if (copied.from.length === 0) throw no('the messages are gone', 'EXPUNGEISSUED');
    return { code: copyUid(copied) };
  },
});

export const move = command({
  name: 'MOVE',
  in: 'selected',
  hasUidForm: true,
  parse: readArguments,
  async run(session, given, call): Promise<Done | undefined> {
    const { folder } = session.writable;
    const { uids, target } = located(session, given, call);
    if (uids.length === 0) return nothingThere;
    if (target === folder.name) throw no('the messages are in this mailbox', 'CANNOT');
    const moved = await intoTarget(folder.move(uids, target));
    tellOfMoves(session, target, moved);
    if (moved.from.length === 0) throw no('the messages are gone', 'EXPUNGEISSUED');
    // RFC 6851 section 4.3: before the EXPUNGE responses, whose UIDs it explains.
    session.untagged(`OK [${copyUid(moved)}] Moved`);
    session.announce(true);
    return session.has('QRESYNC') ? { code: `HIGHESTMODSEQ ${folder.snapshot.highestModseq}` } : undefined;
  },
});

function readArguments(input: Cursor): CopyArguments {
  input.space();
  const set = readSet(input);
  input.space();
  return { set, mailbox: input.mailbox() };
}

function located(session: Session, { set, mailbox }: CopyArguments, call: Call) {
  return { uids: session.selected.uidsOf(set, call.uid), target: session.folderName(mailbox) };
}

/** UIDs that are not there are passed over. RFC 9051 section 6.4.9. */
const nothingThere: Done = { text: 'There was nothing to do' };

function copyUid({ uidValidity, from, to }: Copied): string {
  return `COPYUID ${uidValidity} ${setText(from)} ${setText(to)}`;
}
