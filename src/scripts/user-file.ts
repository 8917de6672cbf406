/** Files in folders that a user may own: a link there must not lead the service to what only the service may read or write. */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, OperationalError } from '../../core/base/errors.ts';

const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * For reading; undefined where there is none. Links are followed, as Pigeonhole's active script is one, to what lies
 * below one of the folders. Rejects with OperationalError `script-unsafe`, or an error of the system.
 */
export async function openUserFile(
  path: string,
  folders: readonly string[],
): Promise<FileHandle | undefined> {
  const target = await realpath(path).catch(absent);
  if (target === undefined) return undefined;
  const real = await Promise.all(folders.map((folder) => realpath(folder).catch(absent)));
  if (!real.some((folder) => folder !== undefined && isBelow(target, folder)))
    throw unsafe(path, 'leads out of the folder of its user');
  // What became a link since it was resolved is not followed; a pipe does not keep us waiting.
  const handle = await open(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(absent);
  if (handle !== undefined) await assertOwner(handle, target);
  return handle;
}

/** For appending, made where it is missing; never a link. Rejects as `openUserFile`. */
export async function openUserLog(path: string): Promise<FileHandle> {
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const handle = await open(path, flags, 0o600).catch((error: unknown) => {
    throw errnoOf(error) === 'ELOOP' ? unsafe(path, 'is a link') : error;
  });
  await assertOwner(handle, path);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw unsafe(path, 'is no plain file');
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** Root's, our own, or of whom the folder belongs to; the descriptor is closed where it is not. */
async function assertOwner(handle: FileHandle, path: string): Promise<void> {
  try {
    const { uid } = await handle.stat();
    if (uid === 0 || uid === process.geteuid?.() || uid === (await stat(dirname(path))).uid) return;
    throw unsafe(path, `belongs to user ${uid}`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function unsafe(path: string, what: string): OperationalError {
  return new OperationalError('script-unsafe', `${path} ${what}`, { temporary: true });
}

function absent(error: unknown): undefined {
  // ENXIO: a socket.
  if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
  throw error;
}
