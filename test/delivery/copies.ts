/** Messages and store actions for tests of delivery. */
import { randomUUID } from 'node:crypto';
import type { MessageSource } from '../../core/mail/source.ts';
import { createCopies } from '../../src/delivery/copy.ts';
import { extraFields } from '../../src/delivery/deliver.ts';
import type { StoreAction } from '../../src/delivery/store.ts';

/** A message in shared memory, as the spool keeps it. */
export function memorySource(text: string | Uint8Array): MessageSource {
  const bytes = Buffer.from(text as string);
  const buffer = new SharedArrayBuffer(Math.max(1, bytes.length));
  new Uint8Array(buffer).set(bytes);
  return { kind: 'memory', buffer, offset: 0, length: bytes.length };
}

let counter = 0;

export function storeAction(overrides: Partial<StoreAction> & Pick<StoreAction, 'path'>): StoreAction {
  counter += 1;
  return {
    id: `TEST${counter}/r1/0`,
    user: 'alice@example.test',
    format: 'maildir',
    folder: 'INBOX',
    create: false,
    flags: [],
    internalDate: Date.now(),
    name: `1800000000.${randomUUID()}.mx.example.test`,
    sender: 'bob@sender.test',
    deliveredTo: 'alice@example.test',
    edits: [],
    ...overrides,
  };
}

/** The copy of one action; common edits none. */
export function copyOf(action: StoreAction, source: MessageSource) {
  return createCopies({ source, edits: [], smtputf8: false })(action, extraFields(action));
}
