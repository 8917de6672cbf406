/** Ask SpamAssassin's spamd: its score and the rules that matched go into the sum that the policy plugin acts on. */
import { definePlugin, type MessageInput, parseDaemonAddress } from 'mailfilter/plugin';
import { SpamAssassinClient } from './client.ts';

export default definePlugin({
  name: 'spamassassin',
  kind: 'score',
  reads: ['header:*', 'body'],
  options: {
    socket: { type: 'string', minLength: 1, description: "Path of spamd's socket; relative to the config." },
    host: { type: 'string', minLength: 1, description: 'Host of spamd. Default 127.0.0.1.' },
    port: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 783,
      description: 'Port of spamd.',
    },
    servers: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description: 'Several, in order of preference: unix:/path, host:port or [IPv6]:port.',
    },
    user: {
      type: 'string',
      pattern: '^[^\\x00-\\x1f]*$',
      default: '',
      description: 'Whose preferences spamd uses. Empty: those of the user that it runs as.',
    },
    perUser: {
      type: 'boolean',
      default: false,
      description: 'Use the recipient’s preferences where a message has one recipient.',
    },
    maxBytes: {
      type: 'integer',
      minimum: 1000,
      maximum: 64 * 1024 * 1024,
      default: 512_000,
      description: 'A longer message is not scanned, and says so in its result. spamc has the same limit.',
    },
    compress: { type: 'boolean', default: false, description: 'Compress messages, for a spamd far away.' },
    tls: {
      type: 'boolean',
      default: false,
      description: 'TLS, for spamd --ssl; its certificate is checked.',
    },
    factor: {
      type: 'number',
      minimum: 0,
      default: 1,
      description: 'What its points are multiplied with.',
    },
  },
  setup({ options, baseDirectory }) {
    const { socket, host, port, servers, maxBytes, compress, tls } = options;
    const addresses = [
      ...(socket === undefined
        ? []
        : [parseDaemonAddress(socket.includes(':') ? socket : `unix:${socket}`, baseDirectory)]),
      ...(host === undefined ? [] : [{ host, port }]),
      ...servers.map((text) => parseDaemonAddress(text, baseDirectory, port)),
    ];
    if (addresses.length === 0) addresses.push({ host: '127.0.0.1', port });
    return new SpamAssassinClient({ servers: addresses, maxSize: maxBytes, compress, tls });
  },
  hooks: {
    async message(input, context) {
      const { options, prepared: client, log } = context;
      const octets = await contentFor(input, options.maxBytes);
      if (octets === undefined) {
        log('too-large', { octets: input.message.length });
        return { result: { scanned: false, reason: 'too large' } };
      }
      const { spam, score, threshold, rules } = await client.checkWithin(
        context,
        octets,
        userOf(input, options),
      );
      const { factor } = options;
      return {
        score: score * factor,
        symbols: rules.map(({ name, score: points, text }) => ({ name, score: points * factor, text })),
        result: { scanned: true, spam, score, threshold },
      };
    },
  },
});

/** Whole, the envelope's sender where SpamAssassin looks for it: above the first Received field. Undefined above the limit. */
async function contentFor(
  { message, envelope }: MessageInput,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [Buffer.from(`Return-Path: <${envelope.sender}>\r\n`)];
  let octets = chunks[0]!.length;
  for await (const chunk of message.raw() as AsyncIterable<Buffer>) {
    octets += chunk.length;
    if (octets > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function userOf(
  { envelope }: MessageInput,
  { user, perUser }: { readonly user: string; readonly perUser: boolean },
): string {
  const [only, ...others] = envelope.recipients;
  return perUser && only !== undefined && others.length === 0 ? only.address : user;
}
