/**
 * A plugin thread. The pool calls `load` and `setup` once; then requests come through the port, many at a time:
 *
 *     core                                     thread
 *       pool task load(files)  ------------->  import plugins, answer manifests
 *       pool task setup(pipelines) --------->  setup() of each entry
 *                      --- port: run ------->  chain of hooks
 *                     <--- port: question ---    context.dns, .state ...
 *                      --- port: answer ---->
 *                     <--- port: outcome ----
 *                      --- port: ping ------>  a beat in shared memory while the event loop turns
 *
 * A task of the pool for each request would do the same for twice the time of a message on the port.
 */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { type Clock, systemClock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Plugin } from '../plugin/define.ts';
import type { SetupContext } from '../plugin/hooks.ts';
import { deepFreeze } from '../session/deep-freeze.ts';
import { type HookName, hookNames } from '../session/powers.ts';
import { Asker } from './ask.ts';
import { captureOutput } from './capture-output.ts';
import { type ChainHouse, type RunnableEntry, runChain } from './chain.ts';
import { Deadlines } from './deadlines.ts';
import { loadPlugin, resolveToInstallation } from './load-plugins.ts';
import type { PluginCall } from './plugin-call.ts';
import { Running } from './running.ts';
import type {
  FromThread,
  LoadedPlugin,
  LoadTask,
  ReadyEntry,
  RunTask,
  SetupFailure,
  SetupTask,
  ToThread,
} from './wire.ts';

type StagePlan = ReadonlyMap<HookName, readonly RunnableEntry[]>;

/** Set by load; a thread has one life. */
let thread: PluginThreadState | undefined;

interface PluginThreadState extends ChainHouse {
  readonly task: LoadTask;
  readonly plugins: readonly (Plugin | Error)[];
  readonly send: (message: FromThread) => void;
  readonly asker: Asker;
  readonly clock: Clock;
  readonly hostname: string;
  plans: ReadonlyMap<string, StagePlan>;
  /** Of all pipelines. */
  entries: readonly RunnableEntry[];
}

const noEntries: readonly RunnableEntry[] = [];

/** Imports the plugins; those that cannot be loaded are answered as errors. */
export async function load(task: LoadTask): Promise<readonly LoadedPlugin[]> {
  const { port, house } = task;
  const send = (message: FromThread) => port.postMessage(message);
  const running = new Running<PluginCall>(task.shared);
  const asker = new Asker(send);
  captureOutput(send, () => running.current?.plugin);
  closeSideDoors();
  catchStrays(send, running);
  resolveToInstallation(house.installDirectory);
  const plugins: (Plugin | Error)[] = [];
  for (const [index, file] of task.files.entries()) {
    running.loading(index);
    plugins.push(await loadPlugin(file).catch((error) => new Error(describeError(error))));
  }
  running.loading(undefined);
  thread = {
    task,
    plugins,
    send,
    plans: new Map(),
    entries: [],
    entriesOf: (pipeline, hook) => thread?.plans.get(pipeline)?.get(hook) ?? noEntries,
    running,
    deadlines: new Deadlines(),
    asker,
    clock: systemClock,
    hostname: house.hostname,
    domains: Object.freeze([...house.domains]),
    limits: house.limits,
  };
  port.on('message', (message: ToThread) => receive(message, thread!, port));
  return plugins.map((plugin) =>
    plugin instanceof Error ? { error: plugin.message } : { manifest: plugin.manifest },
  );
}

/** Gives the thread its pipelines and runs each entry's setup; failures are those entries' alone. */
export async function setup({ pipelines }: SetupTask): Promise<readonly SetupFailure[]> {
  const state = loaded();
  const failures: SetupFailure[] = [];
  const plans = new Map<string, StagePlan>();
  const all: RunnableEntry[] = [];
  for (const [pipeline, entries] of Object.entries(pipelines)) {
    const runnable: RunnableEntry[] = [];
    for (const [index, entry] of entries.entries()) {
      const ready = await readyEntry(state, entry, index);
      if (ready.broken !== undefined) failures.push({ pipeline, entry: index, error: ready.broken.message });
      runnable.push(ready);
    }
    all.push(...runnable);
    plans.set(pipeline, planStages(runnable));
  }
  state.plans = plans;
  state.entries = all;
  return failures;
}

