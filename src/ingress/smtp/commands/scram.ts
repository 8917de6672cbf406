/** SCRAM within AUTH: the client proves that it knows the password, and we that we know its keys. RFC 5802, RFC 7677. */
import { Scram, type ScramHash } from '../../../../core/net/scram.ts';
import type { ScramLogin } from '../../../flow/session.ts';
import type { SmtpSession } from '../session.ts';

export type ScramStep =
  | { readonly kind: 'challenge'; readonly data: Buffer }
  /** The proof is judged. */
  | { readonly kind: 'judged'; readonly login: ScramLogin; readonly proven: boolean }
  | { readonly kind: 'forbidden-identity' }
  | { readonly kind: 'malformed' };

/** With channel binding first, as RFC 5802 section 4 wants them preferred. */
export function scramMechanisms(session: SmtpSession): string[] {
  const plain = session.flow.scram.hashes().map((hash) => `SCRAM-${hash}`);
  return session.tls === undefined ? plain : [...plain.map((name) => `${name}-PLUS`), ...plain];
}

/** Undefined for what is no SCRAM, or none that is offered. `next` is as SaslExchange's. */
export function startScram(
  session: SmtpSession,
  mechanism: string,
): { next(response: Buffer | undefined): ScramStep } | undefined {
  const name = mechanism.toUpperCase();
  if (!name.startsWith('SCRAM-') || !scramMechanisms(session).includes(name)) return undefined;
  const plus = name.endsWith('-PLUS');
  const hash = name.slice('SCRAM-'.length, plus ? -'-PLUS'.length : undefined) as ScramHash;
  const bindings = session.wire.bindings();
  const scram = new Scram({ hash, plus, ...(bindings && { bindings }) });
  let login: ScramLogin | undefined;
  let proven = false;

  const first = (response: Buffer): ScramStep => {
    const message = scram.first(response);
    if (message.kind !== 'user') return message;
    login = session.flow.scram.candidate(message.name, hash);
    return { kind: 'challenge', data: scram.challenge(login.keys) };
  };
  const final = (response: Buffer, known: ScramLogin): ScramStep => {
    const message = scram.final(response);
    if (message.kind === 'malformed') return message;
    if (message.kind === 'wrong') return { kind: 'judged', login: known, proven: false };
    proven = true;
    // SMTP has no place for it in a positive answer: it is one more challenge. RFC 4954 section 4.
    return { kind: 'challenge', data: message.data };
  };
  return {
    next(response) {
      if (response === undefined) return { kind: 'challenge', data: Buffer.alloc(0) };
      if (login === undefined) return first(response);
      return proven ? { kind: 'judged', login, proven } : final(response, login);
    },
  };
}
