/** ENABLE. RFC 9051 section 6.3.1, RFC 5161. */
import { command } from '../command.ts';
import { bad } from '../refusal.ts';
import type { Enabled, Session } from '../session.ts';

export const enable = command({
  name: 'ENABLE',
  in: 'authenticated',
  parse(input) {
    const names: string[] = [];
    while (input.skip(' ')) names.push(input.word());
    if (names.length === 0) throw bad('nothing to enable was named');
    return names;
  },
  run(session, names) {
    const before = new Set(session.enabled);
    for (const name of names) enableOne(session, name);
    const enabled = [...session.enabled].filter((name) => !before.has(name));
    session.untagged(`ENABLED${enabled.map((name) => ` ${name}`).join('')}`);
  },
});

function enableOne(session: Session, name: string): void {
  switch (name) {
    case 'CONDSTORE':
      session.enableCondstore();
      return;
    case 'QRESYNC':
      // RFC 7162 section 3.2.3: the one includes the other.
      session.enableCondstore();
      session.enabled.add(name);
      return;
    case 'IMAP4REV2':
    case 'UIDONLY':
    case 'UTF8=ACCEPT':
      session.enabled.add(name satisfies Enabled);
      return;
    default:
    // RFC 5161 section 3.1: what is not known is passed over.
  }
}
