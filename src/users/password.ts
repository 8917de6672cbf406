/** Password hashes: argon2id (RFC 9106) is written; SHA-crypt ($5$, $6$) and bcrypt of other systems are verified too. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { OperationalError } from '../../core/base/errors.ts';
import { passwordBytesMax } from '../../core/base/limits/users.ts';
import { verifyCrypt } from './crypt.ts';

/** What one argon2id hash costs and carries; the names are those of the PHC string. */
interface Argon2Parameters {
  /** Memory in KiB. */
  readonly m: number;
  /** Passes. */
  readonly t: number;
  /** Lanes. */
  readonly p: number;
}

/** OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane; about 40 ms here, and 38 MiB for two at once. */
const parameters: Argon2Parameters = { m: 19 * 1024, t: 2, p: 1 };
const saltBytes = 16;
const tagBytes = 32;

/** What a hash in the file may ask for: past this, verifying it would be an attack on ourselves. */
const memoryKiBMax = 256 * 1024;
const passesMax = 20;
const lanesMax = 16;
const roundsMax = 200_000;
const bcryptCostMax = 14;

/** The PHC string of a new hash: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`. Throws OperationalError `password-unfit`. */
export async function hashPassword(password: string): Promise<string> {
  const prepared = preparePassword(password);
  if (prepared === undefined) {
    throw new OperationalError(
      'password-unfit',
      `a password needs 1 to ${passwordBytesMax} octets and no control characters`,
      { temporary: false },
    );
  }
  const salt = randomBytes(saltBytes);
  const tag = await argon2id(prepared, salt, parameters, tagBytes);
  const { m, t, p } = parameters;
  return `$argon2id$v=19$m=${m},t=${t},p=${p}$${base64(salt)}$${base64(tag)}`;
}

/** True when the text is a hash that verifyPassword can check, its costs within bounds. */
export function isPasswordHash(hash: string): boolean {
  return parseArgon2(hash) !== undefined || isShaCrypt(hash) || isBcrypt(hash);
}

/** True when the hash is of this password. A text that is no hash is never right. */
export async function verifyPassword(typed: string, hash: string): Promise<boolean> {
  const password = preparePassword(typed);
  if (password === undefined) return false;
  const argon = parseArgon2(hash);
  if (argon !== undefined) {
    const tag = await argon2id(password, argon.salt, argon.parameters, argon.tag.length);
    return timingSafeEqual(tag, argon.tag);
  }
  if (isShaCrypt(hash)) return verifyCrypt('sha-crypt', password, hash);
  if (isBcrypt(hash)) return verifyCrypt('bcrypt', password, hash);
  return false;
}

/** RFC 8265 section 4.2 (OpaqueString): other spaces become a space, then NFC; undefined for what no password may hold. */
export function preparePassword(password: string): string | undefined {
  const prepared = password.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  const fits = prepared !== '' && prepared.isWellFormed() && Buffer.byteLength(prepared) <= passwordBytesMax;
  return fits && !/\p{Cc}/u.test(prepared) ? prepared : undefined;
}

function parseArgon2(hash: string): { parameters: Argon2Parameters; salt: Buffer; tag: Buffer } | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([\w+/-]+)\$([\w+/-]+)$/.exec(hash);
  if (match === null) return undefined;
  const [m, t, p] = match.slice(1, 4).map(Number) as [number, number, number];
  const salt = Buffer.from(match[4]!, 'base64');
  const tag = Buffer.from(match[5]!, 'base64');
  const fits =
    p >= 1 &&
    p <= lanesMax &&
    t >= 1 &&
    t <= passesMax &&
    m >= 8 * p &&
    m <= memoryKiBMax &&
    salt.length >= 8 &&
    salt.length <= 64 &&
    tag.length >= 16 &&
    tag.length <= 64;
  return fits ? { parameters: { m, t, p }, salt, tag } : undefined;
}

function isShaCrypt(hash: string): boolean {
  const match = /^\$[56]\$(?:rounds=(\d{1,9})\$)?[./0-9A-Za-z]{0,16}\$[./0-9A-Za-z]{43,86}$/.exec(hash);
  return match !== null && Number(match[1] ?? 5000) <= roundsMax;
}

function isBcrypt(hash: string): boolean {
  const match = /^\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}$/.exec(hash);
  return match !== null && Number(match[1]) >= 4 && Number(match[1]) <= bcryptCostMax;
}

function argon2id(
  password: string,
  nonce: Buffer,
  cost: Argon2Parameters,
  tagLength: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { m: memory, t: passes, p: parallelism } = cost;
    argon2('argon2id', { message: password, nonce, parallelism, tagLength, memory, passes }, (error, tag) =>
      error ? reject(error) : resolve(tag),
    );
  });
}

/** Base64 without padding, as PHC strings have it. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
