/** NAMESPACE: one, the user's own, without prefix. RFC 9051 section 6.3.10, RFC 2342. */
import { command, nothing } from '../command.ts';

export const namespace = command({
  name: 'NAMESPACE',
  in: 'authenticated',
  parse: nothing,
  run: (session) => session.untagged('NAMESPACE (("" "/")) NIL NIL'),
});
