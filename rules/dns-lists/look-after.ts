/** Once an hour: a list that lists nothing any more would go unnoticed for years. RFC 5782 section 5. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../core/base/clock.ts';
import { type AskOptions, askTestEntries, type Hit, type Question } from './ask.ts';

/** What is used of a hook's context. */
interface Context {
  readonly state: {
    setIfAbsent(key: string, value: number, options: { ttlSeconds: number }): Promise<boolean>;
  };
  readonly clock: Clock;
  log(event: string, facts: { readonly zone: string; readonly wrong: string }): void;
}

/** Logs `list-suspect` for each list that gave no hit and does not have the entry that every working list has. */
export async function lookAfterLists(
  questions: readonly Question[],
  hits: readonly Hit[],
  asking: AskOptions,
  { state, clock, log }: Context,
): Promise<void> {
  const alive = new Set(hits.map(({ question }) => question.list));
  const unsure = new Map(questions.map((question) => [question.list, question]));
  for (const list of alive) unsure.delete(list);
  if (unsure.size === 0) return;
  const what = [...new Set(questions.map(({ list, tests }) => `${tests.listed}.${list.zone}`))];
  const key = `tested/${createHash('sha256').update(what.join(' ')).digest('base64url')}`;
  if (!(await state.setIfAbsent(key, clock.now(), { ttlSeconds: testedSeconds }))) return;
  for (const { list, wrong } of await askTestEntries([...unsure.values()], asking)) {
    log('list-suspect', { zone: list, wrong });
  }
}

const testedSeconds = 3600;
