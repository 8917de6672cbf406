/** The server side of SCRAM, without I/O: RFC 5802, RFC 7677, channel bindings of RFC 5929 and RFC 9266. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeBase64 } from './sasl.ts';

export type ScramHash = 'SHA-1' | 'SHA-256';

/** What the server keeps of a password: enough to check a proof, not to make one. RFC 5802 section 3. */
export interface ScramKeys {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Data of the channel by the name of the binding type, for the types that this connection has. */
export type ChannelBindings = Readonly<Record<string, Buffer>>;

export type ScramFirst =
  /** Look up the keys of that user and go on with `challenge`. */
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'forbidden-identity' }
  | { readonly kind: 'malformed' };

export type ScramFinal =
  /** `data` is the server's own proof, which the client wants to see. */
  | { readonly kind: 'proven'; readonly data: Buffer }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'malformed' };

export interface ScramInit {
  readonly hash: ScramHash;
  /** The mechanism ends in -PLUS: the client must bind to the channel. */
  readonly plus: boolean;
  /** Absent without TLS. */
  readonly bindings?: ChannelBindings;
  /** Instead of a random one. */
  readonly nonce?: string;
}

/** One authentication: `first`, then `challenge`, then `final`. */
export class Scram {
  readonly #init: ScramInit;
  #clientFirstBare = '';
  #gs2Header = '';
  #binding: Buffer = Buffer.alloc(0);
  #nonce = '';
  #serverFirst = '';
  #keys: ScramKeys | undefined;

  constructor(init: ScramInit) {
    this.#init = init;
  }

  /** The client-first-message. RFC 5802 section 7. */
  first(message: Buffer): ScramFirst {
    const [, gs2Header, flag, authzid, bare, nonce] =
      /^((n|y|p=[A-Za-z0-9.-]+),((?:a=[^,]+)?),)(n=[^,]+,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/su.exec(
        utf8(message),
      ) ?? [];
    if (gs2Header === undefined || flag === undefined || bare === undefined || nonce === undefined)
      return malformed;
    if (!this.#takesBinding(flag)) return malformed;
    const name = saslName(bare.slice(2, bare.indexOf(',')));
    if (name === undefined || controls.test(name)) return malformed;
    const actAs = authzid ? saslName(authzid.slice(2)) : undefined;
    if (actAs !== undefined && actAs.toLowerCase() !== name.toLowerCase())
      return { kind: 'forbidden-identity' };
    this.#gs2Header = gs2Header;
    this.#clientFirstBare = bare;
    this.#nonce = nonce + (this.#init.nonce ?? randomBytes(18).toString('base64'));
    return { kind: 'user', name };
  }

  /** The server-first-message. */
  challenge(keys: ScramKeys): Buffer {
    this.#keys = keys;
    this.#serverFirst = `r=${this.#nonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`;
    return Buffer.from(this.#serverFirst);
  }

  /** The client-final-message. */
  final(message: Buffer): ScramFinal {
    const [, withoutProof, binding, nonce, proofText] =
      /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,.*)?),p=([A-Za-z0-9+/=]+)$/su.exec(utf8(message)) ?? [];
    const proof = decodeBase64(proofText ?? '');
    const keys = this.#keys;
    if (withoutProof === undefined || proof === undefined || keys === undefined) return malformed;
    if (proof.length !== keys.storedKey.length) return malformed;
    const bound = Buffer.concat([Buffer.from(this.#gs2Header), this.#binding]).toString('base64');
    // Another channel than the client's: somebody stands between us. RFC 5802 section 6.
    if (binding !== bound || nonce !== this.#nonce) return { kind: 'wrong' };
    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`;
    const signature = hmac(this.#init.hash, keys.storedKey, authMessage);
    const clientKey = Buffer.from(proof.map((octet, index) => octet ^ signature[index]!));
    if (!timingSafeEqual(digest(this.#init.hash, clientKey), keys.storedKey)) return { kind: 'wrong' };
    const verifier = hmac(this.#init.hash, keys.serverKey, authMessage).toString('base64');
    return { kind: 'proven', data: Buffer.from(`v=${verifier}`) };
  }

  /** RFC 5802 section 6: `y` says that we do not offer -PLUS; where we do, somebody has taken it out of our list. */
  #takesBinding(flag: string): boolean {
    const { plus, bindings } = this.#init;
    if (!plus) return flag === 'n' || (flag === 'y' && bindings === undefined);
    const data = flag.startsWith('p=') ? bindings?.[flag.slice(2)] : undefined;
    if (data === undefined) return false;
    this.#binding = data;
    return true;
  }
}

/** The keys of a password that is prepared already. */
export function scramKeysOf(
  hash: ScramHash,
  saltedPassword: Buffer,
  salt: Buffer,
  iterations: number,
): ScramKeys {
  const storedKey = digest(hash, hmac(hash, saltedPassword, 'Client Key'));
  return { iterations, salt, storedKey, serverKey: hmac(hash, saltedPassword, 'Server Key') };
}

const malformed = { kind: 'malformed' } as const;
/** Names go into logs and header fields. */
const controls = /[\x00-\x1f\x7f-\x9f]/;

/** RFC 5802 section 5.1: `=2C` and `=3D` stand for comma and equals sign. */
function saslName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

function utf8(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  // What is no UTF-8 matches nothing.
  return text.includes('\ufffd') ? '' : text;
}

function nodeHash(hash: ScramHash): string {
  return hash === 'SHA-1' ? 'sha1' : 'sha256';
}

function hmac(hash: ScramHash, key: Buffer, text: string): Buffer {
  return createHmac(nodeHash(hash), key).update(text).digest();
}

function digest(hash: ScramHash, bytes: Buffer): Buffer {
  return createHash(nodeHash(hash)).update(bytes).digest();
}
