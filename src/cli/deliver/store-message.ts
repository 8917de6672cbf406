/** One copy into a system user's mailbox, on disk when it resolves: then, and not before, the MTA may forget the message. */
import { hostname } from 'node:os';
import type { Edit } from '../../../core/mail/edit.ts';
import { fieldValue } from '../../../core/mail/header.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import { createCopies } from '../../delivery/copy.ts';
import type { StoreAction } from '../../delivery/store.ts';
import { createDirectorySync } from '../../mailbox/directory-sync.ts';
import type { Place } from './place.ts';

export interface StoreRequest {
  readonly place: Place;
  readonly user: string;
  readonly sender: string;
  /** Address for Delivered-To. */
  readonly recipient: string;
  readonly folder: string;
  readonly create: boolean;
  readonly flags: readonly string[];
  readonly edits: readonly Edit[];
}

/** @throws OperationalError and system errors; the mailbox is as before then */
export async function storeMessage(source: MessageSource, request: StoreRequest): Promise<void> {
  const { place, user, sender, recipient, folder, create, flags } = request;
  const name = uniqueName();
  const action: StoreAction = {
    ...{ id: name, user, format: place.format, path: place.path, folder, create, flags },
    ...{ internalDate: Date.now(), name, sender, deliveredTo: recipient },
    edits: [...withoutRepetition(source, recipient), ...request.edits],
  };
  const copies = createCopies({ source, edits: [], smtputf8: true });
  const durable = createDirectorySync();
  if (place.format === 'maildir') {
    const { storeInMaildir } = await import('../../delivery/maildir.ts');
    await storeInMaildir(action, copies(action), durable);
    return;
  }
  // Its locks need a library that a Maildir does not.
  const { mboxFields, storeInMbox } = await import('../../delivery/mbox.ts');
  await storeInMbox(action, copies(action, mboxFields(action)), { durable });
}

/** The MTA may have put the same Delivered-To on top that a copy gets here. */
function withoutRepetition(source: MessageSource, recipient: string): Edit[] {
  const block = readHeader(source);
  const index = [...block.starts.keys()].find((each) => block.isNamed(each, 'delivered-to'));
  if (index === undefined) return [];
  const value = fieldValue(block.bytes.subarray(block.starts[index], block.end(index)));
  return value.trim() === recipient ? [{ type: 'deleteHeader', name: 'Delivered-To', nth: 1 }] : [];
}

let copies = 0;

/** https://cr.yp.to/proto/maildir.html: time, process, count, host. */
function uniqueName(): string {
  copies += 1;
  const [seconds, micros] = [Math.floor(Date.now() / 1000), process.hrtime.bigint() % 1_000_000_000n];
  const host = hostname().replace(/[^0-9A-Za-z.-]/g, '_');
  return `${seconds}.N${micros}P${process.pid}Q${copies}.${host}`;
}
