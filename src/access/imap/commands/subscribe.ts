/** SUBSCRIBE and UNSUBSCRIBE. RFC 9051 sections 6.3.7 and 6.3.8. */
import { command } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';

function mailbox(input: Cursor): string {
  input.space();
  return input.mailbox();
}

export const subscribe = command({
  name: 'SUBSCRIBE',
  in: 'authenticated',
  parse: mailbox,
  run: (session, name) => session.account.subscribe(session.folderName(name)),
});

export const unsubscribe = command({
  name: 'UNSUBSCRIBE',
  in: 'authenticated',
  parse: mailbox,
  run: (session, name) => session.account.unsubscribe(session.folderName(name)),
});
