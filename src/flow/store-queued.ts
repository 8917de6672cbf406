/** A copy that failed after the 250 and comes back from the queue: stored once, and on disk before the queue forgets it. */
import type { Edit } from '../../core/mail/edit.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import { createCopies } from '../delivery/copy.ts';
import { extraFields, storeOnceDurably } from '../delivery/deliver.ts';
import { createFinder } from '../delivery/find.ts';
import type { StoreAction, StoreResult } from '../delivery/store.ts';
import type { DirectorySync } from '../mailbox/directory-sync.ts';

export interface StoreQueued {
  readonly action: StoreAction;
  readonly edits: readonly Edit[];
  readonly source: MessageSource;
  readonly smtputf8: boolean;
  readonly directorySync: DirectorySync;
}

/** @throws OperationalError and system errors: to be tried again */
export async function storeQueued(queued: StoreQueued): Promise<StoreResult> {
  const { action, edits, source, smtputf8, directorySync } = queued;
  const copy = createCopies({ source, edits, smtputf8 })(action, extraFields(action));
  // No journal record stands behind it: its queue entry goes when this resolves.
  return storeOnceDurably(action, copy, createFinder(), directorySync);
}
