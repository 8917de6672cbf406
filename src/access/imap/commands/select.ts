/** SELECT and EXAMINE, with what a client that was here before has missed. RFC 9051 section 6.3.2, RFC 7162 section 3.2.5. */
import { command, type Done } from '../command.ts';
import { listText } from '../list-text.ts';
import type { Cursor } from '../parse/cursor.ts';
import { isInRanges, readSet, resolveSet, type SequenceSet } from '../parse/sequence-set.ts';
import { bad } from '../refusal.ts';
import { Selected } from '../selected.ts';
import type { Session } from '../session.ts';
import { setText } from '../write/text.ts';

interface Resync {
  readonly uidValidity: number;
  readonly modseq: number;
  readonly known: SequenceSet | undefined;
}

interface SelectArguments {
  readonly mailbox: string;
  readonly condstore: boolean;
  readonly resync: Resync | undefined;
}

export const select = selectCommand('SELECT', false);
export const examine = selectCommand('EXAMINE', true);

function selectCommand(name: string, readOnly: boolean) {
  return command({
    name,
    in: 'authenticated',
    parse: readArguments,
    run: (session, given) => open(session, given, readOnly),
  });
}

function readArguments(input: Cursor): SelectArguments {
  input.space();
  const mailbox = input.mailbox();
  let condstore = false;
  let resync: Resync | undefined;
  if (input.skip(' ')) {
    input.list(() => {
      const name = input.word();
      if (name === 'CONDSTORE') condstore = true;
      else if (name === 'QRESYNC') resync = readResync(input);
      else throw bad(`there is no parameter ${name.slice(0, 40)}`);
    });
  }
  return { mailbox, condstore, resync };
}

/** `(uidvalidity modseq [known-uids] [(numbers uids)])`. The last is a hint of what the client knows, not needed here. */
function readResync(input: Cursor): Resync {
  input.expect(' (');
  const uidValidity = input.nonZeroNumber();
  input.space();
  const modseq = input.modseq();
  let known: SequenceSet | undefined;
  if (input.skip(' ')) {
    if (input.next !== '(') {
      known = readSet(input);
      if (input.skip(' ')) skipMatchData(input);
    } else {
      skipMatchData(input);
    }
  }
  input.expect(')');
  return { uidValidity, modseq, known };
}

function skipMatchData(input: Cursor): void {
  input.expect('(');
  readSet(input);
  input.space();
  readSet(input);
  input.expect(')');
}

async function open(session: Session, given: SelectArguments, readOnly: boolean): Promise<Done> {
  if (given.resync && !session.has('QRESYNC')) throw bad('enable QRESYNC first');
  if (given.condstore || given.resync) session.enabled.add('CONDSTORE');
  const name = session.folderName(given.mailbox);
  const wasSelected = session.selectedOrNone !== undefined;
  session.deselect();
  // RFC 9051 section 7.1: what follows is of the other mailbox.
  if (wasSelected) session.untagged('OK [CLOSED] The previous mailbox is closed');
  const folder = await session.account.openFolder(name, { readOnly });
  try {
    await folder.refresh();
    session.select(new Selected(folder));
  } catch (error) {
    folder.close();
    throw error;
  }
  tellMailbox(session);
  if (given.resync) await tellMissed(session, given.resync);
  return { code: readOnly ? 'READ-ONLY' : 'READ-WRITE', text: 'The mailbox is selected' };
}

function tellMailbox(session: Session): void {
  const { selected } = session;
  const { snapshot } = selected.view;
  session.tellFlags();
  selected.hasNewKeywords();
  session.untagged(`${snapshot.count} EXISTS`);
  if (session.tellsRecent) {
    session.untagged(`${selected.countRecent()} RECENT`);
    const unseen = snapshot.firstUnseen();
    if (unseen >= 0) session.untagged(`OK [UNSEEN ${unseen + 1}] First unseen message`);
  }
  session.untagged(`OK [UIDVALIDITY ${snapshot.uidValidity}] UIDs are valid`);
  session.untagged(`OK [UIDNEXT ${snapshot.uidNext}] Next UID, at least`);
  session.untagged(`OK [HIGHESTMODSEQ ${snapshot.highestModseq}] Highest`);
  session.untagged(`OK [MAILBOXID (${selected.folder.mailboxId})] Its id`);
  if (session.has('IMAP4REV2')) {
    const { name } = selected.folder;
    const info = { name, exists: true, hasChildren: false, subscribed: false, specialUse: [] };
    session.untagged(`LIST ${listText(session, info).replace('\\HasNoChildren', '')}`);
  }
}

/** RFC 7162 section 3.2.5: first what is gone, then what changed; nothing where the mailbox is another one. */
async function tellMissed(session: Session, { uidValidity, modseq, known }: Resync): Promise<void> {
  const { folder, view } = session.selected;
  const { snapshot } = view;
  if (uidValidity !== snapshot.uidValidity) return;
  const ranges = known && known !== 'saved' ? resolveSet(known, snapshot.uidNext - 1) : undefined;
  const isKnown = (uid: number) => ranges === undefined || isInRanges(uid, ranges);
  const vanished = (await folder.vanishedSince(modseq)).filter(
    (uid) => isKnown(uid) && view.seqOf(uid) === 0,
  );
  if (vanished.length > 0) session.untagged(`VANISHED (EARLIER) ${setText(vanished)}`);
  for (let index = 0; index < snapshot.count; index += 1) {
    const uid = view.uids[index]!;
    if (snapshot.modseq(index) > modseq && isKnown(uid)) session.tellMessageFlags(uid, false);
    if (index % 1000 === 0) await session.out.drained();
  }
}
