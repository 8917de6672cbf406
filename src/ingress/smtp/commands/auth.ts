/** AUTH with SCRAM, EXTERNAL, PLAIN and LOGIN. RFC 4954. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from '../../../../core/mail/reply.ts';
import { isLoopback } from '../../../../core/net/ip.ts';
import { decodeBase64, type SaslStep, saslMechanisms, startSasl } from '../../../../core/net/sasl.ts';
import type { FlowSession } from '../../../flow/session.ts';
import { badSequence, replies, syntaxError } from '../replies.ts';
import type { CommandResult, SmtpSession } from '../session.ts';
import type { Command } from './command.ts';
import { type ScramStep, scramMechanisms, startScram } from './scram.ts';

export const auth: Command = { run: begin };

/** One authentication; `next` takes the decoded response of the client, or undefined at the start without one. */
interface Exchange {
  next(response: Buffer | undefined): SaslStep | ScramStep | ExternalStep;
}

/** Those that EHLO announces. */
export function mechanisms(session: SmtpSession): readonly string[] {
  const external = certifiedAddresses(session).length > 0 ? ['EXTERNAL'] : [];
  return [...external, ...scramMechanisms(session), ...saslMechanisms];
}

/** Passwords are taken over TLS, or from this machine where the listener says so. */
export function authOffered(session: SmtpSession): boolean {
  const { listener } = session.door;
  return listener.auth && session.user === undefined && secureEnough(session);
}

function secureEnough(session: SmtpSession): boolean {
  if (session.tls !== undefined) return true;
  const { listener } = session.door;
  const { remoteIp } = session.flow.connection;
  // No address is this machine's on a unix socket only: a proxy may not know whom it speaks for.
  const onUnixSocket = remoteIp === '' && listener.address.kind === 'unix' && !session.replaced;
  return listener.authWithoutTls && (onUnixSocket || isLoopback(remoteIp));
}

const encryptionRequired: Reply = {
  code: 538,
  enhanced: '5.7.11',
  text: 'Encryption required for requested authentication mechanism',
};
const unknownMechanism: Reply = { code: 504, enhanced: '5.5.4', text: 'Unrecognized authentication type' };
const cancelled: Reply = { code: 501, enhanced: '5.7.0', text: 'Authentication cancelled' };
const malformed: Reply = { code: 501, enhanced: '5.5.2', text: 'Cannot decode response' };
const invalid: Reply = { code: 535, enhanced: '5.7.8', text: 'Authentication credentials invalid' };
const tooManyFailures: Reply = { code: 421, enhanced: '4.7.0', text: 'Too many failed authentications' };

function begin(session: SmtpSession, text: string): CommandResult {
  const [mechanism = '', initial, ...rest] = text.trim().split(/ +/);
  if (!session.door.listener.auth) return replies.notImplemented;
  if (mechanism === '' || rest.length > 0) return syntaxError('Syntax: AUTH mechanism [initial-response]');
  if (!session.esmtp) return badSequence('EHLO first');
  if (session.user !== undefined) return badSequence('Already authenticated');
  if (session.transaction !== undefined) return badSequence('Not during a mail transaction');
  // The flow's session is then, or was, another client's.
  if (session.forwarded !== undefined || session.flowIsForwarded) return badSequence('Not after XFORWARD');
  const exchange =
    startExternal(session, mechanism) ?? startScram(session, mechanism) ?? startSasl(mechanism);
  if (exchange === undefined) return unknownMechanism;
  if (!secureEnough(session)) return encryptionRequired;
  const name = mechanism.toUpperCase();
  if (initial === undefined) return proceed(session, name, exchange, exchange.next(undefined));
  // RFC 4954 section 4: "=" is an empty initial response.
  return respond(session, name, exchange, initial === '=' ? '' : initial);
}

function respond(session: SmtpSession, name: string, exchange: Exchange, text: string): CommandResult {
  // RFC 4954 section 4: "*" cancels.
  if (text === '*') return cancelled;
  const response = decodeBase64(text);
  return response === undefined ? malformed : proceed(session, name, exchange, exchange.next(response));
}

function proceed(
  session: SmtpSession,
  name: string,
  exchange: Exchange,
  step: SaslStep | ScramStep | ExternalStep,
): CommandResult {
  switch (step.kind) {
    case 'challenge':
      session.expected = { kind: 'line', take: (line) => respond(session, name, exchange, line) };
      return { code: 334, text: step.data.toString('base64') };
    case 'credentials':
      return conclude(session, () => session.flow.authenticate(name, step.address, step.password));
    case 'certified':
      return conclude(session, () => session.flow.assume!(step.address, name));
    case 'judged':
      return conclude(session, () => step.login.conclude(name, step.proven));
    case 'forbidden-identity':
      return fail(session, invalid);
    case 'malformed':
      return malformed;
  }
}

/** The address that the certificate of the handshake vouches for. */
type ExternalStep = { readonly kind: 'certified'; readonly address: string };

function certifiedAddresses({ tls, flow }: SmtpSession): readonly string[] {
  return flow.assume === undefined ? [] : (tls?.clientAddresses ?? []);
}

/** RFC 4422 appendix A.1: the response names whom to act as; an empty one leaves that to the certificate. */
function startExternal(session: SmtpSession, mechanism: string): Exchange | undefined {
  const addresses = certifiedAddresses(session);
  if (mechanism.toUpperCase() !== 'EXTERNAL' || addresses.length === 0) return undefined;
  return {
    next(response) {
      if (response === undefined) return { kind: 'challenge', data: Buffer.alloc(0) };
      const wanted = response.toString('utf8').toLowerCase();
      const address =
        wanted === '' && addresses.length === 1
          ? addresses[0]
          : addresses.find((each) => each.toLowerCase() === wanted);
      return address === undefined ? { kind: 'forbidden-identity' } : { kind: 'certified', address };
    },
  };
}

async function conclude(
  session: SmtpSession,
  judge: () => ReturnType<FlowSession['authenticate']>,
): Promise<Reply | undefined> {
  try {
    const outcome = await judge();
    if ('refused' in outcome) return await fail(session, outcome.refused);
    session.user = outcome.user;
    session.authFailures = 0;
    return replies.authenticated;
  } catch (error) {
    session.bug(error);
    return { code: 454, enhanced: '4.7.0', text: 'Temporary authentication failure' };
  }
}

async function fail(session: SmtpSession, refused: Reply): Promise<Reply> {
  session.authFailures += 1;
  await delay(session.door.authFailureDelayMs);
  return session.authFailures < session.door.limits.authFailuresMax ? refused : tooManyFailures;
}
