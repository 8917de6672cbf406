/** The queue of a crash test: what waits in it, an mbox that stays locked, is told by files, which outlive the process. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Queue } from '../../src/queue/queue.ts';

export function durableQueue(root: string): Pick<Queue, 'directory' | 'enqueue' | 'settle' | 'renew'> {
  const directory = join(root, 'waiting');
  return {
    directory: root,
    settle: async () => {},
    renew: async () => {},
    enqueue: async (entries) => {
      mkdirSync(directory, { recursive: true });
      for (const { id } of entries) writeFileSync(join(directory, encodeURIComponent(id)), '');
    },
  };
}

/** Ids of entries. */
export function queuedIn(root: string): string[] {
  const directory = join(root, 'waiting');
  return existsSync(directory) ? readdirSync(directory).map(decodeURIComponent) : [];
}
