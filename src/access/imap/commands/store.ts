/** STORE and UID STORE. RFC 9051 section 6.4.6, RFC 7162 section 3.1.3. */

import { isKeyword, isSystemFlag } from '../../../mailbox/flags.ts';
import type { FlagChange, Stored } from '../../../mailbox/mailbox.ts';
import type { Snapshot } from '../../../mailbox/snapshot.ts';
import { type Call, command, type Done } from '../command.ts';
import { tellOfEvent } from '../imapsieve.ts';
import type { Cursor } from '../parse/cursor.ts';
import { readSet, type SequenceSet } from '../parse/sequence-set.ts';
import { bad } from '../refusal.ts';
import type { Session } from '../session.ts';
import { setText } from '../write/text.ts';

interface StoreArguments {
  readonly set: SequenceSet;
  readonly unchangedSince: number | undefined;
  readonly change: FlagChange;
  readonly silent: boolean;
}

export const store = command({
  name: 'STORE',
  in: 'selected',
  hasUidForm: true,
  keepsNumbers: true,
  parse: readArguments,
  run: change,
});

function readArguments(input: Cursor): StoreArguments {
  input.space();
  const set = readSet(input);
  input.space();
  let unchangedSince: number | undefined;
  if (input.next === '(') {
    input.list(() => {
      input.expect('UNCHANGEDSINCE ');
      unchangedSince = input.modseq();
    });
    input.space();
  }
  const how = input.skip('+') ? 'add' : input.skip('-') ? 'remove' : 'replace';
  const name = input.take(/[A-Za-z.]+/y).toUpperCase();
  if (name !== 'FLAGS' && name !== 'FLAGS.SILENT') throw bad('FLAGS was expected');
  input.space();
  return { set, unchangedSince, change: { how, flags: readFlags(input) }, silent: name === 'FLAGS.SILENT' };
}

/** Flags that a message can keep, in a list or not; `\Recent` is not the client's to set. */
export function readFlags(input: Cursor): string[] {
  const flags: string[] = [];
  if (input.next === '(') flags.push(...input.list(() => input.flag(), { empty: true }));
  else
    do flags.push(input.flag());
    while (input.skip(' '));
  for (const flag of flags) {
    if (!isSystemFlag(flag) && !isKeyword(flag))
      throw bad(`${flag.slice(0, 40)} is no flag that can be kept`);
  }
  return flags;
}

/** By UID, what the command changed: what was so before is no event. RFC 6785 section 4.3. */
function changedFlags(before: Snapshot, { done, snapshot }: Stored): Map<number, readonly string[]> {
  const changed = new Map<number, readonly string[]>();
  for (const uid of done) {
    const [old, now] = [before, snapshot].map((each) => each.flagNames(each.indexOf(uid)));
    const different = [
      ...now!.filter((flag) => !old!.includes(flag)),
      ...old!.filter((flag) => !now!.includes(flag)),
    ];
    if (different.length > 0) changed.set(uid, different);
  }
  return changed;
}

async function change(session: Session, given: StoreArguments, call: Call): Promise<Done | undefined> {
  const { unchangedSince } = given;
  if (unchangedSince !== undefined) session.enableCondstore();
  const { selected } = session;
  const { folder } = session.writable;
  const uids = selected.uidsOf(given.set, call.uid);
  const before = folder.snapshot;
  const stored = await folder.store(
    uids,
    given.change,
    unchangedSince === undefined ? {} : { unchangedSince },
  );
  const { view } = selected;
  tellOfEvent(session, folder.name, 'FLAG', () => changedFlags(before, stored));
  session.announceStored(stored.done, given.silent);
  if (stored.modified.length > 0) {
    const numbers = call.uid ? stored.modified : stored.modified.map((uid) => view.seqOf(uid));
    return { code: `MODIFIED ${setText(numbers)}`, text: 'Some messages were changed by others' };
  }
  const gone = uids.length - stored.done.length;
  return gone > 0 && !call.uid ? { code: 'EXPUNGEISSUED', text: 'Some of the messages are gone' } : undefined;
}
