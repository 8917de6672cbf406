/** What a mailbox operation can fail with, named by the IMAP response code that tells a client. RFC 5530, RFC 9051 section 7.1. */
import { OperationalError } from '../../core/base/errors.ts';
import type { Json } from '../../core/base/json.ts';

export type MailboxErrorCode =
  /** The folder (or the source of a rename) is not there. TRYCREATE where it is the target of APPEND, COPY or MOVE. */
  | 'NONEXISTENT'
  | 'ALREADYEXISTS'
  /** The name is no folder name, or the folder cannot be what is asked: INBOX cannot be deleted. */
  | 'CANNOT'
  /** Quota: nothing was stored. */
  | 'OVERQUOTA'
  /** More keywords, entries or octets than are kept. */
  | 'LIMIT'
  /** Another program holds the folder's lock for too long, or POP3 has it; try again. */
  | 'INUSE'
  /** A message named by UID was gone before the operation could be done for all: nothing was done. */
  | 'EXPUNGEISSUED'
  /** The disk failed or is full, or the thread ended; try again. */
  | 'UNAVAILABLE';

export class MailboxError extends OperationalError {
  readonly responseCode: MailboxErrorCode;

  /** @param text for the client, without paths */
  constructor(responseCode: MailboxErrorCode, text: string, facts?: Readonly<Record<string, Json>>) {
    super(`mailbox-${responseCode.toLowerCase()}`, text, {
      temporary: responseCode === 'INUSE' || responseCode === 'UNAVAILABLE' || responseCode === 'OVERQUOTA',
      clientText: text,
      facts,
    });
    this.name = 'MailboxError';
    this.responseCode = responseCode;
  }
}
