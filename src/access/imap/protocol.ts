/** IMAP4rev1 and IMAP4rev2 for one client, from greeting to goodbye. RFC 3501, RFC 9051. */
import { setTimeout as delay } from 'node:timers/promises';
import { OperationalError } from '../../../core/base/errors.ts';
import { imapLimits } from '../../../core/base/limits/access.ts';
import { MailboxError } from '../../mailbox/mailbox-error.ts';
import type { EndReason } from '../input.ts';
import type { Protocol } from '../protocol.ts';
import { capabilities } from './capabilities.ts';
import type { Done } from './command.ts';
import { commandOf, type ParsedCommand, parseCommand, tagOf } from './parse/command.ts';
import { type CommandText, discard, type LiteralRules, readCommandText } from './read-command.ts';
import { bad, mailboxRefusal, Refusal } from './refusal.ts';
import { Session } from './session.ts';

const farewells: Readonly<Record<EndReason | 'too-many' | 'bug', string>> = {
  lost: '',
  timeout: '* BYE Nothing was heard for too long\r\n',
  shutdown: '* BYE [UNAVAILABLE] The server is going down\r\n',
  'too-many': '* BYE [LIMIT] Too many connections\r\n',
  bug: '* BYE [SERVERBUG] Something went wrong here\r\n',
};

export const imap: Protocol = {
  farewell: (reason) => farewells[reason],
  async serve(wire, house, listener) {
    const session = new Session(wire, house, listener);
    try {
      session.untagged(`OK [CAPABILITY ${capabilities(session)}] ${house.config().hostname} ready`);
      await converse(session);
    } finally {
      await session.updates.busy();
      session.leave();
      session.out.flush();
    }
  },
};

async function converse(session: Session): Promise<void> {
  const pace = new Pace();
  let errors = 0;
  while (!session.isOver) {
    session.out.flush();
    const received = await receive(session);
    await session.updates.busy();
    await pace.next();
    const wasUnderstood = await answer(session, received);
    errors = wasUnderstood ? 0 : errors + 1;
    if (errors >= imapLimits.errorsInRowMax) session.end('too many errors');
  }
}

/** The next command; while it is waited for, the client may be told what it asked to be told. */
async function receive(session: Session): Promise<CommandText> {
  session.updates.wait('waiting');
  try {
    return await readCommandText(session.wire, literalRules(session));
  } catch (error) {
    if (error instanceof OperationalError && !(error instanceof MailboxError)) {
      session.untagged(`BYE [TOOBIG] ${error.clientText}`);
      session.out.flush();
    }
    throw error;
  }
}

function literalRules(session: Session): LiteralRules {
  const { hasAccount, house, out } = session;
  return {
    octetsMax: hasAccount ? imapLimits.commandOctetsMax : imapLimits.beforeLoginOctetsMax,
    messageOctetsMax: house.config().limits.messageBytesMax,
    upload(before) {
      const takes = hasAccount && commandOf(before)?.takesMessage?.(before);
      return takes ? session.account.upload() : undefined;
    },
    goAhead() {
      out.write('+ OK\r\n');
      out.flush();
    },
  };
}

/** @returns false for what is no command */
async function answer(session: Session, received: CommandText): Promise<boolean> {
  const { text, messages } = received;
  const tag = tagOf(text);
  let parsed: ParsedCommand | undefined;
  let progress: NodeJS.Timeout | undefined;
  try {
    if (received.refusal !== undefined) throw received.refusal;
    parsed = parseCommand(text, messages);
    checkState(session, parsed);
    progress = tellProgress(session, tag);
    const done = await parsed.run(session, { tag, uid: parsed.uid });
    clearInterval(progress);
    await tellNews(session, parsed);
    complete(session, tag, 'OK', parsed.name, done);
    await changeLayer(session, parsed);
    return true;
  } catch (error) {
    clearInterval(progress);
    const refusal = refusalOf(error);
    if (refusal.losesSaved) session.selectedOrNone?.forgetSaved();
    if (parsed) await tellNews(session, parsed);
    complete(session, tag, refusal.status, parsed?.name, { code: refusal.code, text: refusal.message });
    return refusal.status !== 'BAD';
  } finally {
    await discard(messages);
  }
}

/** @throws what is no answer for a client */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof MailboxError) return mailboxRefusal(error, false);
  throw error;
}

function checkState(session: Session, { command, uid }: ParsedCommand): void {
  if (!session.isIn(command.in)) throw bad(stateTexts[command.in]);
  // RFC 9586 section 3.
  if (session.has('UIDONLY') && !uid && command.hasUidForm && command.name !== 'EXPUNGE') {
    throw bad('message numbers are not used here', 'UIDREQUIRED');
  }
}

const stateTexts = {
  any: '',
  notAuthenticated: 'you are logged in already',
  authenticated: 'log in first',
  selected: 'no mailbox is selected',
} as const;

/** What happened meanwhile, where this command's answer may hold it. RFC 9051 section 7. */
async function tellNews(session: Session, { command, uid }: ParsedCommand): Promise<void> {
  const { selectedOrNone } = session;
  if (!selectedOrNone) return;
  if (selectedOrNone.folder.isGone) {
    session.deselect();
    session.end('the selected mailbox is gone');
    return;
  }
  session.announce(uid || !command.keepsNumbers);
  await session.updates.contexts.tell();
}

function complete(
  session: Session,
  tag: string,
  status: string,
  name: string | undefined,
  done: Partial<Done> | undefined,
): void {
  const code = done?.code === undefined ? '' : `[${done.code}] `;
  // RFC 9051 section 9: resp-text has no line ends; what errors say may have come from anywhere.
  const text = (done?.text ?? `${name ?? 'Command'} completed`).replace(/[^\x20-\x7e]/g, '?');
  session.out.write(`${tag} ${status} ${code}${text}\r\n`);
}

/** TLS and compression begin behind the tagged OK. */
async function changeLayer(session: Session, { command }: ParsedCommand): Promise<void> {
  if (command.name !== 'STARTTLS' && command.name !== 'COMPRESS') return;
  session.out.flush();
  if (command.name === 'STARTTLS') await session.wire.startTls(session.house.tls!);
  else session.wire.compress();
}

/** RFC 9585: a client that waits long is told that it waits for something. */
function tellProgress(session: Session, tag: string): NodeJS.Timeout {
  return setInterval(() => {
    if (!session.hasAccount) return;
    session.untagged(`OK [INPROGRESS ("${tag}" NIL NIL)] Still working`);
    session.out.flush();
  }, imapLimits.progressMs);
}

/** Commands of one client by the second: a flood of empty ones must leave time to the others. */
class Pace {
  #second = 0;
  #count = 0;

  async next(): Promise<void> {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > imapLimits.commandsPerSecondMax) await delay((second + 1) * 1000 - now);
  }
}
