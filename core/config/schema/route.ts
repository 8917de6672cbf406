/** An entry of `routes` of the config. */
import { list, section, socketAddress, text } from './words.ts';

export const route = section(
  'The first line that matches a recipient decides. Exactly one of deliver, relay, lmtp, pipe and reject.',
  {
    to: text('Recipient: *, @domain, @.domain (and its subdomains) or local@domain.'),
    from: { ...text('Sender: any, authenticated (or trustedNetworks), or as `to`.'), default: 'any' },
    deliver: text('mailbox: into the mailbox of a local user. lmtp:ADDRESS: the same as `lmtp`.', {
      examples: ['mailbox', 'lmtp:unix:/run/dovecot/lmtp'],
    }),
    relay: text(
      "To another host: mx (that of the recipient's domain), host:port, smtp://user@host:port or smtps://user@host, with ?tls=none, opportunistic, required or verify (the default with a user).",
      { examples: ['mx', 'smtp://ann%40example.org@smtp.example.net:587'] },
    ),
    password: {
      type: ['string', 'object'],
      description:
        'Of the user in `relay`; { "env": "NAME" } or { "file": "path" } keeps it out of the config.',
    },
    lmtp: socketAddress('To an LMTP server.'),
    pipe: list(
      "To a program, without a shell: its absolute path and its arguments, in which {sender}, {recipient}, {user} and {domain} stand for the mail's. It gets the message on standard input, once per recipient; exit 0 is delivered, 75 is later.",
      text('An argument.'),
      { minItems: 1, maxItems: 100 },
    ),
    reject: text('Refuse with this reply: code, enhanced status, text.', {
      pattern: '^([45])[0-9]{2} \\1\\.[0-9]{1,3}\\.[0-9]{1,3} [\\x20-\\x7E]+$',
      expects: 'a reply such as "550 5.7.1 relaying denied", both numbers of one class',
    }),
  },
  ['to'],
);
