/** The two kinds of error: an OperationalError is expected and answered; anything else is a bug and ends in 451. */
import type { Json } from './json.ts';

export interface OperationalErrorInit {
  /** True when trying again later may succeed (a 4yz answer), false when it cannot (5yz). */
  temporary: boolean;
  /** What a remote client may read; never holds secrets, paths or stack traces. Defaults to a neutral sentence. */
  clientText?: string;
  /** Facts for the log line. */
  facts?: Readonly<Record<string, Json>>;
  cause?: unknown;
}

/** An expected failure of the outside world: a full disk, a refused connection, a missing file. */
export class OperationalError extends Error {
  /** Stable machine word, such as `mailbox-full` or `dns-timeout`. */
  readonly code: string;
  readonly temporary: boolean;
  readonly clientText: string;
  readonly facts: Readonly<Record<string, Json>>;

  constructor(code: string, message: string, init: OperationalErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'OperationalError';
    this.code = code;
    this.temporary = init.temporary;
    this.clientText = init.clientText ?? (init.temporary ? 'temporary failure, try again later' : 'failed');
    this.facts = init.facts ?? {};
  }
}

/** The errno name of a system error (`ENOSPC`), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

const fileProblems: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'what should be a folder on the way to it is none',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  ELOOP: 'too many symbolic links lead on',
  EMFILE: 'too many files are open',
};

/** What went wrong with a file, without its path: for a message that names it. */
export function describeFileError(error: unknown): string {
  return fileProblems[errnoOf(error) ?? ''] ?? describeError(error);
}

/** One line of text for any thrown value, for logs and messages to operators. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}
