/** The walk of a message that was taken before, with another config: the same flow as in the server, up to what it would do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock as clock } from '../../../core/base/clock.ts';
import { silentLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import { createDns } from '../../../core/net/dns.ts';
import { createPipelines } from '../../../core/pipeline/pipeline.ts';
import type { Pipelines } from '../../../core/pipeline/request.ts';
import type { Connection } from '../../../core/session/connection.ts';
import { openMemoryState } from '../../../core/state/memory.ts';
import type { StateKeys } from '../../../core/state/store.ts';
import type { Accepted } from '../../flow/accepted.ts';
import type { House, WalkTrace } from '../../flow/house.ts';
import { createOpenSession } from '../../flow/open-session.ts';
import type { Answer, FlowSession } from '../../flow/session.ts';
import { createSpool } from '../../flow/spool.ts';
import { mailboxPath } from '../../mailbox/locate.ts';
import { createRouter } from '../../router/routes.ts';
import { ActiveScripts } from '../../scripts/active-script.ts';

import { mailboxQuestions, rulePlaces, scriptQuestions } from '../../user-questions.ts';
import { openUsers } from '../../users/file.ts';
import { CommandError, exitCodes } from '../exit-codes.ts';
import { programDirectory } from '../installation.ts';
import { RecordedAnswers, unwritten } from './recorded.ts';

export interface Played {
  readonly trace: WalkTrace;
  /** What would have been stored and queued; absent when the message was not taken. */
  readonly accepted?: Accepted;
}

export interface Player {
  /** @param octets as the client sent them, CRLF line ends */
  play(old: WalkTrace, octets: Buffer): Promise<Played>;
  close(): Promise<void>;
}

/** @param state what plugins keep now; it is read and never written */
export async function openPlayer(config: Config, state: (plugin: string) => StateKeys): Promise<Player> {
  const log = silentLog;
  const memory = openMemoryState({ clock, log });
  const recorded = new RecordedAnswers();
  const keys = (plugin: string) => unwritten(state(plugin), memory.forPlugin(plugin));
  const pipelines = await openPipelines(config, recorded, keys);
  const separator = config.mailbox.subaddressSeparator;
  const users = config.users && (await openUsers({ ...config.users, separator, log, clock }));
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-replay-'));
  const spool = createSpool({ directory, limits: config.limits });
  let accepted: Accepted | undefined;
  let trace: WalkTrace | undefined;
  const outcome = (id: string): Played => {
    if (trace === undefined) throw new Error(`${id} left no trace`);
    return accepted === undefined ? { trace } : { trace, accepted };
  };
  const house: House = {
    config,
    pipelines,
    router: createRouter(config.routes),
    users,
    openSink: () => spool.open(),
    accept: async (message) => {
      accepted = message.accepted;
      message.spooled?.release();
    },
    store: nothing,
    reserveQuota: async () => true,
    releaseQuota: () => {},
    troubled: () => undefined,
    state: keys,
    trace: (walk) => {
      trace = walk;
    },
    note: () => {},
    outbound: { send: nothing as never, close: nothing },
    mayBounce: () => false,
    log,
    clock,
  };
  const openSession = createOpenSession(() => house, Promise.resolve());
  return {
    async play(old, octets) {
      accepted = undefined;
      trace = undefined;
      recorded.play(old);
      const session = openSession(withListener(old.connection, config));
      try {
        await walk(session, old, octets);
      } finally {
        await session.close('quit');
      }
      return outcome(old.id);
    },
    async close() {
      await pipelines.close();
      users?.close();
      await memory.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function nothing(): Promise<void> {}

function openPipelines(
  config: Config,
  recorded: RecordedAnswers,
  keys: (plugin: string) => StateKeys,
): Promise<Pipelines> {
  const active = new ActiveScripts();
  const dns = recorded.dns(createDns({ ...config.dns, clock, log: silentLog }));
  return createPipelines({
    ...config.processes,
    installDirectory: programDirectory,
    baseDirectory: config.baseDirectory,
    hostname: config.hostname,
    domains: config.domains,
    limits: config.limits,
    log: silentLog,
    services: {
      dns,
      state: (plugin) => recorded.state(plugin, keys(plugin)),
      // Nobody is told of an error that never happened.
      scripts: (user) => ({
        ...scriptQuestions(active, rulePlaces(config.mailbox, user)),
        note: async () => {},
      }),
      mailboxes: (user) =>
        mailboxQuestions({ format: config.mailbox.format, path: mailboxPath(config.mailbox.path, user) }),
    },
    pipelines: config.pipelines,
  });
}

/** The listener of that name, else the one that speaks the same protocol. */
function withListener(connection: Connection, { listeners }: Config): Connection {
  const found =
    listeners.find(({ name }) => name === connection.listener) ??
    listeners.find(({ protocol }) => protocol === connection.door);
  if (found !== undefined) return { ...connection, listener: found.name };
  throw new CommandError(
    exitCodes.config,
    `the new config has no listener "${connection.listener}", and none for ${connection.door}`,
    'Mail goes through the pipeline of the listener that takes it.',
  );
}

/** What the client said, up to the refusal of all of it. */
async function walk(session: FlowSession, old: WalkTrace, octets: Buffer): Promise<void> {
  const { helo, esmtp, tls, user, authMethod } = old.session;
  if (refuses(await session.connect())) return;
  if (tls) session.secured(tls);
  if (refuses(await session.helo(helo, esmtp))) return;
  if (user !== undefined) {
    const entered = await session.assume?.(user, authMethod);
    if (entered === undefined || 'refused' in entered) return;
  }
  const { recipients, ...mailFrom } = old.envelope;
  if (refuses(await session.mailFrom(mailFrom))) return;
  let taken = 0;
  for (const { id: _, original, ...rcpt } of firstOfEach(recipients)) {
    if (!refuses(await session.rcptTo({ ...rcpt, address: original }))) taken += 1;
  }
  if (taken === 0 || refuses(await session.data())) return session.reset();
  const sink = session.openMessage();
  await sink.write(octets);
  await session.message(await sink.finish());
}

/** One address may have become several; the client named it once. */
function firstOfEach<Recipient extends { readonly original: string }>(
  recipients: readonly Recipient[],
): Recipient[] {
  const named = new Set<string>();
  return recipients.filter(({ original }) => !named.has(original) && named.add(original));
}

function refuses(answer: Answer): answer is Reply {
  return answer !== undefined;
}
