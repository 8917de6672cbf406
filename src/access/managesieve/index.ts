/** ManageSieve as a protocol of the access role. RFC 5804. */
import type { Protocol } from '../protocol.ts';
import { capabilities } from './capability.ts';
import { Session } from './session.ts';
import { formatResponse } from './write.ts';

const lastWords: Readonly<Record<Parameters<Protocol['farewell']>[0], string>> = {
  lost: 'goodbye',
  timeout: 'you were silent for too long',
  shutdown: 'the server is shutting down',
  'too-many': 'too many connections',
  bug: 'the server has failed',
};

export const managesieve: Protocol = {
  async serve(wire, house, listener) {
    const session = new Session(wire, house, listener);
    await session.serve(
      `${capabilities(session)}${formatResponse({ status: 'OK', text: house.config().hostname })}`,
    );
  },
  farewell(reason) {
    const code = reason === 'lost' || reason === 'timeout' ? undefined : 'TRYLATER';
    return formatResponse({ status: 'BYE', ...(code && { code }), text: lastWords[reason] });
  },
};
