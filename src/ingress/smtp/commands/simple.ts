/** The commands that change little: NOOP, RSET, QUIT, HELP, VRFY, EXPN. RFC 5321 sections 4.1.1.5 to 4.1.1.10. */
import { replies, syntaxError } from '../replies.ts';
import type { Command } from './command.ts';

export const noop: Command = { run: () => replies.ok };

export const rset: Command = {
  run(session, text) {
    if (text !== '') return replies.noArguments;
    session.reset();
    session.forwarded = undefined;
    return replies.ok;
  },
  grouped: true,
};

export const quit: Command = {
  run(session, text) {
    if (text !== '') return replies.noArguments;
    session.wire.reply(replies.bye);
    session.end('quit');
    return undefined;
  },
};

export const help: Command = {
  run: () => ({ code: 214, enhanced: '2.0.0', text: 'RFC 5321 says it all' }),
};

/** RFC 5321 section 3.5.3: 252 tells nothing about who lives here. */
export const vrfy: Command = {
  run: (_, text) => (text === '' ? syntaxError('Syntax: VRFY address') : replies.notVerified),
};

export const expn: Command = { run: () => replies.notImplemented };
