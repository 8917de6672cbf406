/**
 * The pipelines of an installation: loads and checks their plugins, runs requests through plugin threads, and takes
 * over new code beside the old. What has begun on a generation of threads finishes on it.
 */
import { describeError, OperationalError } from '../base/errors.ts';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import { defaultLimits, type Limits } from '../base/limits/settings.ts';
import type { Log } from '../base/log.ts';
import { rewritesEnvelope } from '../plugin/effects.ts';
import type { PipelineEntry } from '../plugin/entry.ts';
import type { PluginManifest } from '../plugin/hooks.ts';
import type { HookName } from '../session/powers.ts';
import type { PipelineServices } from './answers.ts';
import { checkPipeline, type PipelineProblem } from './check.ts';
import { Guard } from './guard.ts';
import { pluginFile } from './plugin-file.ts';
import type { PipelineChanges, PipelineOutcome, PipelineRequest, Pipelines, TraceEntry } from './request.ts';
import type { House, ReadyEntry, ReadyPipelines } from './wire.ts';

export type { PipelineServices } from './answers.ts';

export interface PipelinesInit {
  /** Threads that run plugins. */
  readonly threads: number;
  /** Heap of each; a plugin that outgrows it ends its thread, not the process. */
  readonly threadMemoryMiB: number;
  /** Directory of package.json: bundled plugins, and what `mailfilter/*` imports mean. */
  readonly installDirectory: string;
  /** Directory of the config file. */
  readonly baseDirectory: string;
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly limits?: Limits;
  readonly log: Log;
  readonly services: PipelineServices;
  readonly pipelines: PipelineMap;
  /** How long one plugin may keep its thread's event loop. Default: `pipelineLimits.threadStuckMs`. */
  readonly threadStuckMs?: number;
}

export type PipelineMap = Readonly<Record<string, readonly PipelineEntry[]>>;

/** The pipelines cannot be used as they are configured. The message lists every problem, one a line. */
export class PipelineError extends OperationalError {
  readonly problems: readonly PipelineProblem[];

  constructor(problems: readonly PipelineProblem[]) {
    const lines = problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    super('pipelines-invalid', lines.join('\n'), { temporary: false, facts: { problems: lines } });
    this.name = 'PipelineError';
    this.problems = problems;
  }
}

/**
 * Loads every plugin, checks options and order, and starts the threads.
 * @throws PipelineError when a plugin cannot be found, loaded or set up, or its options or place are wrong
 */
export async function createPipelines(init: PipelinesInit): Promise<Pipelines> {
  const first = await startGeneration(init, init.pipelines);
  return new RunningPipelines(init, first);
}

/** One set of plugin code and config, and its threads. */
interface Generation {
  readonly guard: Guard | undefined;
  readonly ready: ReadyPipelines;
  /** Pipeline and hook, for has(). */
  readonly hooks: ReadonlyMap<string, ReadonlySet<HookName>>;
  /** Transactions and connections that began on it. */
  readonly ids: Set<string>;
}

