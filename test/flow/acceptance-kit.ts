/** Acceptance on a directory of its own, for tests: messages, a queue that remembers, and a look into mailboxes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../core/base/clock.ts';
import type { Json } from '../../core/base/json.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { StoreAction } from '../../src/delivery/store.ts';
import { type AcceptanceOptions, createAcceptance } from '../../src/flow/accept.ts';
import { type Accepted, acceptedVersion } from '../../src/flow/accepted.ts';
import type { NewQueueEntry, Queue } from '../../src/queue/queue.ts';

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly facts: Readonly<Record<string, Json>>;
}

export function recordingLog() {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (event: string, facts: Readonly<Record<string, Json>> = {}) => {
      lines.push({ level, event, facts });
    };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface FakeQueue {
  readonly entries: Map<string, NewQueueEntry>;
  readonly sources: Map<string, MessageSource>;
  failures: number;
  readonly directory: string;
  enqueue(entries: readonly NewQueueEntry[], source: MessageSource): Promise<void>;
  settle(): Promise<void>;
  renew: Queue['renew'];
}

/** Idempotent by id, as the real one; fails as many times as `failures` says. */
export function fakeQueue(directory: string): FakeQueue {
  const queue: FakeQueue = {
    directory,
    settle: async () => {},
    renew: async () => {},
    entries: new Map(),
    sources: new Map(),
    failures: 0,
    async enqueue(entries, source) {
      if (queue.failures > 0) {
        queue.failures -= 1;
        throw Object.assign(new Error('queue disk full'), { code: 'ENOSPC' });
      }
      for (const entry of entries) {
        queue.entries.set(entry.id, entry);
        queue.sources.set(entry.id, source);
      }
    },
  };
  return queue;
}

export const smallSegment = 256 * 1024;

export function openAcceptance(root: string, overrides: Partial<AcceptanceOptions> = {}) {
  const log = recordingLog();
  const queue = fakeQueue(root);
  const acceptance = createAcceptance({
    dataDirectory: root,
    durability: 'journal',
    journal: { segmentBytes: smallSegment, checkpointMs: 3_600_000 },
    queue,
    log,
    clock: systemClock,
    ...overrides,
  });
  return { acceptance, log, queue };
}

/** A plan with one store for each of `stores`. */
export function planOf(id: string, root: string, stores: Partial<StoreAction>[] = [{}]): Accepted {
  return {
    version: acceptedVersion,
    id,
    acceptedAt: Date.now(),
    envelope: {
      sender: 'bob@sender.test',
      recipients: [{ id: 'r1', address: 'alice@example.test', original: 'alice@example.test', notify: [] }],
      body: '8bitmime',
      smtputf8: false,
      requireTls: false,
    },
    edits: [
      { type: 'insertHeader', index: 0, name: 'Received', value: `by mx.example.test with ESMTP id ${id}` },
    ],
    stores: stores.map((overrides, ordinal) => ({
      id: `${id}/r1/${ordinal}`,
      user: 'alice@example.test',
      format: 'maildir',
      path: join(root, 'mail', 'alice'),
      folder: 'INBOX',
      create: false,
      flags: [],
      internalDate: Date.now(),
      name: `1800000000.${id}_r1_${ordinal}.mx.example.test`,
      sender: 'bob@sender.test',
      deliveredTo: 'alice@example.test',
      edits: [],
      ...overrides,
    })),
    queue: [],
  };
}

/** Texts of all messages in a Maildir, folders included. */
export function maildirTexts(root: string): string[] {
  const texts: string[] = [];
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const isMessage = /\/(new|cur)$/.test(entry.parentPath) && entry.isFile();
    if (isMessage) texts.push(readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  }
  return texts;
}

export function messageText(id: string, bodyBytes = 100): string {
  return `From: bob@sender.test\r\nSubject: ${id}\r\n\r\n${'x'.repeat(70)}\r\n`
    .padEnd(bodyBytes, 'y')
    .concat('\r\n');
}

/** What a mailbox holds for that message. */
export function storedText(id: string, bodyBytes = 100): string {
  return (
    `Return-Path: <bob@sender.test>\nDelivered-To: alice@example.test\nReceived: by mx.example.test with ESMTP id ${id}\n` +
    messageText(id, bodyBytes).replaceAll('\r\n', '\n')
  );
}
