/** CLOSE and UNSELECT. RFC 9051 sections 6.4.1 and 6.4.2. */
import { command, nothing } from '../command.ts';

/** Expunges, and says nothing of it. */
export const close = command({
  name: 'CLOSE',
  in: 'selected',
  parse: nothing,
  async run(session) {
    const { folder } = session.selected;
    // Only what this session knows of: another may have flagged what it has not been told.
    if (!folder.readOnly) {
      const uids = session.selected.deletedUids();
      if (uids.length > 0) await folder.expunge(uids);
    }
    const code = session.has('QRESYNC') ? `HIGHESTMODSEQ ${folder.snapshot.highestModseq}` : undefined;
    session.deselect();
    return code === undefined ? {} : { code };
  },
});

export const unselect = command({
  name: 'UNSELECT',
  in: 'selected',
  parse: nothing,
  run: (session) => session.deselect(),
});
