/** STARTTLS. RFC 5804 section 2.2. */
import { capabilities } from './capability.ts';
import type { Session } from './session.ts';
import { formatResponse, type Response } from './write.ts';

/** The capabilities of the protected connection come by themselves. */
export async function starttls(session: Session): Promise<Response> {
  const { wire, house, listener } = session;
  if (wire.tls !== undefined) return { status: 'NO', text: 'TLS is in use' };
  if (listener.tls !== 'starttls' || house.tls === undefined) return { status: 'NO', text: 'no TLS here' };
  // Whoever logged in before would have to be forgotten with all else.
  if (session.owner !== undefined) return { status: 'NO', text: 'not after AUTHENTICATE' };
  wire.write(formatResponse({ status: 'OK', text: 'begin TLS now' }));
  await wire.startTls(house.tls);
  session.login = house.logins.begin(wire, listener);
  wire.write(capabilities(session));
  return { status: 'OK', text: 'TLS is in use' };
}
