/**
 * Keeps requests safe from plugins: carries them to threads, watches the threads' heartbeat, and when a thread dies
 * names the culprit, lets its policy decide for its own transaction, and runs the innocent ones again.
 *
 * A request always gets an outcome. It is run `runsMax` times at most: once, and twice again after deaths of its
 * thread. Only the last of these is always alone in its thread; if it ends that thread as well, the request is guilty,
 * and has one more run that leaves the guilty call out, so that no other plugin's policy answers for it. Then, or when
 * its time is up, the policies of its plugins answer. A dead thread's culprit is the call that was executing; where that is not known, or where a full
 * heap may be anybody's doing, each suspect runs again alone in a fresh thread, and the one that kills again is it.
 */
import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { RuleLanguage } from '../plugin/hooks.ts';
import { answerQuestion, type PipelineServices } from './answers.ts';
import type { Carrier } from './carrier.ts';
import { dueOf, type Flight, nextNumber, taskOf } from './flight.ts';
import { Isolation } from './isolation.ts';
import type { FailureKind, PipelineOutcome, PipelineRequest, ScriptVersions } from './request.ts';
import { settleByPolicy } from './settle-by-policy.ts';
import { changeState } from './state-change.ts';
import { ThreadSlots, type ThreadsInit } from './thread-slots.ts';
import {
  decodeCall,
  type FromThread,
  type KnownFailure,
  type LoadedPlugin,
  type Question,
  type ReadyEntry,
  type ReadyPipelines,
  type RequestEnd,
} from './wire.ts';
import type { DeathCause, PluginThread, RunningAt } from './worker-pool.ts';

export interface GuardInit extends ThreadsInit {
  readonly services: PipelineServices;
  /** A plugin that holds its thread's event loop this long is stuck. */
  readonly threadStuckMs: number;
}

export class Guard {
  readonly #init: GuardInit;
  readonly #threads: ThreadSlots;
  readonly #isolation: Isolation;
  readonly #flights = new Map<number, Flight>();
  /** Waiting for room in any thread, in order. */
  #queue: Flight[] = [];
  /** Threads that connections are pinned to; a dead one stays, to tell that it is lost. */
  readonly #pinned = new Map<string, Carrier>();
  #pipelines: ReadyPipelines = {};
  /** Languages whose active scripts the deliver hooks of a pipeline load. */
  #languages: ReadonlyMap<string, readonly RuleLanguage[]> = new Map();
  #lastNumber = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #lastLookMs = 0;
  #looks = 0;
  #closed = false;

