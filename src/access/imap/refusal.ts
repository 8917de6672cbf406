/** How a command ends when it does not end well: thrown anywhere below a command, answered by the session. RFC 9051 section 7.1. */
import { MailboxError } from '../../mailbox/mailbox-error.ts';

export class Refusal extends Error {
  readonly status: 'NO' | 'BAD';
  /** The response code without brackets, such as `TRYCREATE`. */
  readonly code: string | undefined;
  /** The result that SEARCH was to save is lost. RFC 5182 section 2.1. */
  losesSaved = false;

  /** @param text for the client */
  constructor(status: 'NO' | 'BAD', text: string, code?: string) {
    super(text);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
  }
}

/** The command's syntax is wrong. */
export function bad(text: string, code?: string): Refusal {
  return new Refusal('BAD', text, code);
}

/** The command is right and cannot be done. RFC 5530 has the codes. */
export function no(text: string, code?: string): Refusal {
  return new Refusal('NO', text, code);
}

/** What to answer for a mailbox error; `target` is where a message should have gone. RFC 9051 section 7.1, TRYCREATE. */
export function mailboxRefusal(error: MailboxError, isTarget: boolean): Refusal {
  const code = isTarget && error.responseCode === 'NONEXISTENT' ? 'TRYCREATE' : error.responseCode;
  return no(error.clientText, code);
}

/** Runs what stores into a folder: that it is not there is told with TRYCREATE. */
export async function intoTarget<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof MailboxError) throw mailboxRefusal(error, true);
    throw error;
  }
}
