/** Opens the rooms that live as long as the process and puts the house together; a reload exchanges what the config decides. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { systemClock as clock } from '../core/base/clock.ts';
import { describeError, errnoOf } from '../core/base/errors.ts';
import { outboundLimits } from '../core/base/limits/outbound.ts';
import type { RootLog } from '../core/base/log.ts';
import type { Config } from '../core/config/config.ts';
import { shareDaemonBoard } from '../core/net/daemon-board.ts';
import { createDns } from '../core/net/dns.ts';
import type { Dns } from '../core/net/dns-question.ts';
import { createSecureDns } from '../core/net/dns-secure.ts';
import { createPipelines } from '../core/pipeline/pipeline.ts';
import type { Pipelines } from '../core/pipeline/request.ts';
import { openState } from '../core/state/store.ts';
import { openTraceStore, type TracePart, type TraceStore } from '../core/state/trace-store.ts';
import { answerCalls } from './answer-calls.ts';
import type { WireCalls } from './calls/mta-calls.ts';
import type { DataDirectory } from './data-directory.ts';
import type { StoreAction, StoreResult } from './delivery/store.ts';
import { createAcceptance } from './flow/accept.ts';
import { attempt } from './flow/attempt.ts';
import { bounce } from './flow/bounce.ts';
import { startDmarcReports } from './flow/dmarc-reports.ts';
import { createHourlyLimit } from './flow/hourly-limit.ts';
import type { House, WalkTrace } from './flow/house.ts';
import { startQuarantineExpiry } from './flow/quarantine-expiry.ts';
import { relay } from './flow/relay.ts';
import { createSpool } from './flow/spool.ts';
import { createTroubledMailboxes, type TroubledMailboxes } from './flow/troubled.ts';
import type { MailboxPlace } from './mailbox/list.ts';
import { mailboxPath } from './mailbox/locate.ts';
import { createQuotaLedger, type QuotaLedger } from './mailbox/quota.ts';
import { createLookup } from './outbound/lookup.ts';
import { createMtaSts } from './outbound/mta-sts.ts';
import type { Outbound } from './outbound/outbound.ts';
import { ownAddresses } from './outbound/own-addresses.ts';
import { createOutbound } from './outbound/send.ts';
import { createTlsReports, type TlsReports } from './outbound/tls-report.ts';
import { openQueue } from './queue/open.ts';
import type { QueueHandlers } from './queue/queue.ts';
import { createRouter } from './router/routes.ts';
import { ActiveScripts } from './scripts/active-script.ts';
import { mailboxQuestions, rulePlaces, scriptQuestions, scriptVersion } from './user-questions.ts';
import { openUsers } from './users/file.ts';

const installDirectory = fileURLToPath(new URL('..', import.meta.url));

export interface Rooms {
  /** The house as it is now. */
  current(): House;
  /** What other roles may ask. */
  readonly calls: WireCalls;
  /** Carries out what an earlier process promised, then lets the queue work. To be called before anybody is let in. */
  recover(): Promise<void>;
  /** Takes over a new config: pipelines, routes, users, limits. Rejects, keeping what runs, when anything is wrong. */
  reload(config: Config): Promise<void>;
  /** Waits for what was accepted to be carried out; then closes everything. */
  close(): Promise<void>;
}

