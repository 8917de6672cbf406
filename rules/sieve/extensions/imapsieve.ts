/** imapsieve: scripts that run at IMAP events; their facts are items of environment. RFC 6785. */
import type { Extension } from '../spec.ts';

/** Section 4.3: requires environment as well. Items: imap.user, imap.email, imap.cause, imap.mailbox, imap.changedflags. */
export const imapsieve: Extension = { name: 'imapsieve', implies: ['environment'], silent: true };
