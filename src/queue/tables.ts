/** The tables of queue.db, and how each version of them follows from the one before. */

/**
 * Times are epoch milliseconds. `work` and a context's `value` (envelope and common edits, shared by the entries of one
 * call) are structured clones as node:v8 writes them, which later versions can read. `next_attempt_at` was set at
 * `scheduled_at`; `reply` is set once the entry was given up. `destination` never changes; `lane` is where the entry
 * waits its turn: at its destination, or in our own lane once it was given up. `delay_told`: the sender knows that it waits.
 */
export const steps = [
  `CREATE TABLE messages (id TEXT PRIMARY KEY, length INTEGER NOT NULL, format INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE contexts (number INTEGER PRIMARY KEY, message TEXT NOT NULL, value BLOB NOT NULL);
   CREATE INDEX contexts_message ON contexts (message);
   CREATE TABLE entries (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, message TEXT NOT NULL,
     context INTEGER NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL, created_at INTEGER NOT NULL,
     next_attempt_at INTEGER NOT NULL, scheduled_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     last_error TEXT NOT NULL, reply TEXT, work BLOB NOT NULL);
   CREATE INDEX entries_message ON entries (message);
   CREATE INDEX entries_status ON entries (status, number);
   CREATE INDEX entries_due ON entries (next_attempt_at) WHERE status IN ('waiting', 'failed');
   CREATE TABLE done (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX done_at ON done (at)`,
  // Until then nothing went to other hosts: every entry is of our own lane.
  `ALTER TABLE entries ADD COLUMN destination TEXT NOT NULL DEFAULT '';
   ALTER TABLE entries ADD COLUMN lane TEXT NOT NULL DEFAULT '';
   ALTER TABLE entries ADD COLUMN sender TEXT NOT NULL DEFAULT '';
   ALTER TABLE entries ADD COLUMN delay_told INTEGER NOT NULL DEFAULT 0;
   DROP INDEX entries_due;
   CREATE INDEX entries_lane ON entries (lane, sender, next_attempt_at) WHERE status IN ('waiting', 'failed')`,
  // A message to ten thousand: those of one destination are found without looking at the others.
  `DROP INDEX entries_message;
   CREATE INDEX entries_alike ON entries (message, lane, status, next_attempt_at)`,
  // A message's format may be 0: it has no file yet. Earlier versions would take it for lost.
  'SELECT 1',
];