async function run(task: RunTask, state: PluginThreadState): Promise<void> {
  const { number } = task;
  try {
    state.send({ type: 'outcome', number, reply: await runChain(task, state) });
  } catch (error) {
    state.send({ type: 'failed', number, message: describeError(error) });
  }
}

function loaded(): PluginThreadState {
  if (thread === undefined) throw new Error('the thread was given work before its plugins');
  return thread;
}

/** An entry as it runs from now on: set up, or broken. */
async function readyEntry(
  state: PluginThreadState,
  entry: ReadyEntry,
  index: number,
): Promise<RunnableEntry> {
  const { clock, hostname, domains, asker } = state;
  const options = deepFreeze(entry.options);
  const plugin = state.plugins[entry.plugin] ?? new Error('the plugin was not loaded');
  const { prepared, error } =
    plugin instanceof Error ? { error: plugin.message } : await setUpEntry(state, entry, plugin);
  return {
    ...entry,
    index,
    hooks: plugin instanceof Error ? {} : plugin.hooks,
    context: { options, prepared, clock, hostname, domains, asker },
    ...(error !== undefined && { broken: { kind: 'load', message: error } }),
  };
}

async function setUpEntry(
  { running, hostname, domains, clock, task, send }: PluginThreadState,
  entry: ReadyEntry,
  plugin: Plugin,
): Promise<{ readonly prepared?: unknown; readonly error?: string }> {
  if (plugin.setup === undefined) return {};
  running.loading(entry.plugin);
  const context: SetupContext<unknown> = {
    options: entry.options,
    clock,
    hostname,
    domains,
    baseDirectory: task.house.baseDirectory,
    log: (event, facts) => {
      const text = facts === undefined ? event : `${event} ${JSON.stringify(facts)}`;
      send({ type: 'output', event: 'plugin-log', plugin: entry.manifest.name, text: text.slice(0, 2000) });
    },
  };
  try {
    return { prepared: await plugin.setup(context) };
  } catch (error) {
    return { error: `setup failed: ${describeError(error)}` };
  } finally {
    running.loading(undefined);
  }
}

/** The manifest, not the loaded code, says which hooks there are: a plugin that did not load must fail, not vanish. */
function planStages(entries: readonly RunnableEntry[]): StagePlan {
  return new Map(
    hookNames.map((hook) => [hook, entries.filter(({ manifest }) => manifest.hooks.includes(hook))]),
  );
}

function receive(message: ToThread, state: PluginThreadState, port: MessagePort): void {
  switch (message.type) {
    case 'run':
      void run(message.task, state);
      break;
    case 'answer':
      state.asker.settle(message);
      break;
    case 'ping':
      state.running.showExternalMemory();
      state.running.beat();
      break;
    case 'dispose':
      void dispose(state).finally(() => port.postMessage({ type: 'disposed' } satisfies FromThread));
      break;
  }
}

async function dispose({ plugins, entries, send }: PluginThreadState): Promise<void> {
  for (const { plugin: index, broken, context } of entries) {
    const plugin = plugins[index];
    if (broken !== undefined || plugin === undefined || plugin instanceof Error) continue;
    try {
      await plugin.dispose?.({ options: context.options, prepared: context.prepared });
    } catch (error) {
      const text = `dispose failed: ${describeError(error)}`;
      send({ type: 'output', event: 'plugin-stray-error', plugin: plugin.manifest.name, text });
    }
  }
}

/** The pool takes any message on the thread's own port for its own, and an unknown one for a crash of the thread. */
function closeSideDoors(): void {
  if (parentPort !== null) parentPort.postMessage = () => {};
}

/** An error outside any promise that a call waits for fails the call that caused it; the thread lives on. */
function catchStrays(send: (message: FromThread) => void, running: Running<PluginCall>): void {
  const stray = (error: unknown) => {
    const call = running.current;
    if (call !== undefined && !call.over) call.fail(error);
    else
      send({
        type: 'output',
        event: 'plugin-stray-error',
        plugin: call?.plugin,
        text: describeError(error).slice(0, 2000),
      });
  };
  process.on('uncaughtException', stray);
  process.on('unhandledRejection', stray);
}
