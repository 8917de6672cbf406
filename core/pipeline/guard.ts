/**
 * Keeps requests safe from plugins: carries them to threads, watches the threads' heartbeat, and when a thread dies
 * names the culprit, lets its policy decide for its own transaction, and runs the innocent ones again.
 *
 * A request always gets an outcome. It is run at most `runsMax` times; then, or when its time is up, the policies of
 * its plugins answer. A dead thread's culprit is the call that was executing; where that is not known, or where a full
 * heap may be anybody's doing, each suspect runs again alone in a fresh thread, and the one that kills again is it.
 */
import { describeError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { answerQuestion, type PipelineServices } from './answers.ts';
import { Carrier } from './carrier.ts';
import { dueOf, type Flight, nextNumber, taskOf } from './flight.ts';
import type { FailureKind, PipelineOutcome, PipelineRequest } from './request.ts';
import { settleByPolicy } from './settle-by-policy.ts';
import {
  decodeCall,
  type FromThread,
  type House,
  type KnownFailure,
  type LoadedPlugin,
  type Question,
  type ReadyEntry,
  type ReadyPipelines,
} from './wire.ts';
import { type DeathCause, PluginThread, type RunningAt } from './worker-pool.ts';

export interface GuardInit {
  /** Absolute paths of the plugin files. */
  readonly files: readonly string[];
  readonly house: House;
  readonly threads: number;
  readonly threadMemoryMiB: number;
  readonly services: PipelineServices;
  readonly log: Log;
  /** A plugin that holds its thread's event loop this long is stuck. */
  readonly threadStuckMs: number;
}

/** A place for a thread; what stands in it changes when one dies. */
interface Slot {
  carrier: Carrier | undefined;
  /** Starts that failed in a row. */
  failures: number;
}

export class Guard {
  readonly #init: GuardInit;
  readonly #carriers = new Map<PluginThread, Carrier>();
  readonly #slots: readonly Slot[];
  readonly #flights = new Map<number, Flight>();
  /** Waiting for room in any thread, in order. */
  #queue: Flight[] = [];
  /** Waiting for a thread of their own. */
  #suspects: Flight[] = [];
  /** Threads that connections are pinned to; a dead one stays, to tell that it is lost. */
  readonly #pinned = new Map<string, Carrier>();
  #pipelines: ReadyPipelines = {};
  #lastNumber = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #lastLookMs = 0;
  #looks = 0;
  #closed = false;
  readonly #disposed = new Map<PluginThread, () => void>();

  constructor(init: GuardInit) {
    this.#init = init;
    this.#slots = Array.from({ length: Math.max(1, init.threads) }, () => ({
      carrier: undefined,
      failures: 0,
    }));
  }

  /**
   * Starts the first thread and loads the plugins into it.
   * @throws Error naming the plugin file at which the thread ended or hung
   */
  async load(): Promise<readonly LoadedPlugin[]> {
    const carrier = this.#startThread(false);
    this.#slots[0]!.carrier = carrier;
    return await this.#inTime(carrier, carrier.thread.loaded);
  }

  /**
   * Sets up the pipelines in the first thread and starts the others.
   * @throws Error naming the entry whose setup failed
   */
  async setUp(pipelines: ReadyPipelines): Promise<void> {
    this.#pipelines = pipelines;
    const first = this.#slots[0]!.carrier!;
    const failures = await this.#inTime(first, first.thread.setup(pipelines));
    const [failure] = failures;
    if (failure !== undefined) {
      const { manifest } = pipelines[failure.pipeline]![failure.entry]!;
      throw new Error(
        `plugin ${manifest.name}, entry ${failure.entry} of pipeline ${failure.pipeline}: ${failure.error}`,
      );
    }
    first.ready = true;
    for (const slot of this.#slots.slice(1)) void this.#fill(slot);
  }

  /** How many requests are under way. */
  get busy(): number {
    return this.#flights.size;
  }

  /** Never rejects. */
  run(request: PipelineRequest): Promise<PipelineOutcome> {
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
    await Promise.all([...this.#carriers.values()].map((carrier) => this.#dispose(carrier)));
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  // Threads -----------------------------------------------------------------------------------------------------

  #startThread(alone: boolean): Carrier {
    const { files, house, threadMemoryMiB } = this.#init;
    const thread = new PluginThread({
      files,
      house,
      memoryMiB: threadMemoryMiB,
      onMessage: (message, from) => this.#receive(message, from),
      onDeath: (dead, cause, message) => this.#died(dead, cause, message),
    });
    const carrier = new Carrier(thread, alone);
    this.#carriers.set(thread, carrier);
    return carrier;
  }

  /** Makes a thread ready, or ends it and throws. */
  async #prepare(carrier: Carrier): Promise<void> {
    await this.#inTime(carrier, carrier.thread.loaded);
    const failures = await this.#inTime(carrier, carrier.thread.setup(this.#pipelines));
    for (const { pipeline, entry, error } of failures) {
      const plugin = this.#pipelines[pipeline]?.[entry]?.manifest.name;
      this.#init.log.error('plugin-setup-failed', { plugin, pipeline, entry, error });
    }
    carrier.ready = true;
  }

  /** A start that hangs or dies is told with the plugin it happened in. */
  async #inTime<Value>(carrier: Carrier, promise: Promise<Value>): Promise<Value> {
    const { thread } = carrier;
    let timer: NodeJS.Timeout | undefined;
    let endedBecause = 'the thread ended';
    try {
      return await Promise.race([
        promise,
        carrier.ended.then(() => Promise.reject(new Error(endedBecause))),
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            endedBecause = `no answer within ${pipelineLimits.threadStartMs} ms`;
            reject(new Error(endedBecause));
          }, pipelineLimits.threadStartMs);
        }),
      ]);
    } catch (error) {
      const at = thread.loading;
      this.#forgetThread(thread);
      thread.drop();
      throw new Error(`${at === undefined ? 'plugins' : this.#init.files[at]}: ${describeError(error)}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Puts a working thread into a slot, trying again for as long as it takes. */
  async #fill(slot: Slot): Promise<void> {
    while (!this.#closed) {
      slot.carrier = this.#startThread(false);
      try {
        await this.#prepare(slot.carrier);
        slot.failures = 0;
        this.#pump();
        return;
      } catch (error) {
        slot.carrier = undefined;
        slot.failures += 1;
        this.#init.log.error('plugin-thread-start-failed', {
          error: describeError(error),
          failures: slot.failures,
        });
        if (this.#isHopeless()) for (const flight of this.#queue.splice(0)) this.#settleUnloaded(flight);
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * 2 ** slot.failures, 5000)));
      }
    }
  }

  /** No thread works, and none has come up for some tries. */
  #isHopeless(): boolean {
    return this.#slots.every(
      ({ carrier, failures }) => !carrier?.ready && failures >= pipelineLimits.threadStartsMax,
    );
  }

  #forgetThread(thread: PluginThread): void {
    const carrier = this.#carriers.get(thread);
    this.#carriers.delete(thread);
    carrier?.end();
  }

  async #dispose(carrier: Carrier): Promise<void> {
    const { thread } = carrier;
    // Off the books first, so that it is given no more work.
    this.#carriers.delete(thread);
    if (carrier.ready && !thread.dead) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#disposed.set(thread, resolve);
        timer = setTimeout(resolve, pipelineLimits.disposeMs);
        thread.send({ type: 'dispose' });
      });
      clearTimeout(timer);
    }
    carrier.end();
    this.#disposed.delete(thread);
    thread.drop();
  }

  // Requests ----------------------------------------------------------------------------------------------------

  #entriesOf({ pipeline }: PipelineRequest): readonly ReadyEntry[] {
    return this.#pipelines[pipeline] ?? [];
  }

  #dispatch(flight: Flight, first = false): void {
    if (this.#closed) return this.#settle(flight, 'thread-died', 'the pipelines are closed');
    if (flight.alone) {
      this.#suspects.push(flight);
      return this.#isolate();
    }
    const carrier = this.#carrierFor(flight);
    if (carrier !== undefined) return this.#send(flight, carrier);
    if (this.#isHopeless()) return this.#settleUnloaded(flight);
    if (this.#queue.length >= pipelineLimits.queuedRequestsMax) {
      return this.#settle(flight, 'timeout', 'too many requests wait for a thread');
    }
    if (first) this.#queue.unshift(flight);
    else this.#queue.push(flight);
  }

  /** The thread of the connection, or the one that carries least; undefined when none has room. */
  #carrierFor(flight: Flight): Carrier | undefined {
    const { connection } = flight.request;
    const pins = this.#entriesOf(flight.request).some(({ manifest }) => manifest.affinity === 'connection');
    const pinned = pins ? this.#pinned.get(connection.id) : undefined;
    if (pinned !== undefined) {
      if (!pinned.thread.dead) return pinned.room ? pinned : undefined;
      flight.connectionLost = true;
    }
    let best: Carrier | undefined;
    for (const { carrier } of this.#slots) {
      if (carrier?.room && (best === undefined || carrier.flights.size < best.flights.size)) best = carrier;
    }
    if (pins && pinned === undefined && best !== undefined) this.#pinned.set(connection.id, best);
    return best;
  }

  #send(flight: Flight, carrier: Carrier): void {
    flight.carrier = carrier;
    flight.runs += 1;
    carrier.flights.set(flight.number, flight);
    carrier.thread.run(taskOf(flight)).then(
      (outcome) => this.#land(flight, carrier, outcome),
      (error) => this.#runFailed(flight, carrier, error),
    );
  }

  #land(flight: Flight, carrier: Carrier, outcome: PipelineOutcome): void {
    // An outcome that comes after the request was settled otherwise, or from a run that was given up, counts for nothing.
    if (flight.carrier !== carrier) return;
    this.#leave(flight);
    flight.resolve(outcome);
    if (carrier.alone) this.#isolate();
    this.#pump();
  }

  /** Takes a request off its thread and off the books. */
  #leave(flight: Flight): void {
    flight.carrier?.flights.delete(flight.number);
    if (flight.carrier?.flights.size === 0) flight.carrier.rest();
    flight.carrier = undefined;
    this.#flights.delete(flight.number);
  }

  #runFailed(flight: Flight, carrier: Carrier, error: unknown): void {
    // The pool rejects its tasks a moment before the thread's death is known; what to do then is decided there.
    setTimeout(() => {
      if (flight.carrier !== carrier) return;
      this.#settle(flight, 'throw', `the request could not be run: ${describeError(error)}`);
      this.#pump();
    }, 2 * pipelineLimits.heartbeatMs);
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
    flight.resolve(
      settleByPolicy(flight.request, this.#entriesOf(flight.request), { kind, message }, flight.failed),
    );
  }

  // Deaths ------------------------------------------------------------------------------------------------------

  #died(thread: PluginThread, cause: DeathCause, message: string): void {
    const carrier = this.#carriers.get(thread);
    if (carrier === undefined) return;
    this.#forgetThread(thread);
    const flights = [...carrier.flights.values()];
    for (const flight of flights) flight.carrier = undefined;
    const slot = this.#slots.find((place) => place.carrier === carrier);
    if (slot !== undefined && carrier.ready) void this.#fill(slot);
    if (carrier.ready) this.#judge(carrier, flights, cause, message);
    this.#pump();
  }

  /** Who is to blame, and what becomes of all that were on board. */
  #judge(carrier: Carrier, flights: readonly Flight[], cause: DeathCause, message: string): void {
    const { running, lastCall } = carrier.thread;
    const suspect = flights.find(({ number }) => number === running?.request);
    const isCertain = carrier.alone || (suspect !== undefined && cause !== 'memory');
    const culprit = carrier.alone ? flights[0] : isCertain ? suspect : undefined;
    this.#logDeath(running, culprit ?? suspect, cause, message, flights.length);
    for (const flight of flights) {
      if (flight === culprit) {
        const at = flight === suspect ? running : lastCall?.request === flight.number ? lastCall : undefined;
        this.#blame(flight, at, cause, message);
      } else {
        // Code that ran for a request long answered says that all these are innocent; silence says that any may be it.
        this.#runAgain(flight, flight === suspect || (running === undefined && culprit === undefined));
      }
    }
  }

  #blame(flight: Flight, at: RunningAt | undefined, cause: DeathCause, message: string): void {
    const failure: KnownFailure =
      cause === 'stuck'
        ? { kind: 'timeout', message }
        : { kind: 'thread-died', message: `${cause}: ${message}` };
    if (at === undefined) return this.#settle(flight, failure.kind, failure.message);
    flight.failed.set(at.code, failure);
    this.#runAgain(flight, false);
  }

  #runAgain(flight: Flight, alone: boolean): void {
    if (flight.runs >= pipelineLimits.runsMax) {
      return this.#settle(flight, 'thread-died', `its thread ended ${flight.runs} times`);
    }
    // The last run is not shared: nobody else shall end it.
    flight.alone = alone || flight.runs === pipelineLimits.runsMax - 1;
    this.#dispatch(flight, true);
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

  /** Each suspect in a thread of its own, some at a time; a thread that survived one takes the next. */
  #isolate(): void {
    const lone = [...this.#carriers.values()].filter((carrier) => carrier.alone);
    for (const carrier of lone) {
      if (!carrier.room) continue;
      const flight = this.#suspects.shift();
      if (flight !== undefined) this.#send(flight, carrier);
      else void this.#dispose(carrier);
    }
    const starting = lone.filter((carrier) => !carrier.ready).length;
    const wanted = Math.min(
      this.#suspects.length - starting,
      pipelineLimits.isolationThreadsMax - lone.length,
    );
    for (let count = 0; count < wanted; count += 1) {
      this.#prepare(this.#startThread(true)).then(
        () => this.#isolate(),
        (error) => {
          this.#init.log.error('plugin-thread-start-failed', { error: describeError(error) });
          const flight = this.#suspects.shift();
          if (flight !== undefined) this.#settleUnloaded(flight);
        },
      );
    }
  }

  // Watching ----------------------------------------------------------------------------------------------------

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
    for (const carrier of this.#carriers.values()) {
      if (carrier.flights.size === 0) continue;
      const silentMs = carrier.listen(elapsedMs);
      if (silentMs > this.#patienceMs(carrier)) this.#endStuck(carrier, silentMs);
    }
    this.#looks += 1;
    if (this.#looks % 5 === 0) this.#settleLate(now);
    if (this.#flights.size === 0) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = undefined;
    }
  }

  /** How long the call that executes may keep the thread from turning. */
  #patienceMs({ thread, flights }: Carrier): number {
    const { running } = thread;
    const flight = running && flights.get(running.request);
    const entry = flight && this.#entriesOf(flight.request)[decodeCall(running.code).entry];
    return Math.min(entry?.timeoutMs ?? this.#init.threadStuckMs, this.#init.threadStuckMs);
  }

  #endStuck(carrier: Carrier, silentMs: number): void {
    carrier.thread.drop();
    this.#died(
      carrier.thread,
      'stuck',
      `kept its thread busy for ${Math.round(silentMs)} ms without an answer`,
    );
  }

  /** Requests whose time was up while they waited, or whose reply was lost. */
  #settleLate(now: number): void {
    const wall = Date.now();
    const late = ({ request, dueMs, carrier }: Flight) =>
      dueMs < now || (carrier === undefined && request.deadline !== undefined && request.deadline < wall);
    for (const flight of this.#flights.values()) {
      if (!late(flight)) continue;
      this.#queue = this.#queue.filter((waiting) => waiting !== flight);
      this.#suspects = this.#suspects.filter((waiting) => waiting !== flight);
      this.#settle(flight, 'timeout', 'no answer before the deadline');
    }
  }

  // Messages ----------------------------------------------------------------------------------------------------

  #receive(message: FromThread, thread: PluginThread): void {
    switch (message.type) {
      case 'question':
        void this.#answer(message, thread);
        break;
      case 'output':
        this.#init.log.info(message.event, { plugin: message.plugin, text: message.text });
        break;
      case 'disposed':
        this.#disposed.get(thread)?.();
        break;
    }
  }

  async #answer(question: Question, thread: PluginThread): Promise<void> {
    const flight = this.#flights.get(question.request);
    // Of a call that is over: nobody waits for the answer, and state must not change any more.
    if (flight === undefined || flight.carrier?.thread !== thread) return;
    const given = await answerQuestion(question, flight.answers, this.#init.services);
    thread.send({ type: 'answer', id: question.id, ...given });
  }
}