  constructor(init: GuardInit) {
    this.#init = init;
    this.#threads = new ThreadSlots(init, {
      message: (message, from) => this.#receive(message, from),
      died: (carrier, cause, message) => this.#died(carrier, cause, message),
      ready: () => this.#pump(),
      hopeless: () => {
        for (const flight of this.#queue.splice(0)) this.#settleUnloaded(flight);
      },
    });
    this.#isolation = new Isolation(this.#threads, init.log, {
      send: (flight, carrier) => this.#send(flight, carrier),
      giveUp: (flight) => this.#settleUnloaded(flight),
    });
  }

  /**
   * Loads the plugins into a first thread.
   * @throws Error naming the plugin file at which the thread ended or hung
   */
  load(): Promise<readonly LoadedPlugin[]> {
    return this.#threads.load();
  }

  /**
   * Sets up the pipelines; from then on requests run.
   * @throws Error naming the entry whose setup failed
   */
  async setUp(pipelines: ReadyPipelines): Promise<void> {
    this.#pipelines = pipelines;
    this.#languages = languagesOf(pipelines);
    await this.#threads.setUp(pipelines);
  }

  /** How many requests are under way. */
  get busy(): number {
    return this.#flights.size;
  }

  /** Never rejects. */
  run(asked: PipelineRequest): Promise<PipelineOutcome> {
    const request = this.#withScripts(asked);
    return new Promise((resolve) => {
      this.#lastNumber = nextNumber(this.#lastNumber);
      const flight: Flight = {
        number: this.#lastNumber,
        request,
        resolve,
        answers: new Map(),
        failed: new Map(),
        dueMs: dueOf(request, this.#entriesOf(request)),
        runs: 0,
        alone: false,
        connectionLost: false,
        carrier: undefined,
      };
      this.#flights.set(flight.number, flight);
      this.#watch();
      this.#dispatch(flight);
    });
  }

  /** Deliveries with the versions of the scripts that their hooks will load: most threads have read them. */
  #withScripts(request: PipelineRequest): PipelineRequest {
    const languages = this.#languages.get(request.pipeline) ?? [];
    if (request.deliveries === undefined || languages.length === 0) return request;
    const { services } = this.#init;
    const versionsFor = (user: string): ScriptVersions => {
      const versions: Partial<Record<RuleLanguage, string>> = {};
      for (const language of languages) {
        const version = services.scriptVersion?.(user, language);
        if (version !== undefined) versions[language] = version;
      }
      return versions;
    };
    const deliveries = request.deliveries.map((delivery) => ({
      ...delivery,
      scripts: versionsFor(delivery.user),
    }));
    return { ...request, deliveries };
  }

  /** A connection is over. */
  unpin(connection: string): void {
    this.#pinned.delete(connection);
  }

  /** Ends the threads, after their plugins' dispose; what is still under way is answered by policy. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const flight of [...this.#flights.values()])
      this.#settle(flight, 'thread-died', 'the pipelines were closed');
    await this.#threads.close();
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  // Requests

  #entriesOf({ pipeline }: PipelineRequest): readonly ReadyEntry[] {
    return this.#pipelines[pipeline] ?? [];
  }

  #dispatch(flight: Flight): void {
    if (this.#closed) {
      this.#settle(flight, 'thread-died', 'the pipelines are closed');
    } else if (flight.alone) {
      this.#isolation.add(flight);
    } else {
      const carrier = this.#carrierFor(flight);
      if (carrier !== undefined) this.#send(flight, carrier);
      else if (this.#threads.isHopeless()) this.#settleUnloaded(flight);
      else this.#enqueue(flight);
    }
  }

  #enqueue(flight: Flight): void {
    if (this.#queue.length >= pipelineLimits.queuedRequestsMax) {
      this.#settle(flight, 'timeout', 'too many requests wait for a thread');
    } else if (flight.runs > 0) {
      this.#queue.unshift(flight);
    } else {
      this.#queue.push(flight);
    }
  }

  /** The thread of the connection, or the one that carries least; undefined when none has room. */
  #carrierFor(flight: Flight): Carrier | undefined {
    const { connection } = flight.request;
    const isPinning = this.#entriesOf(flight.request).some(
      ({ manifest }) => manifest.affinity === 'connection',
    );
    if (!isPinning) return this.#threads.idlest();
    const pinned = this.#pinned.get(connection.id);
    if (pinned === undefined) {
      const carrier = this.#threads.idlest();
      if (carrier !== undefined) this.#pinned.set(connection.id, carrier);
      return carrier;
    }
    if (!pinned.thread.dead) return pinned.room ? pinned : undefined;
    flight.connectionLost = true;
    return this.#threads.idlest();
  }

  #send(flight: Flight, carrier: Carrier): void {
    flight.carrier = carrier;
    flight.runs += 1;
    carrier.flights.set(flight.number, flight);
    try {
      carrier.thread.run(taskOf(flight));
    } catch (error) {
      this.#settle(flight, 'throw', `the request could not be sent: ${describeError(error)}`);
    }
  }

  #land(end: RequestEnd, thread: PluginThread): void {
    const flight = this.#flights.get(end.number);
    const carrier = flight?.carrier;
    // An outcome that comes after the request was settled otherwise, or from a run that was given up, counts for nothing.
    if (flight === undefined || carrier?.thread !== thread) return;
    if (end.type === 'outcome') {
      const { change, ...outcome } = end.reply;
      this.#leave(flight);
      flight.resolve({ ...outcome, state: changeState(flight.request.state, change) });
    } else {
      this.#settle(flight, 'throw', `the request could not be run: ${end.message}`);
    }
    if (carrier.alone) this.#isolation.next();
    this.#pump();
  }

  /** Takes a request off its thread and off the books. */
  #leave(flight: Flight): void {
    flight.carrier?.flights.delete(flight.number);
    if (flight.carrier?.flights.size === 0) flight.carrier.rest();
    flight.carrier = undefined;
    this.#flights.delete(flight.number);
  }

  /** Gives waiting requests to threads that have room again. */
  #pump(): void {
    while (this.#queue.length > 0) {
      const carrier = this.#carrierFor(this.#queue[0]!);
      if (carrier === undefined) return;
      this.#send(this.#queue.shift()!, carrier);
    }
  }

  #settleUnloaded(flight: Flight): void {
    this.#settle(flight, 'load', 'no plugin thread could be started');
  }

  #settle(flight: Flight, kind: FailureKind, message: string): void {
    this.#leave(flight);
    const entries = this.#entriesOf(flight.request);
    flight.resolve(settleByPolicy(flight.request, entries, { kind, message }, flight.failed));
  }

  // Deaths

  #died(carrier: Carrier, cause: DeathCause, message: string): void {
    const flights = [...carrier.flights.values()];
    for (const flight of flights) flight.carrier = undefined;
    this.#judge(carrier, flights, cause, message);
    if (carrier.alone) this.#isolation.next();
    this.#pump();
  }

  /** Who is to blame, and what becomes of all that were on board. */
  #judge(carrier: Carrier, flights: readonly Flight[], cause: DeathCause, message: string): void {
    const { running, lastCall } = carrier.thread;
    const suspect = flights.find(({ number }) => number === running?.request);
    // A full heap is the work of many; only one that ran alone is surely to blame.
    const certain = cause === 'memory' ? undefined : suspect;
    const culprit = carrier.alone ? flights[0] : certain;
    this.#logDeath(running, culprit ?? suspect, cause, message, flights.length);
    for (const flight of flights) {
      if (flight === culprit) {
        const last = lastCall?.request === flight.number ? lastCall : undefined;
        this.#blame(flight, flight === suspect ? running : last, cause, message);
      } else {
        // Code that ran for a request long answered says that all these are innocent; silence says that any may be it.
        this.#runAgain(flight, flight === suspect || running === undefined);
      }
    }
  }

  #blame(flight: Flight, at: RunningAt | undefined, cause: DeathCause, message: string): void {
    const failure: KnownFailure =
      cause === 'stuck'
        ? { kind: 'timeout', message }
        : { kind: 'thread-died', message: `${cause}: ${message}` };
    if (at === undefined) {
      this.#settle(flight, failure.kind, failure.message);
    } else {
      flight.failed.set(at.code, failure);
      this.#runAgain(flight, false);
    }
  }

  #runAgain(flight: Flight, alone: boolean): void {
    // Who was found guilty only in the last run, after two deaths by others, gets one more without that call.
    const runsMax = pipelineLimits.runsMax + Math.min(1, flight.failed.size);
    if (flight.runs >= runsMax) {
      this.#settle(flight, 'thread-died', `its thread ended ${flight.runs} times`);
    } else {
      // The last run is not shared: nobody else shall end it.
      flight.alone = alone || flight.runs >= pipelineLimits.runsMax - 1;
      this.#dispatch(flight);
    }
  }

  #logDeath(
    running: RunningAt | undefined,
    flight: Flight | undefined,
    cause: DeathCause,
    message: string,
    requests: number,
  ): void {
    const call =
      running !== undefined && running.request === flight?.number ? decodeCall(running.code) : undefined;
    this.#init.log.error('plugin-thread-ended', {
      cause,
      message,
      id: flight?.request.id,
      plugin: call && flight && this.#entriesOf(flight.request)[call.entry]?.manifest.name,
      stage: call?.hook,
      requests,
    });
  }

  // Watching

  /** The heart is listened to only while something is under way. */
  #watch(): void {
    if (this.#heartbeat !== undefined) return;
    this.#lastLookMs = performance.now();
    this.#heartbeat = setInterval(() => this.#look(), pipelineLimits.heartbeatMs);
  }

  #look(): void {
    const now = performance.now();
    const elapsedMs = now - this.#lastLookMs;
    this.#lastLookMs = now;
    for (const carrier of [...this.#threads.busy()]) {
      const silentMs = carrier.listen(elapsedMs);
      if (silentMs > this.#patienceMs(carrier)) {
        const message = `kept its thread busy for ${Math.round(silentMs)} ms without an answer`;
        this.#threads.end(carrier, 'stuck', message);
      } else if (this.#isGorged(carrier, silentMs)) {
        this.#threads.end(carrier, 'memory', 'buffers outside the heap grew past the memory limit');
      }
    }
    this.#looks += 1;
    if (this.#looks % 5 === 0) this.#settleLate(now);
    if (this.#flights.size === 0) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = undefined;
    }
  }

  #isGorged(carrier: Carrier, silentMs: number): boolean {
    const most = this.#init.threadMemoryMiB * pipelineLimits.externalMemoryFactor;
    if (carrier.thread.externalMiB > most) return true;
    return silentMs > 0 && carrier.growth(process.memoryUsage.rss()) > most * 2 ** 20;
  }

  /** How long the call that executes may keep the thread from turning. */
  #patienceMs({ thread, flights }: Carrier): number {
    const { running } = thread;
    const flight = running && flights.get(running.request);
    const entry = flight && this.#entriesOf(flight.request)[decodeCall(running.code).entry];
    return Math.min(entry?.timeoutMs ?? this.#init.threadStuckMs, this.#init.threadStuckMs);
  }

  /** Requests whose time was up while they waited, or whose reply was lost. */
  #settleLate(now: number): void {
    const wall = Date.now();
    const isLate = ({ request, dueMs, carrier }: Flight) =>
      dueMs < now || (carrier === undefined && request.deadline !== undefined && request.deadline < wall);
    for (const flight of [...this.#flights.values()].filter(isLate)) {
      this.#queue = this.#queue.filter((waiting) => waiting !== flight);
      this.#isolation.remove(flight);
      this.#settle(flight, 'timeout', 'no answer before the deadline');
    }
  }

  // Messages

  #receive(message: Exclude<FromThread, { type: 'disposed' }>, thread: PluginThread): void {
    if (message.type === 'outcome' || message.type === 'failed') this.#land(message, thread);
    else if (message.type === 'question') void this.#answer(message, thread);
    else this.#init.log.info(message.event, { plugin: message.plugin, text: message.text });
  }

  async #answer(question: Question, thread: PluginThread): Promise<void> {
    const flight = this.#flights.get(question.request);
    // The request has moved on to another thread, where it will ask again.
    if (flight !== undefined && flight.carrier?.thread !== thread) return;
    // A question that its hook did not wait for may come after the outcome; it was asked in time, and counts.
    const given = await answerQuestion(question, flight?.answers ?? new Map(), this.#init.services);
    thread.send({ type: 'answer', id: question.id, ...given });
  }
}

function languagesOf(pipelines: ReadyPipelines): ReadonlyMap<string, readonly RuleLanguage[]> {
  return new Map(
    Object.entries(pipelines).map(([name, entries]) => {
      const delivering = entries.filter(({ manifest }) => manifest.hooks.includes('deliver'));
      return [name, [...new Set(delivering.flatMap(({ manifest }) => manifest.scripts ?? []))]];
    }),
  );
}
