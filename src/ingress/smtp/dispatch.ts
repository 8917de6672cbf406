/** From a command line to its handler, and from what that returns to the reply. */
import type { Reply } from '../../../core/mail/reply.ts';
import { auth } from './commands/auth.ts';
import { bdat } from './commands/bdat.ts';
import type { Command } from './commands/command.ts';
import { data } from './commands/data.ts';
import { helloCommands } from './commands/hello.ts';
import { mail } from './commands/mail.ts';
import { rcpt } from './commands/rcpt.ts';
import { expn, help, noop, quit, rset, vrfy } from './commands/simple.ts';
import { starttls } from './commands/starttls.ts';
import { xclient } from './commands/xclient.ts';
import { xforward } from './commands/xforward.ts';
import { replies } from './replies.ts';
import type { CommandResult, SmtpSession } from './session.ts';

/** Handles one line without its line end. A promise means that the next line must wait. */
export function dispatch(session: SmtpSession, line: Buffer): Promise<void> | undefined {
  const text = commandText(line);
  if (text === undefined) {
    session.expected = undefined;
    return conclude(session, replies.badCharacters, false);
  }
  const { expected } = session;
  if (expected?.kind === 'line') {
    session.expected = undefined;
    return conclude(
      session,
      attempt(session, () => expected.take(text)),
      false,
    );
  }
  const space = text.indexOf(' ');
  const verb = (space === -1 ? text : text.slice(0, space)).toUpperCase();
  const command = (session.door.lmtp ? lmtpCommands : smtpCommands).get(verb);
  if (command === undefined) {
    // A browser was tricked into talking to us: the body of its request would be run as commands.
    const http = /^(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT)$/.test(verb);
    return conclude(session, http ? replies.notMail : replies.unknownCommand, false);
  }
  const argument = space === -1 ? '' : text.slice(space + 1).trimEnd();
  return conclude(
    session,
    attempt(session, () => command.run(session, argument)),
    command.grouped === true,
  );
}

/** Answers with the result of a command, at once or when it comes. */
export function conclude(
  session: SmtpSession,
  result: CommandResult,
  grouped: boolean,
): Promise<void> | undefined {
  if (!(result instanceof Promise)) {
    answer(session, result, grouped);
    return undefined;
  }
  return result.then(
    (reply) => answer(session, reply, grouped),
    (error: unknown) => answer(session, session.bug(error), grouped),
  );
}

const shared: Record<string, Command> = {
  ...{ MAIL: mail, RCPT: rcpt, DATA: data, BDAT: bdat, STARTTLS: starttls, AUTH: auth },
  ...{ NOOP: noop, RSET: rset, QUIT: quit, HELP: help, VRFY: vrfy, EXPN: expn },
  ...{ XCLIENT: xclient, XFORWARD: xforward },
};
const smtpCommands = new Map(Object.entries({ ...shared, ...helloCommands(false) }));
const lmtpCommands = new Map(Object.entries({ ...shared, ...helloCommands(true) }));

function attempt(session: SmtpSession, run: () => CommandResult): CommandResult {
  try {
    return run();
  } catch (error) {
    return session.bug(error);
  }
}

function answer(session: SmtpSession, reply: Reply | undefined, grouped: boolean): void {
  if (session.closed) return;
  if (reply !== undefined) session.answer(reply);
  if (!grouped) session.wire.flush();
  session.settle();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** ASCII or, for SMTPUTF8, UTF-8; undefined where control characters or broken UTF-8 are in it. */
function commandText(line: Buffer): string | undefined {
  const text = line.toString('latin1');
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return undefined;
  try {
    return decoder.decode(line).replaceAll('\t', ' ');
  } catch {
    // Not UTF-8: no command or address can be written so.
    return undefined;
  }
}
