/** Forward mail under an address of ours, and lead its bounces back: the Sender Rewriting Scheme. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { boundedDns, checkHost } from 'mailfilter/auth';
import { isAddress, isDomain, normaliseDomain, splitAddress } from 'mailfilter/mail';
import {
  addRecipient,
  changeSender,
  definePlugin,
  deleteRecipient,
  type HookContext,
  type PluginState,
  reject,
  type SendInput,
} from 'mailfilter/plugin';
import { isSrs, restoreSender, rewriteSender, type SrsSettings } from './srs-address.ts';

export default definePlugin({
  name: 'srs',
  kind: 'mutate',
  reads: ['sender', 'recipients'],
  writes: ['sender', 'recipients'],
  options: {
    secretFile: {
      type: 'string',
      minLength: 1,
      description:
        'Secrets, one a line: the first one signs, all are good for bounces. Relative to the config.',
    },
    domain: {
      type: 'string',
      minLength: 1,
      description: 'Domain of the rewritten addresses; the first of `domains` where it is left out.',
    },
    ownDomains: {
      type: 'array',
      items: { type: 'string' },
      description: 'Senders of these domains are not rewritten, nor those of the `domains` of the config.',
    },
    sendingAddresses: {
      type: 'array',
      items: { type: 'string' },
      description: 'Our addresses in the world: a sender whose SPF lets all of them send is not rewritten.',
    },
    maxAgeDays: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 21,
      description: 'How many days bounces are taken.',
    },
    hashLength: {
      type: 'integer',
      minimum: 4,
      maximum: 20,
      default: 4,
      description: 'Characters of the hash. All hosts of a domain must agree.',
    },
  },
  required: ['secretFile'],
  setup: ({ options, domains, hostname, baseDirectory }): Prepared => {
    const domain = normaliseDomain(options.domain ?? domains[0] ?? hostname);
    if (!isDomain(domain)) throw new Error(`domain ${options.domain} is no domain`);
    const own = [...options.ownDomains, ...domains, domain].map(normaliseDomain);
    return {
      ...options,
      domain,
      own: new Set(own),
      secrets: readSecrets(resolve(baseDirectory, options.secretFile)),
    };
  },
  hooks: {
    async rcptTo({ recipient }, { prepared, clock, log, state }) {
      const { local, domain } = splitAddress(recipient.address);
      if (normaliseDomain(domain) !== prepared.domain || !isSrs(local)) return undefined;
      const restored = restoreSender(local, prepared, clock.now());
      const original =
        typeof restored === 'string' ? await rememberedSender(restored, prepared, state) : restored;
      if (typeof original !== 'string' || !isAddress(original)) {
        const problem = typeof original === 'string' ? 'malformed' : original.problem;
        log('refused', { address: recipient.address, problem });
        return reject(550, '5.1.1', `this address is ${problem}`);
      }
      log('restored', { address: recipient.address, original });
      return { edits: [deleteRecipient(recipient.address), addRecipient(original)], result: { original } };
    },
    async send(input, context) {
      if (!(await isForeign(input, context))) return undefined;
      const { sender } = input.envelope;
      const { prepared, clock, state } = context;
      let rewritten = rewriteSender(sender, prepared, clock.now());
      // RFC 5321 section 4.5.3.1.1: a local part has 64 octets; what gets longer is remembered under a short name.
      if (!isAddress(rewritten)) {
        const short = shortFor(sender, prepared);
        rewritten = rewriteSender(short, prepared, clock.now());
        if (!isAddress(rewritten)) {
          context.log('too-long', { sender });
          return undefined;
        }
        await state.set(short, sender, { ttlSeconds: (prepared.maxAgeDays + 1) * 24 * 3600 });
      }
      context.log('rewritten', { sender, rewritten });
      return { edits: [changeSender(rewritten)], result: { sender, rewritten } };
    },
  },
});

/** A name of ours, the same for the same sender, that stands for an address which is too long to be part of another. */
function shortFor(sender: string, { domain }: Prepared): string {
  const hash = createHash('sha256').update(sender).digest('hex').slice(0, 16);
  return `${shortPrefix}${hash}@${domain}`;
}

const shortPrefix = 'srs-long-';

/** What a short name of ours stands for; any other address is the sender itself. */
async function rememberedSender(
  restored: string,
  { domain }: Prepared,
  state: PluginState,
): Promise<string | { problem: 'expired' }> {
  const parts = splitAddress(restored);
  if (parts.domain !== domain || !parts.local.toLowerCase().startsWith(shortPrefix)) return restored;
  const known = await state.get(restored.toLowerCase());
  return typeof known === 'string' ? known : { problem: 'expired' };
}

interface Prepared extends SrsSettings {
  readonly own: ReadonlySet<string>;
  readonly sendingAddresses: readonly string[];
}

/** True where the sender's domain knows nothing of us. */
async function isForeign(
  { envelope, session }: SendInput,
  { prepared, dns, clock, hostname, deadline }: HookContext<unknown, Prepared>,
): Promise<boolean> {
  const domain = normaliseDomain(splitAddress(envelope.sender).domain);
  if (domain === '' || prepared.own.has(domain)) return false;
  if (prepared.sendingAddresses.length === 0) return true;
  const now = clock.now();
  const bounded = boundedDns(dns, deadline - now - 500);
  const question = { sender: envelope.sender, helo: session.helo || hostname, receiver: hostname, now };
  const results = await Promise.all(
    prepared.sendingAddresses.map((ip) => checkHost({ ...question, ip, helo: hostname }, bounded)),
  );
  return !results.every(({ result }) => result === 'pass');
}

function readSecrets(path: string): string[] {
  const secrets = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (secrets.length === 0) throw new Error(`${path} holds no secret`);
  return secrets;
}
