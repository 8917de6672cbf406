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

/** One line of text for any thrown value, for logs and messages to operators. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}
