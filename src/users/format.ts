/** The users file, version 1: JSON, checked whole before any of it is believed. */
import { Ajv, type ErrorObject } from 'ajv';
import { describeError, OperationalError } from '../../core/base/errors.ts';
import type { Json } from '../../core/base/json.ts';
import { compareForm, isAddress } from '../../core/mail/address.ts';
import type { ScramHash, ScramKeys } from '../../core/net/scram.ts';
import { isPasswordHash } from './password.ts';
import { parseScramKeys } from './scram.ts';
import type { User } from './users.ts';

/** One user as written in the file; the key is the address. */
export interface UserRecord {
  /** A hash, or '' for a user who cannot log in. */
  password: string;
  /** Keys of the same password for SCRAM, in the form of RFC 5803. */
  scram?: string[];
  /** The secret that APOP proves, in clear: of its own, for clients that know nothing better. RFC 1939 section 7. */
  apop?: string;
  aliases?: string[];
  forward?: string[];
  quotaBytes?: number;
  disabled?: boolean;
}

export interface UsersFile {
  version: 1;
  users: Record<string, UserRecord>;
}

/** A user together with the hash of the password, which never leaves this room. */
export interface KnownUser {
  readonly user: User;
  readonly hash: string;
  readonly scram: readonly { readonly hash: ScramHash; readonly keys: ScramKeys }[];
  readonly apop: string | undefined;
}

/** RFC 1939 section 7: considerably longer than a password one types. */
const apopSecretMin = 16;

const addresses = { type: 'array', items: { type: 'string' } };
const schema = {
  type: 'object',
  required: ['version', 'users'],
  additionalProperties: false,
  properties: {
    version: { const: 1 },
    users: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        required: ['password'],
        additionalProperties: false,
        properties: {
          password: { type: 'string' },
          scram: addresses,
          apop: { type: 'string', minLength: apopSecretMin },
          aliases: addresses,
          forward: addresses,
          quotaBytes: { type: 'integer', minimum: 0 },
          disabled: { type: 'boolean' },
        },
      },
    },
  },
};
// Every start waits for this: the schema is ours, and judging it takes longer than judging the file.
const ajv = new Ajv({ allErrors: true, meta: false, validateSchema: false });
const validate = ajv.compile<UsersFile>(schema);

/** How many faults an error names before it only counts. */
const faultsShown = 10;

/** Throws OperationalError `users-file-invalid` that names the file and each fault by JSON pointer. */
export function parseUsersFile(text: string, file: string): UsersFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(file, [`is not JSON: ${describeError(error)}`]);
  }
  if (!validate(value)) throw invalid(file, (validate.errors ?? []).map(faultOf));
  const faults = Object.entries(value.users).flatMap(([address, record]) => recordFaults(address, record));
  const taken = doubleFaults(value);
  if (faults.length + taken.length > 0) throw invalid(file, [...faults, ...taken]);
  return value;
}

/** The users of a checked file, addresses in canonical form. */
export function knownUsers(file: UsersFile): KnownUser[] {
  return Object.entries(file.users).map(([address, record]) => ({
    user: {
      address: canonicalAddress(address),
      aliases: (record.aliases ?? []).map(canonicalAddress),
      forward: record.forward ?? [],
      quotaBytes: record.quotaBytes ?? 0,
      disabled: record.disabled ?? false,
    },
    hash: record.password,
    scram: (record.scram ?? []).flatMap((text) => parseScramKeys(text) ?? []),
    apop: record.apop,
  }));
}

/** Lower case, domain as A-labels, quotes only where needed: how addresses of users are stored and compared. */
export function canonicalAddress(address: string): string {
  return compareForm(address).normalize('NFC').toLowerCase();
}

function recordFaults(address: string, record: UserRecord): string[] {
  const at = `/users/${pointerPart(address)}`;
  const faults: string[] = [];
  if (!isAddress(address)) faults.push(`${at}: the key is no address (local@domain)`);
  if (record.password !== '' && !isPasswordHash(record.password)) {
    faults.push(`${at}/password: is no hash that can be checked; set it with "mailfilter user password"`);
  }
  for (const [index, text] of (record.scram ?? []).entries()) {
    if (parseScramKeys(text) === undefined)
      faults.push(`${at}/scram/${index}: is no key of SCRAM (RFC 5803)`);
  }
  for (const list of ['aliases', 'forward'] as const) {
    for (const [index, each] of (record[list] ?? []).entries()) {
      if (!isAddress(each)) faults.push(`${at}/${list}/${index}: "${each}" is no address (local@domain)`);
    }
  }
  return faults;
}

/** One address belongs to one user: an alias that another has too would be a coin toss. */
function doubleFaults(file: UsersFile): string[] {
  const owners = new Map<string, string>();
  const faults: string[] = [];
  for (const [address, record] of Object.entries(file.users)) {
    for (const own of new Set([address, ...(record.aliases ?? [])].map(canonicalAddress))) {
      const owner = owners.get(own);
      if (owner === undefined) owners.set(own, address);
      else faults.push(`/users: "${own}" belongs to both "${owner}" and "${address}"`);
    }
  }
  return faults;
}

function faultOf(error: ErrorObject): string {
  const where = error.instancePath === '' ? '' : `${error.instancePath}: `;
  const facts = error.params as Readonly<Record<string, Json>>;
  if (error.keyword === 'additionalProperties') return `${where}unknown key "${facts.additionalProperty}"`;
  if (error.keyword === 'const') return `${where}must be ${JSON.stringify(facts.allowedValue)}`;
  return `${where}${error.message}`;
}

function invalid(file: string, faults: readonly string[]): OperationalError {
  const more = faults.length > faultsShown ? `\n  and ${faults.length - faultsShown} more` : '';
  const shown = faults.slice(0, faultsShown).join('\n  ');
  return new OperationalError('users-file-invalid', `${file}:\n  ${shown}${more}`, {
    temporary: false,
    facts: { file },
  });
}

/** RFC 6901 section 3. */
function pointerPart(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
