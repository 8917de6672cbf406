/** What users do is told one after the other, and a flood of it is not kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imapLimits } from '../../../core/base/limits/access.ts';
import { queueEvent } from '../../../src/access/imap/events.ts';
import type { Account } from '../../../src/mailbox/mailbox.ts';
import { memoryLog } from '../../kit/door.ts';

test('events of a user are told one at a time; too many are dropped, with one line in the log', async () => {
  const { log, logged } = memoryLog();
  const account = { close: () => {} } as unknown as Account;
  const house = { log, openAccount: async () => account };
  const named = (address: string) => ({ address, aliases: [], forward: [], quotaBytes: 0, disabled: false });
  const alice = named('alice@example.test');
  let [underWay, mostUnderWay, told] = [0, 0, 0];
  const tell = async () => {
    mostUnderWay = Math.max(mostUnderWay, ++underWay);
    await new Promise(setImmediate);
    underWay -= 1;
    if (++told === 2) throw new Error('the second');
  };
  const event = { failure: 'event-not-told', messages: 1, tell } as const;
  const { pendingEventsMax, pendingEventMessagesMax } = imapLimits;
  for (let count = 0; count < pendingEventsMax + 5; count += 1) queueEvent(house, alice, event);
  const bobs: string[] = [];
  await new Promise<void>((resolve) => {
    const tellBob = async () => void bobs.push('told');
    const bob = named('bob@example.test');
    queueEvent(house, bob, { ...event, messages: pendingEventMessagesMax + 1, tell: tellBob });
    queueEvent(house, bob, { ...event, tell: tellBob });
    queueEvent(house, named('last@example.test'), { ...event, tell: async () => resolve() });
  });
  while (!logged.some(({ facts }) => facts.events === 5)) await new Promise(setImmediate);
  assert.deepEqual([told, mostUnderWay, bobs], [pendingEventsMax, 1, ['told']]);
  assert.deepEqual(logged.map(({ event: name, facts }) => [name, facts.user]).sort(), [
    ['event-not-told', 'alice@example.test'],
    ['events-dropped', 'alice@example.test'],
    ['events-dropped', 'bob@example.test'],
  ]);
});
