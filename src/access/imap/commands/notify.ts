/** NOTIFY: which changes of which mailboxes are told at once. RFC 5465. */
import { command } from '../command.ts';
import { filterMatches, type MailboxFilter, readMailboxFilter } from '../mailbox-filter.ts';
import type { Cursor } from '../parse/cursor.ts';
import { type FetchItem, readItem } from '../parse/fetch-item.ts';
import { bad, no } from '../refusal.ts';
import type { Session } from '../session.ts';
import type { NotifyEvent, Registration } from '../updates.ts';

interface EventGroup {
  readonly filter: MailboxFilter;
  readonly events: ReadonlySet<NotifyEvent>;
  readonly items: readonly FetchItem[];
}

interface NotifyArguments {
  readonly status: boolean;
  readonly groups: readonly EventGroup[];
}

const known: readonly NotifyEvent[] = [
  'MESSAGENEW',
  'MESSAGEEXPUNGE',
  'FLAGCHANGE',
  'MAILBOXNAME',
  'SUBSCRIPTIONCHANGE',
  'MAILBOXMETADATACHANGE',
  'SERVERMETADATACHANGE',
];

export const notify = command({
  name: 'NOTIFY',
  in: 'authenticated',
  parse(input): NotifyArguments | undefined {
    input.space();
    const what = input.word();
    if (what === 'NONE') return undefined;
    if (what !== 'SET') throw bad('SET or NONE was expected');
    const status = input.skip(' STATUS');
    const groups: EventGroup[] = [];
    while (input.skip(' ')) groups.push(readGroup(input));
    if (groups.length === 0) throw bad('an event group was expected');
    // RFC 5465 section 6.2.
    if (groups.filter(({ filter }) => filter.kind.startsWith('selected')).length > 1)
      throw bad('the selected mailbox has one event group');
    return { status, groups };
  },
  async run(session, given) {
    if (!given) {
      await session.updates.register(undefined, []);
      return;
    }
    const folders = await session.account.list();
    const registration = registrationOf(session, given.groups, folders);
    await session.updates.register(registration, folders);
    if (!given.status) return;
    const selected = session.selectedOrNone?.folder.name;
    for (const { name, exists } of folders) {
      if (!exists || name === selected) continue;
      if (registration.others.some(({ matches }) => matches(name))) await session.updates.tellStatus(name);
    }
  },
});

/** `(filter events)`. */
function readGroup(input: Cursor): EventGroup {
  input.expect('(');
  const filter = readMailboxFilter(input);
  input.space();
  const events = new Set<NotifyEvent>();
  let items: FetchItem[] = [];
  if (!input.skip('NONE')) {
    input.list(() => {
      const name = input.word();
      const event = known.find((each) => each === name);
      // RFC 5465 section 5: events that are not kept are named, with those that are.
      if (!event) throw no('this event is not told', `BADEVENT (${known.join(' ')})`);
      events.add(event);
      if (event === 'MESSAGENEW' && input.skip(' (')) {
        do items.push(readItem(input));
        while (input.skip(' '));
        input.expect(')');
      }
    });
  }
  input.expect(')');
  checkEvents(events);
  if (!filter.kind.startsWith('selected')) items = [];
  return { filter, events, items };
}

/** RFC 5465 section 5.2 and 5.3: message numbers need both, and flags need messages. */
function checkEvents(events: ReadonlySet<NotifyEvent>): void {
  if (events.has('MESSAGENEW') !== events.has('MESSAGEEXPUNGE')) {
    throw bad('MessageNew and MessageExpunge go together');
  }
  if (events.has('FLAGCHANGE') && !events.has('MESSAGENEW')) throw bad('FlagChange needs MessageNew');
}

function registrationOf(
  session: Session,
  groups: readonly EventGroup[],
  folders: Parameters<typeof filterMatches>[2],
): Registration {
  const own = groups.find(({ filter }) => filter.kind.startsWith('selected'));
  return {
    selected: own && {
      delayed: own.filter.kind === 'selected-delayed',
      events: own.events,
      items: own.items,
    },
    others: groups
      .filter((group) => group !== own)
      .map(({ filter, events }) => ({ matches: filterMatches(session, filter, folders), events })),
  };
}
