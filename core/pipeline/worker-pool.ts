/**
 * One plugin thread as the core sees it: a Tinypool of one worker, a port beside it whose close tells of the thread's
 * end (the pool itself does not notice process.exit), and the shared counters.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Tinypool } from 'tinypool';
import { withCompileCache } from '../base/compile-cache.ts';
import { describeError } from '../base/errors.ts';
import {
  beacon,
  type FromThread,
  type House,
  type LoadedPlugin,
  type LoadTask,
  type ReadyPipelines,
  type RunTask,
  type SetupFailure,
  type ToThread,
} from './wire.ts';

/** Why a thread ended. `exit`: process.exit or an end from within; `crash`: an error no handler saw; `memory`: its heap was full. */
export type DeathCause = 'exit' | 'crash' | 'memory' | 'stuck' | 'dropped';

export interface ThreadInit {
  readonly files: readonly string[];
  readonly house: House;
  readonly memoryMiB: number;
  onMessage(message: FromThread, thread: PluginThread): void;
  /** Once, unless drop() ended the thread. */
  onDeath(thread: PluginThread, cause: DeathCause, message: string): void;
}

/** The call that a thread was executing. */
export interface RunningAt {
  readonly request: number;
  readonly code: number;
}

/** Beside this file, in whichever language it runs. */
const workerFile = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));

export class PluginThread {
  readonly #pool: Tinypool;
  readonly #port: MessagePort;
  readonly #shared: Int32Array;
  readonly #init: ThreadInit;
  /** What the plugins said of themselves; rejects when the thread ends first. */
  readonly loaded: Promise<readonly LoadedPlugin[]>;
  #dead = false;
  #rejectLoaded: (error: Error) => void = () => {};
  #crash: unknown;

  constructor(init: ThreadInit) {
    this.#init = init;
    const shared = new SharedArrayBuffer(beacon.length * Int32Array.BYTES_PER_ELEMENT);
    this.#shared = new Int32Array(shared);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#pool = new Tinypool({
      filename: workerFile,
      minThreads: 1,
      maxThreads: 1,
      useAtomics: false,
      env: withCompileCache(process.env) as Record<string, string>,
      resourceLimits: { maxOldGenerationSizeMb: init.memoryMiB },
    });
    // An error without a task in flight would end the process if nobody listened; it is seen below.
    this.#pool.on('error', () => {});
    for (const worker of this.#pool.threads) {
      worker.on('error', (error) => this.#sawCrash(error));
      worker.on('exit', () => this.#ended());
    }
    port1.on('message', (message: FromThread) => init.onMessage(message, this));
    // The exit event tells more, and comes a moment later.
    port1.on('close', () => setTimeout(() => this.#ended(), 1000).unref());
    port1.unref();
    const task: LoadTask = { port: port2, shared, files: init.files, house: init.house };
    const load = this.#pool.run(task, { name: 'load', transferList: [port2] });
    this.loaded = new Promise((resolve, reject) => {
      this.#rejectLoaded = reject;
      load.then(resolve, reject);
    });
    this.loaded.catch(() => {});
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** @returns the entries whose setup failed; never settles when the thread ends */
  setup(pipelines: ReadyPipelines): Promise<readonly SetupFailure[]> {
    return this.#pool.run({ pipelines }, { name: 'setup' });
  }

  /**
   * Gives it a request, however many it carries: slow plugins wait without holding others up. onMessage hears how it
   * ended; when the thread ends first, onDeath tells, and its owner settles the request.
   * @throws DataCloneError
   */
  run(task: RunTask): void {
    this.send({ type: 'run', task });
  }

  send(message: ToThread): void {
    if (!this.#dead) this.#port.postMessage(message);
  }

  /** Asks the event loop for a beat. */
  ping(): void {
    this.send({ type: 'ping' });
  }

  get beats(): number {
    return Atomics.load(this.#shared, beacon.beat);
  }

  /** What its plugins hold outside the heap, as of the last beat or a second before. */
  get externalMiB(): number {
    return this.#shared[beacon.externalMiB]!;
  }

  /** The call whose code is (or, in a dead thread, was) executing. */
  get running(): RunningAt | undefined {
    return this.#call(beacon.runningRequest, beacon.runningCall);
  }

  /** The call that began last. */
  get lastCall(): RunningAt | undefined {
    return this.#call(beacon.lastRequest, beacon.lastCall);
  }

  /** Index of the plugin file that is being loaded or set up. */
  get loading(): number | undefined {
    const loading = this.#shared[beacon.loading]!;
    return loading === 0 ? undefined : loading - 1;
  }

  /** Ends the thread at once; nothing that it carries is answered any more. */
  drop(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#rejectLoaded(new Error('the thread ended'));
    this.#port.close();
    // Not by destroy(): when the thread reports an error meanwhile, such as a full heap, the pool throws out of an
    // event listener, and the process would end. Its spare thread, made for one that crashed, ends here as well.
    this.#pool.options.minThreads = 0;
    for (const worker of this.#pool.threads) worker.terminate().catch(() => {});
  }

  #call(requestIndex: number, codeIndex: number): RunningAt | undefined {
    const request = this.#shared[requestIndex]!;
    return request === 0 ? undefined : { request, code: this.#shared[codeIndex]! };
  }

  #sawCrash(error: unknown): void {
    this.#crash ??= error;
  }

  #ended(): void {
    if (this.#dead) return;
    const cause = causeOf(this.#crash);
    const message = this.#crash === undefined ? 'the thread ended itself' : describeError(this.#crash);
    this.drop();
    this.#init.onDeath(this, cause, message);
  }
}

function causeOf(crash: unknown): DeathCause {
  if (crash === undefined) return 'exit';
  return (crash as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'crash';
}