export async function openRooms(config: Config, data: DataDirectory, log: RootLog): Promise<Rooms> {
  // Mail that the rooms themselves cause comes in as that of other roles does, once there is a house.
  const rooms = await openDurableRooms(config, data, log, (mail) => calls.submit(mail));
  const calls: WireCalls = answerCalls(() => house, rooms);
  const { state, traces, queue, outbound, tlsReports, spool, users, acceptance } = rooms;
  let house: House;
  let endReports = () => {};
  let endExpiry = () => {};
  const pipelines = await openPipelines(config, log, rooms, () => house.config);
  house = furnish(config, log, rooms, pipelines);
  return {
    current: () => house,
    calls,
    async recover() {
      spool.recover();
      const report = await acceptance.recover();
      log.info('recovered', {
        records: report.records,
        replayed: report.replayed,
        damaged: report.damage.length,
        lost: report.lost.length,
      });
      const handlers = {
        attempt: (entry, source) => attempt(house, entry, source),
        relay: (entries, source, keep) => relay(house, entries, source, keep),
        expired: (failures, source) => bounce(house, failures, source),
      } satisfies QueueHandlers;
      const { settled, underWay } = report;
      queue.start(handlers, { settled, isBringing: (transactionId) => underWay.has(transactionId) });
      endReports = startDmarcReports(() => house, rooms.dns);
      endExpiry = startQuarantineExpiry(() => house, queue);
    },
    async reload(next) {
      const { hostname, domains, limits, processes } = next;
      const router = createRouter(next.routes);
      // Before the pipelines: users are followed as their file changes, so that reading them early changes nothing else.
      await users?.reload();
      await pipelines.reload(next.pipelines, { hostname, domains, limits, ...processes });
      house = { ...house, config: next, router };
    },
    async close() {
      endReports();
      endExpiry();
      // What was accepted last may still have to go into the queue.
      await acceptance.drain();
      await queue.close();
      await outbound.close();
      await tlsReports?.close();
      await acceptance.drain();
      await acceptance.close();
      await pipelines.close();
      users?.close();
      traces.close();
      await state.close();
    },
  };
}

type DurableRooms = Awaited<ReturnType<typeof openDurableRooms>>;

/** What holds files open from the start to the end of the process, whatever a reload exchanges. */
async function openDurableRooms(
  config: Config,
  data: DataDirectory,
  log: RootLog,
  submit: WireCalls['submit'],
) {
  const state = openState({ engine: config.state.engine, directory: data.path('state'), clock, log });
  const traces = openTraceStore<WalkTrace>({ directory: data.path('state'), ...config.trace, clock, log });
  const queue = openQueue({
    directory: data.path('queue'),
    ...config.queue,
    outbound: config.outbound,
    clock,
    log,
  });
  const dns = createDns({ ...config.dns, clock, log });
  const tlsReports = openTlsReports(config, log, state, dns, submit);
  const outbound = openOutbound(config, log, state, dns, tlsReports);
  const spool = createSpool({ directory: data.path('spool'), limits: config.limits });
  const troubled = createTroubledMailboxes(clock);
  const quota = createQuotaLedger({ format: config.mailbox.format, clock });
  const users =
    config.users &&
    (await openUsers({ ...config.users, separator: config.mailbox.subaddressSeparator, log, clock }));
  const events = deliveryEvents(traces, troubled, quota);
  const acceptance = createAcceptance({
    dataDirectory: config.dataDirectory,
    durability: config.durability,
    journal: config.journal,
    queue,
    log,
    clock,
    remember: async (keys) => {
      const setting = keys.map(({ id, plugin, key, seconds }) =>
        state.forPlugin(plugin).set(key, id, { ttlSeconds: seconds }),
      );
      await Promise.all(setting);
    },
    onStored: ({ accepted, action, result }) => {
      quota.release(action.user, action.reservedOctets ?? 0);
      events.stored(accepted.id, action, result);
    },
    onDeferred: ({ accepted, action, error }) => {
      quota.release(action.user, action.reservedOctets ?? 0);
      events.deferred(accepted.id, action, error);
    },
  });
  return {
    state,
    traces,
    queue,
    dns,
    outbound,
    tlsReports,
    spool,
    troubled,
    quota,
    users,
    events,
    acceptance,
  };
}

/** The way to other hosts, with its memory of MTA-STS policies. */
function openOutbound(
  config: Config,
  log: RootLog,
  state: ReturnType<typeof openState>,
  dns: Dns,
  tlsReports: TlsReports | undefined,
): Outbound {
  const { outbound } = config;
  const ca =
    outbound.caFile === undefined ? {} : { ca: [...rootCertificates, readFileSync(outbound.caFile, 'utf8')] };
  const keys = state.forPlugin('outbound');
  return createOutbound({
    hostname: config.hostname,
    config: outbound,
    lookup: createLookup(dns, config.dns.dnssec ? createSecureDns({ ...config.dns, clock }) : undefined),
    findSts: outbound.mtaSts
      ? createMtaSts({ dns, state: keys, clock, log, port: outbound.mtaStsPort, ...ca })
      : undefined,
    isOwn: ownAddresses(config.listeners),
    log,
    ...(tlsReports === undefined ? {} : { onTls: (event) => tlsReports.count(event) }),
  });
}

