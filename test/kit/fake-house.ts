/** A house for the walk: scripted plugins, real routes, users and spool, and an acceptance that only writes down. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import type { Json } from '../../core/base/json.ts';
import { defaultLimits, type Limits } from '../../core/base/limits/settings.ts';
import type { Config, RouteConfig } from '../../core/config/config.ts';
import type { Edit } from '../../core/mail/edit.ts';
import { render, streamRendered } from '../../core/mail/render.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Connection } from '../../core/session/connection.ts';
import { openMemoryState } from '../../core/state/memory.ts';
import type { StateStore } from '../../core/state/store.ts';
import type { TracePart } from '../../core/state/trace-store.ts';
import type { Accepted } from '../../src/flow/accepted.ts';
import type { House, WalkTrace } from '../../src/flow/house.ts';
import type { Keeper } from '../../src/flow/keeper.ts';
import { createOpenSession } from '../../src/flow/open-session.ts';
import { readPlan, writePlan } from '../../src/flow/plan-text.ts';
import type { Answer, FlowSession, MailFrom, SpooledMessage } from '../../src/flow/session.ts';
import { createSpool } from '../../src/flow/spool.ts';
import type { OutboundMail, OutboundResult } from '../../src/outbound/outbound.ts';
import { destinationOf } from '../../src/queue/entries.ts';
import type { QueueEntry } from '../../src/queue/queue.ts';
import { createRouter } from '../../src/router/routes.ts';
import { UserDirectory } from '../../src/users/directory.ts';
import type { User, Users } from '../../src/users/users.ts';
import { memoryLog } from './door.ts';
import { memorySource } from './message-source.ts';
import { type ScriptedHooks, ScriptedPipelines } from './scripted-pipelines.ts';

export interface FakeHouseInit {
  readonly hooks?: ScriptedHooks;
  readonly users?: readonly (Partial<User> & Pick<User, 'address'>)[];
  readonly routes?: readonly RouteConfig[];
  readonly config?: Partial<Config>;
  readonly limits?: Partial<Limits>;
}

/** What `accept` was given: the plan as it comes back from the journal, and the octets. */
export interface Kept {
  readonly accepted: Accepted;
  readonly bytes: Buffer;
}

export const now = Date.UTC(2026, 0, 2, 3, 4, 5);
export const rightPassword = 'right';

const defaultRoutes: readonly RouteConfig[] = [
  { to: '@example.test', from: 'any', action: { kind: 'mailbox' } },
  { to: '*', from: 'authenticated', action: { kind: 'relay', via: 'mx' } },
];
const defaultUsers: FakeHouseInit['users'] = [
  { address: 'alice@example.test', aliases: ['a.lias@example.test'] },
  { address: 'bob@example.test' },
  { address: 'gone@example.test', disabled: true },
];

export class FakeHouse {
  house: House;
  readonly pipelines: ScriptedPipelines;
  readonly kept: Kept[] = [];
  readonly traces: WalkTrace[] = [];
  readonly logged: { level: string; event: string; facts: Readonly<Record<string, Json>> }[] = [];
  /** Octets set aside, and those of them that nobody gave back yet, by user. */
  readonly reserved = new Map<string, number>();
  /** Room in each mailbox; without an entry there is plenty. */
  readonly room = new Map<string, number>();
  readonly troubled = new Map<string, Reply>();
  readonly state: StateStore;
  /** Thrown by the next acceptance. */
  acceptError: unknown;
  storeError: unknown;
  readonly stored: string[] = [];
  releases = 0;
  readonly notes: ({ id: string } & TracePart)[] = [];
  /** What was given to other hosts, and what they answer. */
  readonly sent: OutboundMail[] = [];
  outboundResult = ({ recipients }: OutboundMail): OutboundResult => ({
    recipients: recipients.map(() => ({ outcome: 'delivered', reply: { code: 250, text: 'ok' } })),
    destination: 'up',
  });
  mayBounce = true;

