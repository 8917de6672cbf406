/** Aliases in a SQLite database: one question by name, each row a target or a list of them. */

import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface DatabaseSource {
  /** Relative to the config. */
  readonly file: string;
  /** Has one parameter, the name; answers targets in its first column. */
  readonly query: string;
}

export interface AliasDatabase {
  /** Targets as written, in order; a bounded number. */
  targets(name: string): readonly string[];
  close(): void;
}

/** Rows of one name that are read; what is beyond is more than any `expansionMax`. */
const rowsMax = 10_001;
/** Another program that writes holds the database for moments. */
const busyMs = 2000;

/** Opened for reading alone. @throws Error naming the file when it is missing, or the query is wrong */
export function openAliasDatabase({ file, query }: DatabaseSource, baseDirectory: string): AliasDatabase {
  const path = resolve(baseDirectory, file);
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: busyMs });
    const statement = database.prepare(query);
    statement.setReturnArrays(true);
    // A question with two parameters, or with none, is found out now and not by mail.
    statement.all('');
    return {
      targets: (name) => {
        const found: string[] = [];
        for (const row of statement.iterate(name)) {
          const [target] = Object.values(row);
          if (typeof target === 'string') found.push(target);
          if (found.length === rowsMax) break;
        }
        return found;
      },
      close: () => database.close(),
    };
  } catch (error) {
    throw new Error(`aliases in ${path}: ${(error as Error).message}`);
  }
}
