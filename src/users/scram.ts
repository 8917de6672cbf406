/** SCRAM keys of users: made along with a password's hash, kept in the form of RFC 5803, looked up at login. */
import { createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeBase64 } from '../../core/net/sasl.ts';
import { type ScramHash, type ScramKeys, scramKeysOf } from '../../core/net/scram.ts';
import type { KnownUser } from './format.ts';
import { preparePassword } from './password.ts';
import type { User } from './users.ts';

/** Who logs in by SCRAM: keys to check the proof with, made up where there is nobody, and the user once it held. */
export interface ScramCandidate {
  readonly keys: ScramKeys;
  /** Asked when the proof was right. Undefined where the user is gone, disabled, or never was. */
  confirm(): User | undefined;
}

const hashes: readonly ScramHash[] = ['SHA-256', 'SHA-1'];

/** The client works them out at each login: about 30 ms on a phone. RFC 7677 section 4 asks for 4096 at least. */
const iterations = 32_768;
/** What a file may ask of clients. */
const iterationsMax = 1_000_000;
const saltBytes = 16;

/** `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, one for each hash. RFC 5803 section 3. */
export async function makeScramKeys(password: string): Promise<string[]> {
  // RFC 4013 is what clients do to a password before they hash it.
  const prepared = preparePassword(password.normalize('NFKC'));
  if (prepared === undefined) return [];
  return Promise.all(
    hashes.map(async (hash) => {
      const salt = randomBytes(saltBytes);
      const [octets, name] = hash === 'SHA-1' ? ([20, 'sha1'] as const) : ([32, 'sha256'] as const);
      const salted = await promisify(pbkdf2)(prepared, salt, iterations, octets, name);
      const { storedKey, serverKey } = scramKeysOf(hash, salted, salt, iterations);
      const [saltText, stored, server] = [salt, storedKey, serverKey].map((each) => each.toString('base64'));
      return `SCRAM-${hash}$${iterations}:${saltText}$${stored}:${server}`;
    }),
  );
}

/** Undefined for a text that is none. */
export function parseScramKeys(text: string): { hash: ScramHash; keys: ScramKeys } | undefined {
  const [, hash, count, ...fields] =
    /^SCRAM-(SHA-1|SHA-256)\$([0-9]{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(
      text,
    ) ?? [];
  const [salt, storedKey, serverKey] = fields.map((field) => decodeBase64(field));
  if (hash === undefined || salt === undefined || storedKey === undefined || serverKey === undefined)
    return undefined;
  const octets = hash === 'SHA-1' ? 20 : 32;
  const rounds = Number(count);
  const fits = rounds >= 4096 && rounds <= iterationsMax && salt.length >= 8;
  if (!fits || storedKey.length !== octets || serverKey.length !== octets) return undefined;
  return { hash: hash as ScramHash, keys: { iterations: rounds, salt, storedKey, serverKey } };
}

/** The hashes for which everybody with a password has keys: a client that is offered SCRAM tries nothing else. */
export function commonScramHashes(users: readonly KnownUser[]): readonly ScramHash[] {
  const withPassword = users.filter(({ hash }) => hash !== '');
  return hashes.filter(
    (hash) =>
      withPassword.length > 0 && withPassword.every(({ scram }) => scram.some((each) => each.hash === hash)),
  );
}

/** Keys of nobody, the same for the same name each time: a salt must not tell who exists. */
export function standInKeys(secret: Buffer, address: string, hash: ScramHash): ScramKeys {
  const made = (label: string) =>
    createHmac('sha256', secret).update(`${label}/${address.toLowerCase()}`).digest();
  const octets = hash === 'SHA-1' ? 20 : 32;
  return {
    iterations,
    salt: made('salt').subarray(0, saltBytes),
    storedKey: made('stored').subarray(0, octets),
    serverKey: made('server').subarray(0, octets),
  };
}