class RunningPipelines implements Pipelines {
  #init: PipelinesInit;
  #current: Generation;
  /** Older ones that still have something under way. */
  readonly #old = new Set<Generation>();
  /** One reload at a time, each after the one before. */
  #reloading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(init: PipelinesInit, first: Generation) {
    this.#init = init;
    this.#current = first;
  }

  has(pipeline: string, hook: HookName): boolean {
    return this.#current.hooks.get(pipeline)?.has(hook) ?? false;
  }

  rewrites(pipeline: string): boolean {
    return (this.#current.ready[pipeline] ?? []).some(
      ({ manifest }) => manifest.hooks.includes('rcptTo') && rewritesEnvelope(manifest),
    );
  }

  async run(request: PipelineRequest): Promise<PipelineOutcome> {
    const generation = this.#generationOf(request.id);
    if (generation.guard === undefined || !concernsAny(generation, request)) return untouched(request);
    const outcome = await generation.guard.run(request);
    this.#logTrace(request, outcome.trace);
    if (generation !== this.#current) this.#retireIdle();
    return outcome;
  }

  forget(id: string): void {
    this.#current.ids.delete(id);
    this.#current.guard?.unpin(id);
    if (this.#old.size === 0) return;
    for (const generation of this.#old) {
      generation.ids.delete(id);
      generation.guard?.unpin(id);
    }
    this.#retireIdle();
  }

  reload(pipelines: PipelineMap, changes: PipelineChanges = {}): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#replace(pipelines, changes));
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reloading;
    await Promise.all([this.#current, ...this.#old].map(({ guard }) => guard?.close()));
    this.#old.clear();
  }

  async #replace(pipelines: PipelineMap, changes: PipelineChanges): Promise<void> {
    if (this.#closed) throw new Error('the pipelines are closed');
    const init = { ...this.#init, ...changes };
    const next = await startGeneration(init, pipelines);
    this.#init = init;
    const before = this.#current;
    this.#current = next;
    this.#old.add(before);
    this.#retireIdle();
    // A connection that stays for hours must not keep old threads for as long.
    setTimeout(() => this.#retire(before), pipelineLimits.oldGenerationMs).unref();
  }

  /** What began on older threads goes on there. */
  #generationOf(id: string): Generation {
    for (const generation of this.#old) if (generation.ids.has(id)) return generation;
    const { ids } = this.#current;
    ids.add(id);
    // Ids that were never forgotten must not gather for ever; the oldest goes.
    if (ids.size > pipelineLimits.rememberedIdsMax) ids.delete(ids.values().next().value!);
    return this.#current;
  }

  #retireIdle(): void {
    for (const generation of this.#old) {
      if (generation.ids.size === 0 && (generation.guard?.busy ?? 0) === 0) this.#retire(generation);
    }
  }

  #retire(generation: Generation): void {
    if (this.#old.delete(generation)) void generation.guard?.close();
  }

  /** What plugins logged, and every failure, as lines of the log. */
  #logTrace({ id }: PipelineRequest, trace: readonly TraceEntry[]): void {
    const { log } = this.#init;
    for (const { plugin, stage, log: lines, failure } of trace) {
      if (failure !== undefined) log.warn('plugin-failed', { id, plugin, stage, ...failure });
      for (const { event, facts } of lines ?? [])
        log.info('plugin-log', { id, plugin, stage, what: event, facts });
    }
  }
}

/** Does any plugin have something to say? */
function concernsAny(
  { hooks, ready }: Generation,
  { pipeline, stages, pass, deliveries }: PipelineRequest,
): boolean {
  const wanted = hooks.get(pipeline);
  return stages.some((stage) => {
    if (wanted === undefined || !wanted.has(stage)) return false;
    if (stage === 'deliver') return (deliveries?.length ?? 0) > 0;
    if (stage !== 'rcptTo' || pass === undefined) return true;
    return (ready[pipeline] ?? []).some(
      ({ manifest }) =>
        manifest.hooks.includes('rcptTo') && rewritesEnvelope(manifest) === (pass === 'rewrite'),
    );
  });
}

/** Nothing to run: the answer without a hop. */
function untouched({ state }: PipelineRequest): PipelineOutcome {
  const { quarantine } = state;
  return {
    verdict: quarantine === undefined ? { action: 'continue' } : { action: 'quarantine', reason: quarantine },
    recipients: {},
    state,
    trace: [],
  };
}

async function startGeneration(init: PipelinesInit, pipelines: PipelineMap): Promise<Generation> {
  const files = filesOf(pipelines, init.installDirectory);
  if (files.size === 0) return { guard: undefined, ready: {}, hooks: new Map(), ids: new Set() };
  const { installDirectory, baseDirectory, hostname, domains, limits = defaultLimits } = init;
  const house: House = { installDirectory, baseDirectory, hostname, domains, limits };
  const guard = new Guard({
    files: [...new Set(files.values())],
    house,
    threads: init.threads,
    threadMemoryMiB: init.threadMemoryMiB,
    services: init.services,
    log: init.log,
    threadStuckMs: init.threadStuckMs ?? pipelineLimits.threadStuckMs,
  });
  try {
    const loaded = await guard.load();
    const ready = makeReady(
      pipelines,
      files,
      loaded.map((plugin) => ('error' in plugin ? plugin.error : plugin.manifest)),
    );
    await guard.setUp(ready);
    return { guard, ready, hooks: hooksOf(ready), ids: new Set() };
  } catch (error) {
    await guard.close();
    if (error instanceof PipelineError) throw error;
    throw new PipelineError([{ severity: 'error', pointer: '/pipelines', message: describeError(error) }]);
  }
}

/** Specifier to absolute path, for every plugin named anywhere. */
function filesOf(pipelines: PipelineMap, installDirectory: string): Map<string, string> {
  const files = new Map<string, string>();
  const problems: PipelineProblem[] = [];
  for (const [pipeline, entries] of Object.entries(pipelines)) {
    for (const [index, { plugin }] of entries.entries()) {
      try {
        files.set(plugin, pluginFile(plugin, installDirectory));
      } catch (error) {
        problems.push({
          severity: 'error',
          pointer: `/pipelines/${pipeline}/${index}`,
          message: describeError(error),
        });
      }
    }
  }
  if (problems.length > 0) throw new PipelineError(problems);
  return files;
}

function makeReady(
  pipelines: PipelineMap,
  files: ReadonlyMap<string, string>,
  loaded: readonly (PluginManifest | string)[],
): ReadyPipelines {
  const indexes = new Map([...new Set(files.values())].map((file, index) => [file, index]));
  const problems: PipelineProblem[] = [];
  const ready: Record<string, readonly ReadyEntry[]> = {};
  for (const [pipeline, entries] of Object.entries(pipelines)) {
    const plugins = entries.map(({ plugin }) => indexes.get(files.get(plugin)!)!);
    const broken = plugins.flatMap((plugin, index): PipelineProblem[] => {
      const error = loaded[plugin];
      if (typeof error !== 'string') return [];
      const message = `plugin ${entries[index]!.plugin} cannot be loaded: ${error}`;
      return [{ severity: 'error', pointer: `/pipelines/${pipeline}/${index}`, message }];
    });
    problems.push(...broken);
    if (broken.length > 0) continue;
    const manifests = plugins.map((plugin) => loaded[plugin] as PluginManifest);
    const checked = checkPipeline(pipeline, entries, manifests);
    problems.push(...checked.problems.filter(({ severity }) => severity === 'error'));
    ready[pipeline] = entries.map((entry, index) => ({
      plugin: plugins[index]!,
      manifest: manifests[index]!,
      options: checked.options[index]!,
      onFailure: entry.onFailure,
      timeoutMs: entry.timeoutSeconds * 1000,
      shadow: entry.shadow,
    }));
  }
  problems.push(...twoOfOneName(loaded, [...indexes.keys()]));
  if (problems.length > 0) throw new PipelineError(problems);
  return ready;
}

/** Results and state go by the plugin's name: two plugins of one name would read and write each other's. */
function twoOfOneName(
  loaded: readonly (PluginManifest | string)[],
  files: readonly string[],
): PipelineProblem[] {
  const seen = new Map<string, string>();
  return loaded.flatMap((manifest, index): PipelineProblem[] => {
    if (typeof manifest === 'string') return [];
    const before = seen.get(manifest.name);
    seen.set(manifest.name, files[index]!);
    if (before === undefined) return [];
    const message = `${before} and ${files[index]} are both called ${manifest.name}`;
    return [{ severity: 'error', pointer: '/pipelines', message }];
  });
}

function hooksOf(ready: ReadyPipelines): Generation['hooks'] {
  return new Map(
    Object.entries(ready).map(([name, entries]) => [
      name,
      new Set(entries.flatMap(({ manifest }) => manifest.hooks)),
    ]),
  );
}
