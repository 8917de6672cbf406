/** What a command of the session is. */
import type { CommandResult, SmtpSession } from '../session.ts';

export interface Command {
  /** @param text What follows the verb and one space, as received. */
  run(session: SmtpSession, text: string): CommandResult;
  /** The reply may wait for those of commands that are already here. RFC 2920 section 3.2. */
  readonly grouped?: boolean;
}
