/** What users did to their mail waits here to be told: clients go on meanwhile, and one message of each user is under way. */
import { describeError } from '../../../core/base/errors.ts';
import { imapLimits } from '../../../core/base/limits/access.ts';
import type { Account } from '../../mailbox/mailbox.ts';
import type { User } from '../../users/users.ts';
import type { AccessHouse } from '../protocol.ts';

export interface PendingEvent {
  /** Of the log line where it cannot be told. */
  readonly failure: 'event-not-told' | 'moved-not-told';
  readonly messages: number;
  tell(account: Account): Promise<void>;
}

interface Line {
  /** The first is under way. */
  readonly events: PendingEvent[];
  messages: number;
  dropped: number;
}

type EventHouse = Pick<AccessHouse, 'openAccount' | 'log'>;

/** By address; a user without events has none. */
const linesOfHouses = new WeakMap<EventHouse, Map<string, Line>>();

/** Told after the user's earlier ones; not at all where too many wait. */
export function queueEvent(house: EventHouse, user: User, event: PendingEvent): void {
  const lines = linesOfHouses.get(house) ?? new Map<string, Line>();
  linesOfHouses.set(house, lines);
  const line = lines.get(user.address) ?? { events: [], messages: 0, dropped: 0 };
  const { pendingEventsMax, pendingEventMessagesMax } = imapLimits;
  const isFirst = line.events.length === 0;
  const isFull =
    line.events.length >= pendingEventsMax || line.messages + event.messages > pendingEventMessagesMax;
  if (isFull && !isFirst) {
    line.dropped += 1;
    return;
  }
  line.events.push(event);
  line.messages += event.messages;
  if (!isFirst) return;
  lines.set(user.address, line);
  // The line goes in the very turn in which it is found empty: an event after that has a line of its own.
  void tellAll(house, user, line, () => lines.delete(user.address));
}

/** Never rejects. */
async function tellAll(house: EventHouse, user: User, line: Line, ended: () => void): Promise<void> {
  for (let event = line.events[0]; event !== undefined; event = line.events[0]) {
    try {
      await tell(house, user, event);
    } catch (error) {
      house.log.warn(event.failure, { user: user.address, error: describeError(error) });
    }
    line.messages -= event.messages;
    line.events.shift();
  }
  ended();
  if (line.dropped > 0) house.log.warn('events-dropped', { user: user.address, events: line.dropped });
}

/** With an account of its own: the session may have ended. */
async function tell(house: EventHouse, user: User, event: PendingEvent): Promise<void> {
  const account = await house.openAccount(user);
  try {
    await event.tell(account);
  } finally {
    account.close();
  }
}
