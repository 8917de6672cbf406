/** The server side of SASL PLAIN (RFC 4616) and of LOGIN, without I/O: responses in, challenges or credentials out. */

/** Mechanisms in the order in which a server offers them. */
export const saslMechanisms = ['PLAIN', 'LOGIN'] as const;

export type SaslStep =
  | { readonly kind: 'challenge'; readonly data: Buffer }
  | { readonly kind: 'credentials'; readonly address: string; readonly password: string }
  /** The identity to act as is not the one that authenticates; nobody may do that here. */
  | { readonly kind: 'forbidden-identity' }
  | { readonly kind: 'malformed' };

/** One authentication; `next` takes the decoded response of the client, or undefined at the start without one. */
export interface SaslExchange {
  next(response: Buffer | undefined): SaslStep;
}

/** Undefined for a mechanism that is not offered. */
export function startSasl(mechanism: string): SaslExchange | undefined {
  switch (mechanism.toUpperCase()) {
    case 'PLAIN':
      return { next: plainStep };
    case 'LOGIN':
      return loginExchange();
    default:
      return undefined;
  }
}

/** Undefined for anything but canonical base64 of RFC 4648 section 4; Buffer.from would skip what it does not know. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

function plainStep(response: Buffer | undefined): SaslStep {
  if (response === undefined) return { kind: 'challenge', data: Buffer.alloc(0) };
  const text = utf8(response);
  const [authorizationId, address, password, ...rest] = text?.split('\0') ?? [];
  if (authorizationId === undefined || !address || !password || rest.length > 0) return { kind: 'malformed' };
  if (controls.test(address)) return { kind: 'malformed' };
  if (authorizationId !== '' && authorizationId.toLowerCase() !== address.toLowerCase()) {
    return { kind: 'forbidden-identity' };
  }
  return { kind: 'credentials', address, password };
}

/** draft-murchison-sasl-login: two prompts; an initial response is the user name. */
function loginExchange(): SaslExchange {
  let address: string | undefined;
  return {
    next(response) {
      if (response === undefined) return { kind: 'challenge', data: Buffer.from('Username:') };
      const text = utf8(response);
      if (!text || text.includes('\0')) return { kind: 'malformed' };
      if (address !== undefined) return { kind: 'credentials', address, password: text };
      if (controls.test(text)) return { kind: 'malformed' };
      address = text;
      return { kind: 'challenge', data: Buffer.from('Password:') };
    },
  };
}

/** Identities go into logs and header fields. */
const controls = /[\x00-\x1f\x7f-\x9f]/;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // Not UTF-8, which both mechanisms ask for: the caller answers "malformed".
    return undefined;
  }
}
