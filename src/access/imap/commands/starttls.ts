/** STARTTLS. RFC 9051 section 6.2.1. */
import { command, nothing } from '../command.ts';
import { bad } from '../refusal.ts';

export const starttls = command({
  name: 'STARTTLS',
  in: 'notAuthenticated',
  parse: nothing,
  run({ wire, house, listener }) {
    if (wire.tls || !house.tls || listener.tls !== 'starttls') throw bad('TLS cannot begin here');
    // The handshake follows the tagged OK, which is the session's to write.
    return { text: 'Begin TLS now' };
  },
});
