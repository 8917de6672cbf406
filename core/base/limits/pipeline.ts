/** Limits of plugins in worker threads. */
import { MiB } from './units.ts';

/** What one answer of a hook may hold: a plugin gone wild must not fill the core's memory. */
export const answerLimits = {
  /** Values within `result` or the facts of a log line; several times what a scanner reports. */
  jsonNodesMax: 20_000,
  /** Keys and strings of the same, 1 MiB. */
  jsonCharactersMax: MiB,
  /** Nesting of the same; also what ends a value that holds itself. */
  jsonDepthMax: 50,
  /** Edits of one answer. */
  editsMax: 2000,
  symbolsMax: 2000,
  authMax: 200,
  actionsMax: 200,
  /** Lines of context.log in one call. */
  logLinesMax: 100,
  /** Text of a reply; several lines of RFC 5321 section 4.5.3.1.5. */
  replyCharactersMax: 2000,
} as const;

/** Plugins in threads. */
export const pipelineLimits = {
  /** Requests that one thread carries at once; slow plugins wait, so this bounds memory, not speed. */
  threadRequestsMax: 1000,
  /** Requests that wait for a thread before the plugins' policies answer at once. */
  queuedRequestsMax: 10_000,
  /** A plugin that keeps the event loop of its thread this long is stuck, whatever its own timeout. */
  threadStuckMs: 10_000,
  /** Buffers lie outside the heap: how many times the heap's limit a thread may hold in them. */
  externalMemoryFactor: 2,
  /** How often a busy thread is looked at; a tenth of the shortest sensible timeout. */
  heartbeatMs: 100,
  /** Loading and setting up the plugins of one thread. */
  threadStartMs: 60_000,
  /** For dispose() of the plugins of one thread. */
  disposeMs: 1000,
  /** Starts of a replacement thread that fail in a row before waiting requests are answered by policy. */
  threadStartsMax: 3,
  /** Threads that look for a culprit, one transaction alone in each. */
  isolationThreadsMax: 4,
  /** Runs of one request: the first and two more; one beyond where the last showed which of its calls ends threads. */
  runsMax: 3,
  /** Past the sum of all plugins' timeouts, a request with no answer is settled by policy after this long. */
  lostReplyMs: 5000,
  /** Threads of an older reload end at the latest after this: as long as a whole DATA may take. */
  oldGenerationMs: 30 * 60_000,
  /** Transactions and connections whose generation is remembered. */
  rememberedIdsMax: 100_000,
  /** Questions (DNS, state ...) of one run of one request. */
  questionsMax: 20_000,
  /** Lines of plugin output per second and thread that reach the log. */
  outputLinesPerSecondMax: 50,
  outputCharactersMax: 2000,
  /** Recipients of one request whose deliver hooks run at the same time. */
  deliveriesAtOnce: 8,
  /** Trace entries: longer texts are cut, longer lists counted. */
  traceCharactersMax: 2000,
  traceItemsMax: 50,
} as const;
