/** What an operator does with entries of the queue. */
import type { Queue } from './queue.ts';

export interface Change {
  readonly action: 'retry' | 'hold' | 'release' | 'remove';
  readonly ids: readonly string[];
}

/** Answers the ids of those that were in a state to be changed. */
export async function changeQueue(queue: Queue, { action, ids }: Change): Promise<string[]> {
  const changed: string[] = [];
  for (const id of ids) {
    const done = action === 'hold' ? await queue.hold(id, 'held by the operator') : await queue[action](id);
    if (done) changed.push(id);
  }
  return changed;
}
