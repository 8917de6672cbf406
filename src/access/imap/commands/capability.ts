/** CAPABILITY: what the client may use now. RFC 9051 section 6.1.1. */
import { capabilities } from '../capabilities.ts';
import { command, nothing } from '../command.ts';

export const capability = command({
  name: 'CAPABILITY',
  in: 'any',
  parse: nothing,
  run(session) {
    session.untagged(`CAPABILITY ${capabilities(session)}`);
  },
});
