/**
 * `"durability": "file"`: every copy is on disk, file and folder, before the client hears 250, and a failure is the answer.
 * For file systems that cannot be synced as one, such as network file systems.
 */
import type { Clock } from '../../core/base/clock.ts';
import { describeError } from '../../core/base/errors.ts';
import { storageError } from '../../core/base/storage-error.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { createCopies } from '../delivery/copy.ts';
import { extraFields, store, storeOnceDurably, undo } from '../delivery/deliver.ts';
import type { Finder } from '../delivery/find.ts';
import type { StoreAction, StoreResult } from '../delivery/store.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';
import type { Queue } from '../queue/queue.ts';
import type { Accepted, RememberedKey } from './accepted.ts';
import { type DeliveryEvents, entryOf, isOperational, withUsableFolder } from './carry-out.ts';
import type { FlowLog } from './house.ts';

export interface StoreDurablyOptions extends DeliveryEvents {
  readonly remember?: (keys: readonly RememberedKey[]) => Promise<void>;
  readonly queue: Pick<Queue, 'enqueue'>;
  readonly directorySync: DirectorySync;
  readonly clock: Clock;
  readonly log: FlowLog;
  /** Of an attempt that may repeat another: copies may lie in their mailboxes already. */
  readonly finder?: Finder | undefined;
}

/** All of it or nothing. @throws OperationalError `storage-full`, `storage-failed`, or the delivery's own */
export async function storeDurably(
  accepted: Accepted,
  source: MessageSource,
  options: StoreDurablyOptions,
): Promise<void> {
  const { queue, clock, log } = options;
  const copies = createCopies({ source, edits: accepted.edits, smtputf8: accepted.envelope.smtputf8 });
  const actions = accepted.stores.map((action) => withUsableFolder(action, log));
  const outcomes = await Promise.allSettled(
    actions.map((action) => storeOne(action, () => copies(action, extraFields(action)), options)),
  );
  const done = outcomes.flatMap((outcome, index) =>
    outcome.status === 'fulfilled' ? [{ action: actions[index]!, result: outcome.value }] : [],
  );
  try {
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    const entries = accepted.queue.map(({ id, work }) => entryOf(accepted, id, work, clock));
    if (entries.length > 0) await queue.enqueue(entries, source);
  } catch (error) {
    await undoAll(accepted, done, log);
    throw isOperational(error) ? storageError(error, 'store message') : error;
  }
  if (accepted.remembered) await options.remember?.(accepted.remembered);
  for (const { action, result } of done) {
    options.onStored?.({ accepted, action, result, sourceLength: source.length });
  }
}

async function storeOne(
  action: StoreAction,
  copy: () => Parameters<typeof store>[1],
  { directorySync, finder }: StoreDurablyOptions,
): Promise<StoreResult> {
  if (finder) return storeOnceDurably(action, copy(), finder, directorySync);
  return store(action, copy(), directorySync);
}

/** The client hears that nothing was accepted and will send again: what stays behind would be a duplicate, never a loss. */
async function undoAll(
  accepted: Accepted,
  done: readonly { action: StoreAction; result: StoreResult }[],
  log: FlowLog,
): Promise<void> {
  for (const { action, result } of done) {
    // An earlier attempt stored it, and the next one finds it.
    if (result.present) continue;
    try {
      if (!(await undo(action, result))) log.warn('undo-failed', { id: accepted.id, action: action.id });
    } catch (error) {
      log.warn('undo-failed', { id: accepted.id, action: action.id, error: describeError(error) });
    }
  }
}
