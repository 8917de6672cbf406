/**
 * The checkpoint: deliveries follow the 250 without a sync of their own; every now and then one sync puts them all on
 * disk, and then the segments they came from can go. A segment goes only when everything in it was done before the
 * sync began, and the sync succeeded. After a failed one every copy is written again before the next is tried.
 */
import { describeError } from '../../core/base/errors.ts';
import type { FileSystems } from './file-systems.ts';
import type { FlowLog } from './house.ts';
import type { Journal, UsedSegment } from './journal.ts';
import type { Doubt } from './journal-doubt.ts';

export interface CheckpointOptions {
  readonly journal: Journal;
  /** Kept for the next process, should this one not live to settle it. */
  readonly doubt: Doubt;
  readonly fileSystems: FileSystems;
  readonly intervalMs: number;
  readonly log: FlowLog;
  /** Removes message files that a segment's records referred to. */
  removeFiles(names: readonly string[]): void;
  /** Writes every copy again that came from these segments. @throws when that cannot be done now */
  rewrite(segments: readonly UsedSegment[]): Promise<void>;
}

export interface Checkpoint {
  /**
   * One round, now; never two at once, so the one that runs may be it.
   * @param last also what no ready segment could take over from
   * @returns true when nothing is left in the journal
   */
  run(last: boolean): Promise<boolean>;
  start(): void;
  /** Ends the rounds, after the one that runs. */
  stop(): Promise<void>;
}

export function createCheckpoint(options: CheckpointOptions): Checkpoint {
  const { journal, doubt, fileSystems, log } = options;
  let running: Promise<boolean> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let first: NodeJS.Timeout | undefined;

  async function round(last: boolean): Promise<boolean> {
    journal.seal(last);
    const finished = journal.finished();
    if (finished.length === 0) return journal.segments === 0;
    try {
      // What is sealed since is not written again: it waits for the next round.
      if (doubt.standing) await options.rewrite(journal.used());
      await fileSystems.sync(finished.flatMap(({ written }) => written));
      if (doubt.standing) doubt.settle();
    } catch (error) {
      // Before anything else: the process may end at any time.
      const kept = doubt.raise(journal.used().map(({ path }) => path));
      if (!kept) log.error('doubt-not-kept', { segments: finished.length });
      log.error('checkpoint-failed', { error: describeError(error), segments: finished.length });
      return false;
    }
    for (const segment of finished) await letGo(segment);
    return journal.segments === 0;
  }

  async function letGo(segment: UsedSegment): Promise<void> {
    try {
      await journal.retire(segment);
      options.removeFiles(segment.files);
    } catch (error) {
      // The segment may come back after a power cut, and would look for its files: the next start removes them.
      log.warn('segment-kept', { error: describeError(error) });
    }
  }

  function run(last: boolean): Promise<boolean> {
    running ??= round(last).finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    run,
    start() {
      if (timer) return;
      timer = setInterval(() => void run(false), options.intervalMs).unref();
      // What an earlier process left goes soon: one that dies again and again would have more to read at each start.
      first = setTimeout(() => void run(false), options.intervalMs / 10).unref();
    },
    async stop() {
      clearTimeout(first);
      clearInterval(timer);
      timer = undefined;
      await running;
    },
  };
}
