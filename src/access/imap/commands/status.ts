/** STATUS. RFC 9051 section 6.3.11. */
import { command } from '../command.ts';
import { readStatusItems, statusText } from '../status-text.ts';

export const status = command({
  name: 'STATUS',
  in: 'authenticated',
  parse(input) {
    input.space();
    const mailbox = input.mailbox();
    input.space();
    return { mailbox, items: readStatusItems(input) };
  },
  async run(session, { mailbox, items }) {
    session.untagged(await statusText(session, session.folderName(mailbox), items));
  },
});
