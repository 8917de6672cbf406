/** POP3 for one client, from greeting to goodbye. RFC 1939, RFC 2449. */
import { OperationalError } from '../../../core/base/errors.ts';
import { pop3Limits } from '../../../core/base/limits/access.ts';
import { MailboxError } from '../../mailbox/mailbox-error.ts';
import type { EndReason } from '../input.ts';
import type { Protocol } from '../protocol.ts';
import { type Pop3Command, pop3Commands } from './commands.ts';
import { Pop3Refusal } from './refusal.ts';
import { Pop3Session } from './session.ts';

const farewells: Readonly<Record<EndReason | 'too-many' | 'bug', string>> = {
  lost: '',
  timeout: '-ERR [SYS/TEMP] nothing was heard for too long\r\n',
  shutdown: '-ERR [SYS/TEMP] the server is going down\r\n',
  'too-many': '-ERR [SYS/TEMP] too many connections\r\n',
  bug: '-ERR [SYS/TEMP] something went wrong here\r\n',
};

export const pop3: Protocol = {
  farewell: (reason) => farewells[reason],
  async serve(wire, house, listener) {
    const session = new Pop3Session(wire, house, listener);
    try {
      const timestamp = session.timestamp === undefined ? '' : ` ${session.timestamp}`;
      wire.write(`+OK ${house.config().hostname} ready${timestamp}\r\n`);
      await converse(session);
    } finally {
      // RFC 1939 section 3: without QUIT nothing is removed.
      session.close();
    }
  },
};

async function converse(session: Pop3Session): Promise<void> {
  let errors = 0;
  while (!session.isOver) {
    const line = await readLine(session);
    errors = (await answer(session, line)) ? 0 : errors + 1;
    if (errors >= pop3Limits.errorsInRowMax) session.isOver = true;
  }
}

async function readLine(session: Pop3Session): Promise<string> {
  try {
    return (await session.wire.command(pop3Limits.lineOctetsMax)).toString('utf8');
  } catch (error) {
    if (error instanceof OperationalError) session.wire.write(`-ERR ${error.clientText}\r\n`);
    throw error;
  }
}

/** @returns false for an error of the client */
async function answer(session: Pop3Session, line: string): Promise<boolean> {
  const [word, ...rest] = line.split(' ');
  const command = pop3Commands.get(word!.toUpperCase());
  try {
    if (!command) throw new Pop3Refusal('this command is not known');
    checkState(session, command);
    await command.run(session, rest);
    return true;
  } catch (error) {
    const refusal = refusalOf(error);
    session.wire.write(
      `-ERR ${refusal.code === undefined ? '' : `[${refusal.code}] `}${refusal.message}\r\n`,
    );
    return refusal.code !== undefined;
  }
}

function checkState(session: Pop3Session, { in: state }: Pop3Command): void {
  if (state === 'any') return;
  if ((state === 'transaction') !== session.isLoggedIn) {
    throw new Pop3Refusal(session.isLoggedIn ? 'you are logged in already' : 'log in first');
  }
}

/** @throws what is no answer for a client */
function refusalOf(error: unknown): Pop3Refusal {
  if (error instanceof Pop3Refusal) return error;
  if (error instanceof MailboxError) {
    // RFC 3206 section 4.
    const code = error.responseCode === 'INUSE' ? 'IN-USE' : error.temporary ? 'SYS/TEMP' : 'SYS/PERM';
    return new Pop3Refusal(error.clientText, code);
  }
  throw error;
}
