/** An account of its own for a test, without threads: opened, closed and opened again over the same files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { AccountEngine } from '../../src/mailbox/account-engine.ts';
import { createDirectorySync } from '../../src/mailbox/directory-sync.ts';
import type { FolderEngine } from '../../src/mailbox/engine.ts';
import { flagNames } from '../../src/mailbox/flags.ts';
import { FolderIndex } from '../../src/mailbox/index/folder-index.ts';
import { createQuotaLedger } from '../../src/mailbox/quota.ts';
import { octetsAt } from '../../src/mailbox/read-place.ts';

export type Format = 'maildir' | 'mbox';

export interface Seen {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly text: string;
}

export class TestAccount {
  readonly format: Format;
  readonly directory: string;
  readonly path: string;
  readonly tombstones: string;
  readonly quotaBytes: number;
  engine: AccountEngine;
  #index: FolderIndex;
  #uploads = 0;

  constructor(
    format: Format,
    { quotaBytes = 0, directory = mkdtempSync(join(tmpdir(), 'mailbox-test-')) } = {},
  ) {
    this.format = format;
    this.directory = directory;
    this.quotaBytes = quotaBytes;
    this.path = join(directory, 'mail', 'alice');
    this.tombstones = join(directory, 'tombstones');
    mkdirSync(join(directory, 'mail'), { recursive: true });
    ({ engine: this.engine, index: this.#index } = this.#open());
  }

  #open() {
    const clock = systemClock;
    const index = new FolderIndex(join(this.directory, 'index', 'folders.db'), silentLog);
    const { path, tombstones, format, quotaBytes } = this;
    const directorySync = createDirectorySync();
    const engine = new AccountEngine({
      account: { user: 'alice@example.test', format, path, quotaBytes },
      context: { path, index, clock, log: silentLog, directorySync, tombstones },
      ledger: createQuotaLedger({ format, clock }),
    });
    return { engine, index };
  }

  /** In order; with `loseIndex` everything that is only a cache is deleted between. */
  async reopen({ loseIndex = false } = {}): Promise<void> {
    await this.engine.close();
    this.#index.close();
    if (loseIndex) rmSync(join(this.directory, 'index'), { recursive: true, force: true });
    ({ engine: this.engine, index: this.#index } = this.#open());
  }

  /** LF line ends. */
  upload(text: string, flags: readonly string[] = [], internalDate = Date.now()) {
    const path = join(this.engine.layout.uploads, `upload-${process.pid}-${this.#uploads++}`);
    writeFileSync(path, text);
    const octets = Buffer.byteLength(text);
    return { path, octets, crlfOctets: octets + text.split('\n').length - 1, flags, internalDate };
  }

  append(folder: string, texts: readonly string[], flags: readonly string[] = []) {
    return this.engine.append(
      folder,
      texts.map((text) => this.upload(text, flags)),
    );
  }

  /** The folder brought up to date, for as long as `work` takes. */
  async with<T>(folder: string, work: (engine: FolderEngine) => Promise<T> | T): Promise<T> {
    const held = await this.engine.hold(folder);
    try {
      return await work(held);
    } finally {
      this.engine.release(held);
    }
  }

  /** What a client would see, in order. */
  look(folder: string): Promise<Seen[]> {
    return this.with(folder, (held) => {
      const { state } = held.book;
      return Array.from({ length: state.count }, (_, index) => {
        const uid = state.uidAt(index);
        const place = held.placeOf(uid);
        const text = Buffer.from((place && octetsAt(place)) ?? []).toString('utf8');
        return { uid, flags: flagNames(state.flagsAt(index), state.keywords).sort(), text };
      });
    });
  }

  async close(): Promise<void> {
    await this.engine.close();
    this.#index.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
