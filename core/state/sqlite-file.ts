/** Opens an SQLite file in WAL mode, brings its tables up to date step by step, and says in plain words when it cannot. */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describeError, OperationalError } from '../base/errors.ts';
import { databaseCheckBytesMax } from '../base/limits/flow.ts';
import type { Log } from '../base/log.ts';

/** The write-ahead log grows to about this size. */
const checkpointBytes = 4 * 1024 * 1024;

export interface DatabaseInit {
  /** Absolute path; its directory is made with mode 0700 when missing. */
  readonly path: string;
  /** SQL that leads from version n to n+1. `PRAGMA user_version` holds how many were run. Never change one that shipped. */
  readonly steps: readonly string[];
  /** What SQLite syncs by itself: `normal` keeps the file whole through a power loss, and may lose the last commits. */
  readonly synchronous: 'normal' | 'off';
  readonly readOnly?: boolean;
  /** Size of a page, for a file that is made; SQLite's 4096 when absent. */
  readonly pageBytes?: number;
  /** Largest size of the file; a write past it fails with SQLITE_FULL. */
  readonly bytesMax?: number;
}

/**
 * Opens or creates the file. Throws OperationalError `database-corrupt` when it is damaged or no database at all,
 * `database-newer` when a later version of this program wrote it, `database-unreadable` for anything else.
 */
export function openDatabase(init: DatabaseInit): DatabaseSync {
  if (!init.readOnly) mkdirSync(dirname(init.path), { recursive: true, mode: 0o700 });
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(init.path, { readOnly: init.readOnly ?? false, timeout: 2000 });
    prepare(database, init);
    return database;
  } catch (error) {
    if (database?.isOpen) database.close();
    throw explained(error, init.path);
  }
}

/** As openDatabase, but a damaged file is moved aside, loudly, and a new one begun: for data that may be lost. */
export function openOrReplaceDatabase(init: DatabaseInit, log: Log): DatabaseSync {
  try {
    return openDatabase(init);
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'database-corrupt') throw error;
    const aside = moveAside(init.path);
    log.error('database-replaced', { file: init.path, movedTo: aside, error: error.message });
    return openDatabase(init);
  }
}

/** True for the errors of a damaged file: SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included. */
export function isCorruption(error: unknown): boolean {
  const primary = primaryCode(error);
  return primary === 11 || primary === 26;
}

/** True when the disk, or the file's allowed size, is full: SQLITE_FULL. */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === 13;
}

function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  // The low byte is the primary result code; the rest tells variants apart (sqlite.org/rescode.html).
  return typeof code === 'number' ? code & 0xff : undefined;
}

function prepare(database: DatabaseSync, init: DatabaseInit): void {
  if (init.readOnly) {
    checkVersion(database, init);
    return;
  }
  if (init.pageBytes !== undefined) database.exec(`PRAGMA page_size = ${init.pageBytes}`);
  database.exec('PRAGMA journal_mode = WAL');
  // A checkpoint runs in the call that crosses this: at 4 MiB it takes a few milliseconds.
  const pages = Math.ceil(checkpointBytes / Number(pragma(database, 'page_size')));
  database.exec(`PRAGMA wal_autocheckpoint = ${pages}`);
  database.exec(`PRAGMA synchronous = ${init.synchronous === 'off' ? 'OFF' : 'NORMAL'}`);
  if (init.bytesMax !== undefined) {
    const pageSize = Number(pragma(database, 'page_size'));
    database.exec(`PRAGMA max_page_count = ${Math.max(16, Math.floor(init.bytesMax / pageSize))}`);
  }
  const version = checkVersion(database, init);
  checkIntegrity(database, init.path);
  upgrade(database, init.steps, version);
}

function checkVersion(database: DatabaseSync, init: DatabaseInit): number {
  const version = Number(pragma(database, 'user_version'));
  if (version <= init.steps.length) return version;
  throw new OperationalError(
    'database-newer',
    `${init.path} has version ${version}; this program knows ${init.steps.length}: run the newer program, or move the file away`,
    { temporary: false },
  );
}

/** Reads every page of a file that is small enough to be read at each start; a larger one shows its damage when used. */
function checkIntegrity(database: DatabaseSync, path: string): void {
  if (statSync(path).size > databaseCheckBytesMax) return;
  const found = pragma(database, 'quick_check(1)');
  if (found !== 'ok') throw corrupt(path, String(found));
}

function upgrade(database: DatabaseSync, steps: readonly string[], from: number): void {
  for (let version = from; version < steps.length; version++) {
    database.exec(`BEGIN IMMEDIATE; ${steps[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}

function pragma(database: DatabaseSync, name: string): unknown {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return row === undefined ? undefined : Object.values(row)[0];
}

function explained(error: unknown, path: string): OperationalError {
  if (error instanceof OperationalError) return error;
  if (isCorruption(error)) return corrupt(path, describeError(error));
  return new OperationalError('database-unreadable', `cannot open ${path}: ${describeError(error)}`, {
    temporary: true,
    facts: { file: path },
    cause: error,
  });
}

function corrupt(path: string, found: string): OperationalError {
  return new OperationalError('database-corrupt', `${path} is damaged: ${found}`, {
    temporary: false,
    facts: { file: path },
  });
}

function moveAside(path: string): string {
  const aside = `${path}.corrupt-${new Date().toISOString().replace(/[:.]/g, '')}`;
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      renameSync(path + suffix, aside + suffix);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return aside;
}
