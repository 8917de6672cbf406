/** AUTHENTICATE and UNAUTHENTICATE. RFC 5804 sections 2.1 and 2.14.1. */
import { accessLimits } from '../../../core/base/limits/access.ts';
import { decodeBase64 } from '../../../core/net/sasl.ts';
import type { AskClient, LoginRefusal } from '../login.ts';
import type { Argument } from './parse.ts';
import type { Session } from './session.ts';
import { formatString, type Response } from './write.ts';

const codes: Partial<Record<LoginRefusal, string>> = {
  encryption: 'ENCRYPT-NEEDED',
  unavailable: 'TRYLATER',
};

export async function authenticate(session: Session, given: readonly Argument[]): Promise<Response> {
  if (session.owner !== undefined) return { status: 'NO', text: 'logged in already' };
  const [mechanism = '', initial] = given.map((each) =>
    each.kind === 'string' ? each.bytes.toString('latin1') : '',
  );
  const first = initial === undefined ? undefined : decodeBase64(initial);
  if (initial !== undefined && first === undefined)
    return { status: 'NO', text: 'the response is not base64' };
  const ask: AskClient = async (challenge) => {
    session.wire.write(`${formatString(challenge.toString('base64'))}\r\n`);
    const response = (await session.response())?.toString('latin1');
    return response === '*' ? 'cancel' : response === undefined ? undefined : decodeBase64(response);
  };
  const outcome = await session.login.authenticate(mechanism, first, ask, true);
  if (outcome.kind === 'user') {
    session.enter(outcome.user);
    const code = outcome.data && `SASL ${formatString(outcome.data.toString('base64'))}`;
    return { status: 'OK', ...(code && { code }), text: 'logged in' };
  }
  const code = codes[outcome.reason];
  return { status: outcome.last ? 'BYE' : 'NO', ...(code && { code }), text: outcome.text };
}

/** As after the greeting; the protection of the connection stays. */
export async function unauthenticate(session: Session): Promise<Response> {
  session.owner = undefined;
  session.login = session.house.logins.begin(session.wire, session.listener);
  session.wire.idleTimeoutMs = accessLimits.beforeLoginMs;
  return { status: 'OK' };
}