  constructor(t: Pick<TestContext, 'after'>, init: FakeHouseInit = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'mailfilter-flow-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const config = fakeConfig(directory, init);
    const spool = createSpool({ directory: join(directory, 'spool'), limits: config.limits });
    this.pipelines = new ScriptedPipelines(init.hooks ?? {});
    const log =
      (level: string) =>
      (event: string, facts: Readonly<Record<string, Json>> = {}) => {
        this.logged.push({ level, event, facts });
      };
    this.state = openMemoryState({ clock: systemClock, log: memoryLog().log });
    this.house = {
      config,
      pipelines: this.pipelines,
      router: createRouter(config.routes),
      users: fakeUsers(init.users ?? defaultUsers!),
      openSink: () => spool.open(),
      accept: async ({ accepted, source, spooled }) => {
        try {
          if (this.acceptError) throw this.acceptError;
          this.kept.push({ accepted: throughJournal(accepted), bytes: octetsOf(source) });
          for (const { user, reservedOctets } of accepted.stores) this.#give(user, reservedOctets ?? 0);
        } finally {
          spooled?.release();
        }
      },
      store: async (action) => {
        if (this.storeError) throw this.storeError;
        this.stored.push(action.id);
      },
      reserveQuota: async (user, _path, _quotaBytes, octets) => {
        const held = this.reserved.get(user) ?? 0;
        if (held + octets > (this.room.get(user) ?? Number.MAX_SAFE_INTEGER)) return false;
        this.reserved.set(user, held + octets);
        return true;
      },
      releaseQuota: (user, octets) => this.#give(user, octets),
      troubled: (user) => this.troubled.get(user),
      state: (plugin) => this.state.forPlugin(plugin),
      trace: (trace) => {
        this.traces.push(trace);
      },
      note: (id, part) => {
        this.notes.push({ id, ...part });
      },
      outbound: {
        send: async (mail) => {
          this.sent.push(mail);
          return this.outboundResult(mail);
        },
        close: async () => {},
      },
      mayBounce: () => this.mayBounce,
      log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      clock: { now: () => now, monotonicMs: () => 0 },
    };
  }

  #give(user: string, octets: number): void {
    this.reserved.set(user, (this.reserved.get(user) ?? 0) - octets);
  }

  /** A session at a door, its greeting behind it. */
  async connect(connection: Partial<Connection> = {}, keeper?: Keeper): Promise<FlowSession> {
    const open = createOpenSession(() => this.house, Promise.resolve());
    const session = open({ ...client, ...connection }, keeper);
    await session.connect();
    return session;
  }

  /** The plan of the only message that was accepted. */
  get plan(): Accepted {
    if (this.kept.length !== 1) throw new Error(`${this.kept.length} messages were accepted, not one`);
    return this.kept[0]!.accepted;
  }

  events(level: string): string[] {
    return this.logged.filter((line) => line.level === level).map(({ event }) => event);
  }

  /** The message of what was kept, with its common edits and more. */
  async text(more: readonly Edit[] = [], { accepted, bytes }: Kept = this.kept.at(-1)!): Promise<string> {
    const rendered = render(memorySource(bytes), [...accepted.edits, ...more], {
      smtputf8: accepted.envelope.smtputf8,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamRendered(rendered, 'crlf')) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString('latin1');
  }

  /** Entries of the queue that one plan made, with the message they are about. */
  entries({ accepted, bytes }: Kept = this.kept.at(-1)!): { entry: QueueEntry; source: MessageSource }[] {
    return accepted.queue.map(({ id, work }) => ({
      source: memorySource(bytes),
      entry: {
        id,
        transactionId: accepted.id,
        work,
        envelope: accepted.envelope,
        edits: accepted.edits,
        status: 'active',
        attempts: 1,
        createdAt: now,
        nextAttemptAt: now,
        expiresAt: now + 1000,
        lastError: '',
        length: bytes.length,
        destination: destinationOf(work),
      },
    }));
  }
}

export interface SendInit {
  readonly connection?: Partial<Connection>;
  readonly keeper?: Keeper;
  readonly user?: string;
  readonly mailFrom?: Partial<MailFrom>;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly message?: string;
  /** Of the spooled message. */
  readonly binary?: boolean;
}

export interface Sent {
  readonly session: FlowSession;
  readonly mail: Answer;
  readonly rcpt: readonly Answer[];
  readonly data: Answer;
  /** Empty when the client did not get so far. */
  readonly replies: readonly Reply[];
}

export const plainMessage = 'From: Ann <ann@sender.test>\r\nSubject: hello\r\n\r\nbody\r\n';

/** One message as a client sends it, command by command, until it is refused. */
export async function send(fake: FakeHouse, init: SendInit = {}): Promise<Sent> {
  const session = await fake.connect(init.connection, init.keeper);
  await session.helo('client.test', true);
  if (init.user !== undefined) await session.authenticate('PLAIN', init.user, rightPassword);
  return sendIn(fake, session, init);
}

/** The same in a session that stands. */
export async function sendIn(fake: FakeHouse, session: FlowSession, init: SendInit): Promise<Sent> {
  const mail = await session.mailFrom({
    ...plainMail,
    sender: init.from ?? 'ann@sender.test',
    ...init.mailFrom,
  });
  const rcpt: Answer[] = [];
  const sent = { session, mail, rcpt, data: undefined, replies: [] };
  if (mail) return sent;
  for (const address of init.to ?? ['alice@example.test']) {
    rcpt.push(await session.rcptTo({ address, notify: [] }));
  }
  if (rcpt.every((answer) => answer !== undefined)) return sent;
  const data = await session.data();
  if (data) return { ...sent, data };
  const sink = session.openMessage();
  await sink.write(Buffer.from(init.message ?? plainMessage, 'latin1'));
  const spooled = counted(fake, await sink.finish());
  const replies = await session.message(init.binary ? { ...spooled, binary: true } : spooled);
  return { ...sent, replies };
}

