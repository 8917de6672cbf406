/** Serves POP3 and IMAP on the mailboxes of a folder until it is killed; says its ports on standard output. */
import { imap } from '../../src/access/imap/protocol.ts';
import { pop3 } from '../../src/access/pop3/protocol.ts';
import { openAccessDoor } from '../kit/access-door.ts';

const [mailFormat, mailRoot] = process.argv.slice(2) as ['maildir' | 'mbox', string];
const asLongAsItLives = { after: () => {} };
const door = (protocol: typeof pop3, name: 'pop3' | 'imap') =>
  openAccessDoor(asLongAsItLives, { protocol, listener: { protocol: name }, mailRoot, mailFormat });
const { port } = await door(pop3, 'pop3');
const { port: imapPort } = await door(imap, 'imap');
process.stdout.write(`${JSON.stringify({ port, imapPort })}\n`);
