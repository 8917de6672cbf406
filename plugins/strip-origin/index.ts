/** Take the sender's own address and software out of the mail that our users submit. RFC 5321 sections 4.4 and 7.6. */
import { definePlugin, type Edit, type MessageInput } from 'mailfilter/plugin';
import { hiddenMessageId } from './message-id.ts';
import { defaultHeaders, type NameTest, nameTest } from './names.ts';
import { receivedEdits, seesOwnReceived } from './received.ts';

interface StripOptions {
  readonly received: 'rewrite' | 'remove' | 'keep';
  readonly allReceived: boolean;
  readonly trustedClients: boolean;
  readonly rewriteMessageId: boolean;
}

const fieldName = { type: 'string', pattern: '^[!-)+-9;-~]+\\*?$' } as const;

export default definePlugin({
  name: 'strip-origin',
  kind: 'mutate',
  reads: ['header:*'],
  writes: ['header:*', 'header:Received'],
  // Not `ownReceived`: behind a door that cannot show our own Received field the others still go.
  options: {
    headers: {
      type: 'array',
      items: fieldName,
      default: [...defaultHeaders],
      description: 'Fields to remove, in place of the built-in list; a * at the end stands for anything.',
    },
    extraHeaders: {
      type: 'array',
      items: fieldName,
      default: [],
      description: 'Fields to remove as well as those of `headers`.',
    },
    received: {
      type: 'string',
      enum: ['rewrite', 'remove', 'keep'],
      default: 'rewrite',
      description:
        'What becomes of the Received field that we added: its `from` made neutral, all of it removed, or kept.',
    },
    allReceived: {
      type: 'boolean',
      default: false,
      description: 'Treat the Received fields below our own in the same way.',
    },
    trustedClients: {
      type: 'boolean',
      default: false,
      description: 'Treat mail of clients in trustedNetworks too, though nobody authenticated.',
    },
    rewriteMessageId: {
      type: 'boolean',
      default: false,
      description:
        "Replace a Message-ID whose right side is no domain of ours nor the sender's: it names the client's host.",
    },
  },
  setup: ({ options }) => nameTest([...options.headers, ...options.extraHeaders]),
  hooks: {
    message(input, { options, prepared: isRemoved, domains, hostname, log }) {
      if (!isOurs(input, options)) return undefined;
      const edits = [
        ...headerEdits(input, isRemoved),
        ...receivedEdits(input, options),
        ...messageIdEdits(input, options, [...domains, hostname]),
      ];
      if (options.received !== 'keep' && !seesOwnReceived(input)) {
        log('own-received-unseen', { door: input.connection.door });
      }
      const removed = [...new Set(edits.flatMap((edit) => ('name' in edit ? [edit.name] : [])))];
      return edits.length === 0 ? undefined : { edits, result: { changed: removed } };
    },
  },
});

/** Mail of our own users only: what strangers send carries evidence that filters and postmasters need. */
function isOurs({ session, connection }: MessageInput, { trustedClients }: StripOptions): boolean {
  return (
    session.user !== undefined || connection.door === 'submission' || (trustedClients && connection.trusted)
  );
}

function headerEdits({ message }: MessageInput, isRemoved: NameTest): Edit[] {
  const names = new Map<string, string>();
  for (const { name } of message.headers) if (isRemoved(name)) names.set(name.toLowerCase(), name);
  return [...names.values()].map((name) => ({ type: 'deleteHeader', name, nth: 'all' }));
}

function messageIdEdits(
  { message, envelope }: MessageInput,
  options: StripOptions,
  ours: readonly string[],
): Edit[] {
  const value = options.rewriteMessageId ? message.headers.get('Message-ID') : undefined;
  const hidden = value === undefined ? undefined : hiddenMessageId(value, envelope.sender, ours);
  return hidden === undefined ? [] : [{ type: 'changeHeader', name: 'Message-ID', nth: 1, value: hidden }];
}