/** Only where the config names who is to be asked about them. */
function openTlsReports(
  { hostname, outbound }: Config,
  log: RootLog,
  state: ReturnType<typeof openState>,
  dns: Dns,
  submit: WireCalls['submit'],
): TlsReports | undefined {
  const from = outbound.tlsReportsFrom;
  if (from === undefined) return undefined;
  return createTlsReports({
    hostname,
    from,
    dns,
    state: state.forPlugin('outbound'),
    clock,
    log,
    submit: (id, recipient, message) => submit({ id, sender: from, recipients: [recipient], message }),
  });
}

/** Who hears how a copy ended: the trace under `id`, the mailbox's standing, its usage. */
function deliveryEvents(
  traces: TraceStore<WalkTrace>,
  troubled: TroubledMailboxes,
  quota: QuotaLedger,
): {
  stored(id: string, action: StoreAction, result: StoreResult): void;
  deferred(id: string, action: StoreAction, error: unknown): void;
} {
  return {
    stored(id, action, result) {
      troubled.stored(action.user);
      if (!result.present) quota.stored(action.user, result.length);
      traces.append(id, deliveryPart(action, { event: 'stored', path: result.path }));
    },
    deferred(id, action, error) {
      troubled.failed(action.user, errnoOf(error) === 'EDQUOT');
      traces.append(id, deliveryPart(action, { event: 'deferred', error: describeError(error) }));
    },
  };
}

/** @param current the config of the moment at which a plugin asks */
function openPipelines(
  config: Config,
  log: RootLog,
  { state, dns }: Pick<DurableRooms, 'state' | 'dns'>,
  current: () => Config,
): Promise<Pipelines> {
  const active = new ActiveScripts();
  // Plugins of all threads, and of those after a reload, know alike which daemon is down.
  shareDaemonBoard();
  return createPipelines({
    ...config.processes,
    installDirectory,
    baseDirectory: config.baseDirectory,
    hostname: config.hostname,
    domains: config.domains,
    limits: config.limits,
    log,
    services: {
      dns,
      state: (plugin) => state.forPlugin(plugin),
      scripts: (user) => scriptQuestions(active, rulePlaces(current().mailbox, user)),
      scriptVersion: (user, language) => scriptVersion(active, rulePlaces(current().mailbox, user), language),
      mailboxes: (user) => mailboxQuestions(placeOf(current(), user)),
    },
    pipelines: config.pipelines,
  });
}

/** The house over its rooms, as the first config wants it. */
function furnish(config: Config, log: RootLog, rooms: DurableRooms, pipelines: Pipelines): House {
  const { state, traces, outbound, spool, troubled, quota, users, events, acceptance } = rooms;
  return {
    config,
    pipelines,
    router: createRouter(config.routes),
    users,
    openSink: () => spool.open(),
    accept: (message) => acceptance.accept(message),
    store: async (action, edits, source, smtputf8) => {
      const result = await acceptance.store(action, edits, source, smtputf8);
      events.stored(action.id, action, result);
    },
    reserveQuota: (user, path, quotaBytes, octets) => quota.reserve(user, path, quotaBytes, octets),
    releaseQuota: (user, octets) => quota.release(user, octets),
    troubled: (user) => troubled.refusal(user),
    state: (plugin) => state.forPlugin(plugin),
    trace: (trace) => traces.write(trace),
    note: (id, part) => traces.append(id, part),
    outbound,
    mayBounce: createHourlyLimit(clock, outboundLimits.bounces),
    log,
    clock,
  };
}

/** What `mailfilter explain` tells of one copy. */
function deliveryPart(action: StoreAction, outcome: { event: string; [fact: string]: string }): TracePart {
  return {
    at: clock.now(),
    ...outcome,
    action: action.id,
    recipient: action.deliveredTo,
    user: action.user,
    mailbox: action.folder,
  };
}

function placeOf({ mailbox: { format, path } }: Config, user: string): MailboxPlace {
  return { format, path: mailboxPath(path, user) };
}
