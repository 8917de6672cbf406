/** AUTHENTICATE, with the initial response of SASL-IR. RFC 9051 section 6.2.2, RFC 4959. */
import { imapLimits } from '../../../../core/base/limits/access.ts';
import { decodeBase64 } from '../../../../core/net/sasl.ts';
import { command } from '../command.ts';
import { entered } from '../enter.ts';
import { bad } from '../refusal.ts';

const base64 = /[A-Za-z0-9+/=]+/y;

export const authenticate = command({
  name: 'AUTHENTICATE',
  in: 'notAuthenticated',
  parse(input) {
    input.space();
    const mechanism = input.word();
    if (!input.skip(' ')) return { mechanism, initial: undefined };
    // RFC 4959 section 3: `=` is an empty response.
    const written = input.take(base64);
    const initial = written === '=' ? Buffer.alloc(0) : decodeBase64(written);
    if (!initial) throw bad('base64 was expected');
    return { mechanism, initial };
  },
  async run(session, { mechanism, initial }) {
    const { wire, out, login } = session;
    const outcome = await login.authenticate(mechanism, initial, async (challenge) => {
      out.write(`+ ${challenge.toString('base64')}\r\n`);
      out.flush();
      const line = (await wire.line(imapLimits.beforeLoginOctetsMax)).toString('latin1');
      return line === '*' ? 'cancel' : decodeBase64(line);
    });
    return entered(session, outcome);
  },
});
