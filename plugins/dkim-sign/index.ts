/** Sign mail with DKIM: last of all, after every edit. RFC 6376 section 5, RFC 8463. */
import { oversignedNames, signDkim, signedNames } from 'mailfilter/auth';
import { normaliseDomain, parseAddressList, splitAddress } from 'mailfilter/mail';
import {
  definePlugin,
  type HookAnswer,
  type HookContext,
  insertHeader,
  isSentElsewhere,
  type MessageInput,
} from 'mailfilter/plugin';
import { type DatedKey, type KeyOptions, keysFor, readKeys } from './keys.ts';
import { isOwnMail } from './own-mail.ts';

const domain = { type: 'string', minLength: 1 } as const;
const names = { type: 'array', items: { type: 'string', pattern: '^[!-9;-~]+$' } } as const;

export default definePlugin({
  name: 'dkim-sign',
  kind: 'sign',
  reads: ['header:*', 'body'],
  writes: ['header:DKIM-Signature'],
  needs: ['editHeaders'],
  options: {
    domain: {
      ...domain,
      description: 'Domain (d=) of `keyFile`; mail of its subdomains is signed with it, too.',
    },
    selector: { type: 'string', minLength: 1, description: 'Selector (s=) of `keyFile`.' },
    keyFile: {
      type: 'string',
      minLength: 1,
      description: 'Private key, PEM, RSA or Ed25519. Relative to the config.',
    },
    keys: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          domain,
          selector: { type: 'string', minLength: 1 },
          keyFile: { type: 'string', minLength: 1 },
          from: { type: 'string', description: 'Date from which on the key signs: 2026-12-31.' },
          until: { type: 'string', description: 'Date from which on it does no longer.' },
        },
        required: ['domain', 'selector', 'keyFile'],
        additionalProperties: false,
      },
      description: 'More keys: other domains, a second algorithm, the next key of a rotation.',
    },
    fallbackDomain: {
      ...domain,
      description:
        'Domain whose keys sign mail of authors that have no key of their own. Without it such mail is not signed.',
    },
    signAll: {
      type: 'boolean',
      default: false,
      description: 'Sign whoever sent it: for listeners that nobody but own users reaches.',
    },
    signHeaders: { ...names, default: [...signedNames], description: 'Fields to sign where they are there.' },
    oversignHeaders: {
      ...names,
      default: [...oversignedNames],
      description: 'Fields signed once more than they are there, so that nobody can add one.',
    },
    canonicalization: {
      type: 'string',
      enum: ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'],
      default: 'relaxed/relaxed',
      description: 'How much change on the way a signature bears, of header and of body.',
    },
    expireDays: {
      type: 'number',
      exclusiveMinimum: 0,
      description: 'After this many days a signature is no longer good (x=).',
    },
  },
  setup: ({ options, baseDirectory }) => readKeys(entriesOf(options), baseDirectory),
  hooks: {
    // Mail that this server sends itself is signed when it does.
    message: (input, context) =>
      isSentElsewhere(input.connection.door) ? signMessage(input, context) : undefined,
    send: (input, context) => signMessage(input, context),
  },
});

interface SignSettings {
  readonly domain?: string;
  readonly selector?: string;
  readonly keyFile?: string;
  readonly keys: readonly KeyOptions[];
  readonly fallbackDomain?: string;
  readonly signAll: boolean;
  readonly signHeaders: readonly string[];
  readonly oversignHeaders: readonly string[];
  readonly canonicalization: string;
  readonly expireDays?: number;
}

function entriesOf({ domain, selector, keyFile, keys }: SignSettings): KeyOptions[] {
  const given = [domain, selector, keyFile].filter((each) => each !== undefined).length;
  if (given !== 0 && given !== 3) throw new Error('domain, selector and keyFile belong together');
  const first = given === 3 ? [{ domain: domain!, selector: selector!, keyFile: keyFile! }] : [];
  if (first.length + keys.length === 0)
    throw new Error('there is no key: give domain, selector and keyFile, or keys');
  return [...first, ...keys];
}

async function signMessage(
  input: MessageInput,
  { options, prepared: keys, clock, hostname, log }: HookContext<SignSettings, DatedKey[]>,
): Promise<HookAnswer | undefined> {
  const author = authorDomain(input);
  if (author === undefined || !(options.signAll || isOwnMail(input, hostname, author))) return undefined;
  const now = clock.now();
  const fallback = options.fallbackDomain;
  const chosen =
    keysFor(keys, author, now) ??
    (fallback === undefined ? undefined : keysFor(keys, normaliseDomain(fallback), now));
  if (chosen === undefined) {
    log('no-key', { author });
    return undefined;
  }
  // Mail that nobody meant to leave unsigned: the failure policy decides.
  if (chosen.length === 0) throw new Error(`no key for ${author} is in its time`);
  const [header, body] = options.canonicalization.split('/') as ['simple' | 'relaxed', 'simple' | 'relaxed'];
  const values = await signDkim(input.message, chosen, {
    now,
    signedNames: options.signHeaders,
    oversignedNames: options.oversignHeaders,
    headerCanonicalization: header,
    bodyCanonicalization: body,
    ...(options.expireDays !== undefined && { expiresSeconds: Math.round(options.expireDays * 86_400) }),
  });
  const signed = chosen.map(({ domain, selector }) => `${selector}._domainkey.${domain}`);
  log('signed', { by: signed });
  return {
    edits: values.map((value) => insertHeader(0, 'DKIM-Signature', value)),
    result: { signed },
  };
}

/** Of the first author, as DMARC asks of it; of the envelope sender where From has none. */
function authorDomain({ message, envelope }: MessageInput): string | undefined {
  const author = parseAddressList(message.headers.get('From') ?? '').find(({ valid }) => valid)?.address;
  const { domain } = splitAddress(author ?? envelope.sender);
  return domain === '' ? undefined : normaliseDomain(domain);
}
