/** NOOP and CHECK: hear what is new. RFC 9051 section 6.1.2, RFC 3501 section 6.4.1. */
import { command, nothing } from '../command.ts';
import type { Session } from '../session.ts';

export const noop = command({ name: 'NOOP', in: 'any', parse: nothing, run: look });
export const check = command({ name: 'CHECK', in: 'selected', parse: nothing, run: look });

/** The disk is asked, so that even what no notice was given of is told. */
async function look(session: Session): Promise<void> {
  await session.selectedOrNone?.folder.refresh();
}
