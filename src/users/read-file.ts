/** Reads users.json, bounded, with errors that say what to do. */
import { readFile, stat } from 'node:fs/promises';
import { describeFileError, OperationalError } from '../../core/base/errors.ts';
import { usersFileBytesMax } from '../../core/base/limits/users.ts';

/** Text of the file. Throws OperationalError `users-file-missing` or `users-file-unreadable`. */
export async function readUsersText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > usersFileBytesMax) throw new Error(`${size} octets; at most ${usersFileBytesMax} are read`);
    return await readFile(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OperationalError(
      missing ? 'users-file-missing' : 'users-file-unreadable',
      missing
        ? `${file} does not exist; "mailfilter user add" makes it`
        : `cannot read ${file}: ${describeFileError(error)}`,
      { temporary: !missing, facts: { file }, cause: error },
    );
  }
}
