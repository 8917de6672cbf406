/** The message that an entry of the queue is about: the transaction's own, or one that was made for it. */
import type { Edit } from '../../core/mail/edit.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { QueueEntry, QueueWork } from '../queue/queue.ts';
import type { House } from './house.ts';
import type { SpooledMessage } from './session.ts';

export interface Opened {
  readonly source: MessageSource;
  readonly edits: readonly Edit[];
  /** To be released, where the message had to be written out. */
  readonly spooled?: SpooledMessage;
}

/** The generated message, or the transaction's own with what was changed for this way. */
export async function openSubmitted(
  house: House,
  entry: QueueEntry,
  { message, edits = [] }: QueueWork & { kind: 'submit' },
  source: MessageSource,
): Promise<Opened> {
  if (message === undefined) return { source, edits: [...entry.edits, ...edits] };
  const spooled = await spoolBytes(house, Buffer.from(message, 'latin1'));
  return { source: spooled.source, edits, spooled };
}

/** What a report returns: the message that could not be delivered. */
export async function openReturned(house: House, entry: QueueEntry, source: MessageSource): Promise<Opened> {
  return entry.work.kind === 'submit'
    ? openSubmitted(house, entry, entry.work, source)
    : { source, edits: entry.edits };
}

export async function spoolBytes(house: House, bytes: Uint8Array): Promise<SpooledMessage> {
  const sink = house.openSink();
  await sink.write(bytes);
  return sink.finish();
}
