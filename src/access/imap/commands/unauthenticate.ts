/** UNAUTHENTICATE: the connection is free for another user. RFC 8437. */
import { accessLimits } from '../../../../core/base/limits/access.ts';
import { command, nothing } from '../command.ts';

export const unauthenticate = command({
  name: 'UNAUTHENTICATE',
  in: 'authenticated',
  parse: nothing,
  run(session) {
    session.leave();
    session.wire.idleTimeoutMs = accessLimits.beforeLoginMs;
    return { text: 'You are nobody again' };
  },
});
