/** LOGIN. RFC 9051 section 6.2.3. */
import { command } from '../command.ts';
import { entered } from '../enter.ts';

export const login = command({
  name: 'LOGIN',
  in: 'notAuthenticated',
  parse(input) {
    input.space();
    const address = input.text();
    input.space();
    return { address, password: input.text() };
  },
  async run(session, { address, password }) {
    return entered(session, await session.login.password('LOGIN', address, password));
  },
});
