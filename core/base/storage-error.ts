/** What a failing disk means for mail: every errno of storage is put into one of three classes, each with its SMTP answer. */
import { errnoOf, OperationalError } from './errors.ts';
import type { Json } from './json.ts';

/** `storage-full` is answered 452 4.3.1, `mailbox-full` 452 4.2.2, `storage-failed` 451 4.3.0. RFC 3463 section 3. */
export type StorageErrorCode = 'storage-full' | 'mailbox-full' | 'storage-failed';

const clientTexts: Record<StorageErrorCode, string> = {
  'storage-full': 'insufficient system storage',
  'mailbox-full': 'mailbox is full',
  'storage-failed': 'local error in processing',
};

// EDQUOT is a user's disk quota, yet the file system that says so may be the spool's: it is no more than "full".
const fullErrnos = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Always temporary: mail is never refused for good because a disk failed. */
export function storageErrorOf(
  code: StorageErrorCode,
  message: string,
  facts?: Readonly<Record<string, Json>>,
  cause?: unknown,
): OperationalError {
  return new OperationalError(code, message, {
    temporary: true,
    clientText: clientTexts[code],
    facts,
    cause,
  });
}

/**
 * An error of a file operation as an expected failure; an OperationalError passes as it is.
 * @param doing what was being done, for the log: `write journal`
 */
export function storageError(error: unknown, doing: string): OperationalError {
  if (error instanceof OperationalError) return error;
  const errno = errnoOf(error);
  const code = errno !== undefined && fullErrnos.has(errno) ? 'storage-full' : 'storage-failed';
  const reason = error instanceof Error ? error.message : String(error);
  return storageErrorOf(
    code,
    `${doing}: ${reason}`,
    errno === undefined ? { doing } : { doing, errno },
    error,
  );
}
