/** LOGOUT. RFC 9051 section 6.1.3. */
import { command, nothing } from '../command.ts';

export const logout = command({
  name: 'LOGOUT',
  in: 'any',
  parse: nothing,
  run(session) {
    session.deselect();
    session.untagged('BYE Logging out');
    session.isOver = true;
  },
});
