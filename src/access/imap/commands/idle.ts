/** IDLE. RFC 9051 section 6.3.13, RFC 2177. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import { command, nothing } from '../command.ts';
import { bad } from '../refusal.ts';

/** `DONE`, with room for a client that says something else. */
const doneOctetsMax = 1000;

export const idle = command({
  name: 'IDLE',
  in: 'authenticated',
  parse: nothing,
  async run(session) {
    const { wire, out, updates } = session;
    await session.selectedOrNone?.folder.refresh();
    out.write('+ idling\r\n');
    out.flush();
    updates.wait('idle');
    // Routers forget connections that are silent; so do clients' operating systems that sleep.
    const alive = setInterval(() => {
      session.untagged('OK Still here');
      out.flush();
    }, imapLimits.idleSignMs);
    try {
      const line = (await wire.command(doneOctetsMax)).toString('latin1');
      if (line.toUpperCase() !== 'DONE') throw bad('DONE was expected');
    } finally {
      clearInterval(alive);
      await updates.busy();
    }
    return { text: 'Idle no more' };
  },
});