function counted(fake: FakeHouse, spooled: SpooledMessage): SpooledMessage {
  let released = false;
  return {
    ...spooled,
    release: () => {
      if (!released) fake.releases += 1;
      released = true;
      spooled.release();
    },
  };
}

const plainMail: MailFrom = { sender: '', body: '8bitmime', smtputf8: false, requireTls: false };

const client: Connection = {
  id: 'c1',
  door: 'smtp',
  listener: 'test',
  localIp: '192.0.2.1',
  localPort: 25,
  remoteIp: '198.51.100.7',
  remotePort: 4711,
  remoteName: '',
  trusted: false,
  openedAt: now,
};

/** What survives the journal is what counts. */
function throughJournal(accepted: Accepted): Accepted {
  const plan = readPlan(writePlan({ accepted }));
  if (!('accepted' in plan)) throw new Error('no plan');
  return plan.accepted;
}

function octetsOf(source: MessageSource): Buffer {
  return source.kind === 'file'
    ? readFileSync(source.path)
    : Buffer.from(new Uint8Array(source.buffer, source.offset, source.length));
}

function fakeUsers(users: NonNullable<FakeHouseInit['users']>): Users {
  const all = users.map(
    (user): User => ({ aliases: [], forward: [], quotaBytes: 0, disabled: false, ...user }),
  );
  const directory = new UserDirectory(
    all.map((user) => ({ user, hash: '', scram: [], apop: undefined })),
    '+',
  );
  return {
    find: (address) => directory.find(address),
    owns: (user, address) => directory.find(address)?.user.address === user.address,
    authenticate: async (address, password) => {
      const known = directory.login(address)?.user;
      return password === rightPassword && !known?.disabled ? known : undefined;
    },
    list: () => all,
    close: () => {},
  };
}

function fakeConfig(directory: string, init: FakeHouseInit): Config {
  return {
    file: join(directory, 'mailfilter.json'),
    baseDirectory: directory,
    hostname: 'mx.example.test',
    dataDirectory: directory,
    domains: ['example.test'],
    listeners: [
      {
        name: 'test',
        protocol: 'smtp',
        address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
        tls: 'none',
        pipeline: 'inbound',
        auth: true,
        authWithoutTls: true,
        earlyTalkerDelayMs: 0,
        ...{ futureReleaseSecondsMax: 0, deliverBy: false, priorities: false },
      },
    ],
    pipelines: { inbound: [], outbound: [] },
    sendPipeline: 'outbound',
    mailbox: {
      format: 'maildir',
      path: join(directory, 'mail', '{domain}', '{user}'),
      subaddressSeparator: '+',
      quotaBytes: 0,
      sieve: fakeSieve,
      procmail: fakeProcmail,
    },
    routes: init.routes ?? defaultRoutes,
    queue: { retrySeconds: [60], expireSeconds: 3600, delayNoticeSeconds: 0, quarantineSeconds: 0 },
    fetch: [],
    outbound: {
      port: 25,
      tls: 'opportunistic',
      dane: true,
      mtaSts: true,
      mtaStsPort: 443,
      addresses: [],
      connections: 10,
      connectionsPerDestination: 2,
      messagesPerConnection: 10,
      recipientsPerMessage: 100,
      messagesPerMinute: 0,
      destinations: {},
      connectTimeoutSeconds: 5,
    },
    durability: 'journal',
    journal: { segmentBytes: 1 << 20, checkpointMs: 1000 },
    bareNewlines: 'normalise',
    dns: { servers: [], timeoutMs: 1000, dnssec: false },
    trustedNetworks: [],
    proxyFrom: [],
    xclientFrom: [],
    processes: { threads: 1, threadMemoryMiB: 64, access: 0 },
    state: { engine: 'memory' },
    trace: { retentionDays: 1, retentionBytes: 1 << 20 },
    log: { level: 'error' },
    ...init.config,
    limits: { ...defaultLimits, ...init.limits },
  };
}

/** Where rules would lie: the walk itself reads none. */
export const fakeProcmail: Config['mailbox']['procmail'] = { rcfile: '/nowhere/{address}/.procmailrc' };

export const fakeSieve: Config['mailbox']['sieve'] = {
  directory: '/nowhere/{domain}/{user}',
  active: '/nowhere/{domain}/{user}/.dovecot.sieve',
  scriptsMax: 1,
  storageBytesMax: 1,
  imap: false,
};
