/** `listeners` of the config: one socket each. */
import { choice, flag, section, socketAddress, text, whole } from './words.ts';

const listenerProtocols = [
  'smtp',
  'submission',
  'lmtp',
  'milter',
  'content-filter',
  'proxy-filter',
  'imap',
  'pop3',
  'managesieve',
] as const;
export const listener = section(
  'One socket and what is spoken on it.',
  {
    protocol: choice('What is spoken.', listenerProtocols),
    address: socketAddress('Where to listen: host:port, [IPv6]:port or unix:/path.'),
    tls: choice(
      'starttls offers the command, implicit begins with TLS. Default: implicit on 465, 993 and 995, starttls where `tls` names a certificate (not for lmtp), else none.',
      ['none', 'starttls', 'implicit'],
    ),
    pipeline: text('Which of `pipelines` the mail goes through; none: no plugin runs.'),
    next: socketAddress(
      'content-filter and proxy-filter: where the mail goes on, as `address`; with lmtp: before it both sides speak LMTP.',
    ),
    auth: { type: 'boolean', description: 'Offer AUTH. Default: submission and access protocols.' },
    authWithoutTls: flag('Offer AUTH without TLS; only for loopback addresses and unix sockets.', false),
    earlyTalkerDelayMs: whole(
      'Wait before the greeting and refuse clients that talk first; 0: off.',
      0,
      0,
      60_000,
    ),
    futureReleaseSecondsMax: {
      type: 'integer',
      minimum: 0,
      maximum: 999_999_999,
      description:
        'submission: how far ahead the date of delivery may be that a client asks for (RFC 4865); 0: not offered. Default: 30 days.',
    },
    deliverBy: {
      type: 'boolean',
      description: 'smtp, submission, lmtp: offer DELIVERBY, mail with a deadline (RFC 2852). Default: true.',
    },
    priorities: {
      type: 'boolean',
      description:
        'smtp, submission, lmtp: offer MT-PRIORITY (RFC 6710); who is not known gets no more than 0. Default: true.',
    },
    socketMode: text('unix: file mode of the socket, octal.', {
      pattern: '^0?[0-7]{3}$',
      expects: 'an octal mode such as "0660"',
    }),
    socketOwner: text('unix: user[:group] that owns the socket.'),
  },
  ['protocol', 'address'],
);
