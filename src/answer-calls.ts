/** What the mta answers to calls of other roles: mail goes into the queue, state and moves to the rooms that keep them. */
import { OperationalError } from '../core/base/errors.ts';
import type { Json } from '../core/base/json.ts';
import { outboundLimits } from '../core/base/limits/outbound.ts';
import type { Envelope, Recipient } from '../core/mail/envelope.ts';
import { memorySource } from '../core/mail/source.ts';
import type { StateStore } from '../core/state/store.ts';
import type { StateQuestion, SubmittedMail, WireCalls } from './calls/mta-calls.ts';
import { createHourlyLimit } from './flow/hourly-limit.ts';
import type { House } from './flow/house.ts';
import { changeQueue } from './queue/change.ts';
import type { Queue } from './queue/queue.ts';
import { raiseMoved, transactionIdOf } from './raise-moved.ts';

export interface AskedRooms {
  readonly queue: Queue;
  readonly state: StateStore;
}

/** @param current the house of the moment in which a call comes */
export function answerCalls(current: () => House, { queue, state }: AskedRooms): WireCalls {
  const clock = { monotonicMs: () => current().clock.monotonicMs() };
  const maySend = createHourlyLimit(clock, outboundLimits.eventSends);
  return {
    submit: (mail) => enqueue(current(), queue, mail),
    moved: (message) => raiseMoved(current(), { queue, maySend }, message),
    state: (question) => askState(state, question),
    queue: (change) => changeQueue(queue, change),
  };
}

/** The queue ignores an id that it has seen. */
async function enqueue({ config, clock }: House, queue: Queue, mail: SubmittedMail): Promise<void> {
  const { id, sender, recipients, message } = mail;
  if (message.length > config.limits.messageBytesMax) {
    throw new OperationalError('message-too-large', `${message.length} octets`, { temporary: false });
  }
  const all = recipients.map(
    (address, index): Recipient => ({ id: `r${index + 1}`, address, original: address, notify: [] }),
  );
  const envelope: Envelope = {
    ...{ sender, recipients: all, body: '8bitmime', smtputf8: false, requireTls: false },
    // What this server writes is its own to answer for: dkim-sign signs it.
    origin: 'house',
  };
  const work = { kind: 'submit', sender, recipients } as const;
  const entry = { id, transactionId: transactionIdOf(id), work, envelope, edits: [], createdAt: clock.now() };
  await queue.enqueue([entry], memorySource(message));
}

async function askState(store: StateStore, question: StateQuestion): Promise<Json | undefined> {
  const { plugin, method, parameters } = question;
  const keys = store.forPlugin(plugin);
  const ask = keys[method].bind(keys) as (...parameters: readonly (Json | undefined)[]) => Promise<Json>;
  return ask(...parameters);
}
