/** `mailbox` of the config: where mail and rules of local users lie. */
import { choice, flag, section, text, whole } from './words.ts';

export const mailbox = section('Where local mail is stored.', {
  format: choice('Maildir, or mboxrd files.', ['maildir', 'mbox'], 'maildir'),
  path: text(
    'With {domain}, {user} or {address}; for `mailfilter deliver` {home}. Maildir: its root; mbox: the INBOX file. Default: mail/{domain}/{user} in dataDirectory.',
  ),
  subaddressSeparator: {
    type: 'string',
    maxLength: 1,
    default: '+',
    description: 'Parts user and detail in the local part; empty turns subaddresses off. RFC 5233.',
  },
  quotaBytes: whole('Size of a mailbox unless the user has an own one; 0: no limit.', 0, 0, 2 ** 50),
  pipeline: text(
    'The pipeline whose deliver and moved hooks (sieve) serve the mailboxes, whichever way mail comes. Default: the one it came through where that has such hooks, else inbound.',
  ),
  sieve: section("Where users' Sieve scripts lie, in the layout of Dovecot's Pigeonhole.", {
    directory: text(
      'Folder of scripts, with {domain}, {user} or {address}. Default: sieve/{domain}/{user} in dataDirectory.',
    ),
    active: text(
      'Link to the active script, or a script itself, with the same placeholders. Default: .dovecot.sieve in the folder.',
    ),
    scriptsMax: whole('Scripts of one user.', 100, 1, 10_000),
    imap: flag(
      'Scripts that a mailbox names in its annotation /shared/imapsieve/script run when users add, copy, move or flag messages by IMAP. RFC 6785.',
      false,
    ),
    storageBytesMax: whole('Octets of all scripts of one user.', 4 * 1024 * 1024, 1024, 2 ** 40),
  }),
  procmail: section("Where users' rcfiles of procmail lie, for the plugin procmail.", {
    rcfile: text(
      'An rcfile, with {domain}, {user} or {address}; what it includes lies beside it. Default: procmail/{domain}/{user}/.procmailrc in dataDirectory.',
    ),
  }),
});
