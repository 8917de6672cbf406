/** Ask another program that speaks the milter protocol (OpenDKIM, rspamd, any other), as Postfix and Sendmail would. */
import { type DaemonAddress, definePlugin, type HookInput, type RecipientResult } from 'mailfilter/plugin';
import { parseMilterAddress } from './address.ts';
import { answerOf, verdictOf } from './answer.ts';
import { viewOf } from './message-view.ts';
import { ClientSession } from './session.ts';

/** Sessions by connection: affinity keeps all hooks of one in this thread. */
interface Prepared {
  readonly address: DaemonAddress;
  readonly sessions: Map<string, Promise<ClientSession>>;
}

export default definePlugin({
  name: 'milter',
  affinity: 'connection',
  options: {
    address: {
      type: 'string',
      description: 'Where the milter listens: unix:/path, host:port or [IPv6]:port.',
    },
  },
  required: ['address'],
  setup: ({ options, baseDirectory }): Prepared => ({
    address: parseMilterAddress(options.address, baseDirectory),
    sessions: new Map(),
  }),
  dispose: async ({ prepared: { sessions } }) => {
    for (const session of await Promise.allSettled(sessions.values())) {
      if (session.status === 'fulfilled') session.value.quit();
    }
  },
  hooks: {
    connect: (input, context) =>
      ask(input, context, async (session) => verdictOf(await session.connect(input, context.signal))),
    helo: (input, context) =>
      ask(input, context, async (session) => verdictOf(await session.helo(input, context.signal))),
    mailFrom: (input, context) =>
      ask(input, context, async (session) => verdictOf(await session.mail(input, context.signal))),
    rcptTo(input, context) {
      const { route, recipient } = input;
      // An MTA asks its milters only about recipients that it would take, and tells of the others where that is wanted.
      const refused = route === 'unknown-user' || route === 'refused';
      return ask(input, context, async (session) =>
        refused
          ? session.refusedRcpt(input, recipient, context.signal)
          : verdictOf(await session.rcpt(input, recipient, context.signal)),
      );
    },
    data: (input, context) =>
      ask(input, context, async (session) => {
        const { signal } = context;
        const recipients: Record<string, RecipientResult> = {};
        // Those an alias stands for come after RCPT.
        for (const recipient of input.envelope.recipients) {
          const verdict = verdictOf(await session.rcpt(input, recipient, signal));
          if (verdict) recipients[recipient.id] = { verdict };
        }
        const verdict = verdictOf(await session.data(input, signal));
        return { ...(verdict && { verdict }), recipients };
      }),
    message: (input, context) =>
      ask(input, context, async (session) => {
        const { signal } = context;
        // Where the hooks of the steps before were never raised (a pipe), they are told now.
        for (const recipient of input.envelope.recipients) {
          const refused = verdictOf(await session.rcpt(input, recipient, signal));
          if (refused) return { verdict: refused };
        }
        const refused = verdictOf(await session.data(input, signal));
        if (refused) return { verdict: refused };
        const view = viewOf(input.message, input.id);
        return answerOf(await session.message(input, view, signal), view);
      }),
    async close({ connection }, { prepared: { sessions } }) {
      const session = sessions.get(connection.id);
      sessions.delete(connection.id);
      await session?.then(
        (open) => open.quit(),
        // It failed when it was opened, and its failure was answered for then.
        () => {},
      );
    },
  },
});

interface AskContext {
  readonly prepared: Prepared;
  readonly hostname: string;
  readonly signal: AbortSignal;
}

/** What goes wrong ends the session with the milter: the next hook begins another, which is told everything anew. */
async function ask<Answer>(
  { connection }: HookInput,
  { prepared: { address, sessions }, hostname, signal }: AskContext,
  question: (session: ClientSession) => Promise<Answer>,
): Promise<Answer> {
  const begin = () => {
    const opened = ClientSession.open(address, hostname, signal);
    sessions.set(connection.id, opened);
    return opened;
  };
  let open = sessions.get(connection.id) ?? begin();
  try {
    let session = await open;
    if (session.closed) {
      // A milter may end a session that has rested too long.
      open = begin();
      session = await open;
    }
    return await question(session);
  } catch (error) {
    sessions.delete(connection.id);
    open.then(
      (session) => session.destroy(),
      // That is the error.
      () => {},
    );
    throw error;
  }
}
