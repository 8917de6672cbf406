/** EXPUNGE and UID EXPUNGE. RFC 9051 sections 6.4.3 and 6.4.9. */
import { command } from '../command.ts';
import { readSet } from '../parse/sequence-set.ts';

export const expunge = command({
  name: 'EXPUNGE',
  in: 'selected',
  hasUidForm: true,
  parse(input, { uid }) {
    if (!uid) return undefined;
    input.space();
    return readSet(input);
  },
  async run(session, set) {
    const { folder } = session.writable;
    await folder.expunge(set === undefined ? undefined : session.selected.uidsOf(set, true));
    session.announce(true);
    return session.has('QRESYNC') ? { code: `HIGHESTMODSEQ ${folder.snapshot.highestModseq}` } : undefined;
  },
});
