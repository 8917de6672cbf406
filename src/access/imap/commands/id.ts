/** ID: who the programs are. RFC 2971. */
import { command } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';
import { bad } from '../refusal.ts';

/** RFC 2971 section 3.3. */
const pairsMax = 30;

export const id = command({
  name: 'ID',
  in: 'any',
  parse(input): Map<string, string> {
    input.space();
    const told = new Map<string, string>();
    if (input.next !== '(') {
      if (input.nstring() !== undefined) throw bad('a list or NIL was expected');
      return told;
    }
    const pairs = input.list(() => readPair(input), { empty: true });
    if (pairs.length > pairsMax) throw bad('too many fields', 'LIMIT');
    return new Map(pairs);
  },
  run(session, told) {
    const { house, wire } = session;
    if (told.size > 0) house.log.info('imap-client', { id: wire.peer.id, client: Object.fromEntries(told) });
    session.untagged('ID ("name" "mailfilter")');
  },
});

function readPair(input: Cursor): [string, string] {
  const name = input.string();
  input.space();
  return [name.slice(0, 30), (input.nstring() ?? '').slice(0, 200)];
}
