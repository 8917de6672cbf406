/** Seal forwarded mail: tell the next server what we found when the message came. RFC 8617 section 5.1. */
import {
  boundedDns,
  readSigningKey,
  type SigningKey,
  sealArc,
  signedNames,
  verifyArc,
} from 'mailfilter/auth';
import { formatAuthenticationResults, isOurs, parseAuthenticationResults } from 'mailfilter/mail';
import {
  type AuthResult,
  definePlugin,
  type HookAnswer,
  type HookContext,
  insertHeader,
  isSentElsewhere,
  type MessageInput,
} from 'mailfilter/plugin';

export default definePlugin({
  name: 'arc-seal',
  kind: 'sign',
  reads: ['header:*', 'body'],
  writes: ['header:ARC-Seal', 'header:ARC-Message-Signature', 'header:ARC-Authentication-Results'],
  needs: ['editHeaders'],
  options: {
    domain: { type: 'string', minLength: 1, description: 'Our domain (d=).' },
    selector: {
      type: 'string',
      minLength: 1,
      description: 'Selector (s=); the record in DNS is one of DKIM.',
    },
    keyFile: { type: 'string', minLength: 1, description: 'Private key, PEM. Relative to the config.' },
    signHeaders: {
      type: 'array',
      items: { type: 'string', pattern: '^[!-9;-~]+$' },
      default: [...signedNames, 'DKIM-Signature'],
      description: 'Fields to sign where they are there.',
    },
  },
  required: ['domain', 'selector', 'keyFile'],
  setup: ({ options, baseDirectory }) => readSigningKey(options, baseDirectory),
  hooks: {
    message: (input, context) => (isSentElsewhere(input.connection.door) ? seal(input, context) : undefined),
    send: (input, context) => seal(input, context),
  },
});

async function seal(
  { message, auth, connection }: MessageInput,
  {
    options,
    prepared: key,
    dns,
    clock,
    hostname,
    log,
    deadline,
  }: HookContext<{ signHeaders: readonly string[] }, SigningKey>,
): Promise<HookAnswer | undefined> {
  // What came from outside has results of ours: in the header once it was accepted, before that among those gathered.
  const results = isSentElsewhere(connection.door)
    ? auth
    : headerResults(message.headers.all('Authentication-Results'), hostname);
  if (results.length === 0) return undefined;
  const now = clock.now();
  const found = results.find(({ method }) => method === 'arc')?.result;
  const cv = found ?? (await verifyArc(message, boundedDns(dns, deadline - now - 500), { now })).result;
  if (cv !== 'none' && cv !== 'pass' && cv !== 'fail') {
    log('not-sealed', { chain: cv });
    return undefined;
  }
  const set = await sealArc(message, {
    key,
    now,
    cv,
    results: formatAuthenticationResults(hostname, results),
    signedNames: options.signHeaders,
  });
  if (set === undefined) {
    log('not-sealed', { chain: cv });
    return undefined;
  }
  log('sealed', { domain: key.domain, chain: cv });
  return {
    // The last one comes to stand on top, as the RFC shows them.
    edits: [
      insertHeader(0, 'ARC-Authentication-Results', set.results),
      insertHeader(0, 'ARC-Message-Signature', set.messageSignature),
      insertHeader(0, 'ARC-Seal', set.seal),
    ],
    result: { sealed: key.domain, chain: cv },
  };
}

/** The core took forged ones out: all that bear our name are ours. */
function headerResults(fields: readonly string[], hostname: string): readonly AuthResult[] {
  return fields.flatMap((value) =>
    isOurs(value, hostname) ? (parseAuthenticationResults(value)?.results ?? []) : [],
  );
}
