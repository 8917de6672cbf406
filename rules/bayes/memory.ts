/** What was taught, in the state of the plugin `bayes`: one counter a token, one a database, and each lesson, to undo it. */
import { createHash } from 'node:crypto';
import type { Json } from '../../core/base/json.ts';
import { type Counts, classify, type Judgement } from './classify.ts';

/** What is used of a plugin's state. */
export interface BayesState {
  get(key: string): Promise<Json | undefined>;
  delete(key: string): Promise<void>;
  setIfAbsent(key: string, value: Json, options?: { ttlSeconds?: number }): Promise<boolean>;
  getAll(keys: readonly string[]): Promise<Record<string, Json>>;
  incrementAll(keys: readonly string[], by: number, options?: { ttlSeconds?: number }): Promise<void>;
}

export type Kind = 'ham' | 'spam';
/** A user's address, or `site`, which is none. */
export type Owner = string;
export const site: Owner = 'site';

/** Spam and ham in one number, so that one question raises both: ham in units of 2^26, exact up to 2^53. */
const hamUnit = 2 ** 26;
const unitOf: Readonly<Record<Kind, number>> = { spam: 1, ham: hamUnit };

function countsOf(packed: Json | undefined): Counts {
  const value = typeof packed === 'number' ? packed : 0;
  // Nearest, not floor: what is taken back after a crash, or after its token expired, may leave spam below 0.
  const ham = Math.round(value / hamUnit);
  return { spam: Math.max(0, value - ham * hamUnit), ham: Math.max(0, ham) };
}

/** An address may hold a slash. */
const place = (owner: Owner): string => encodeURIComponent(owner.toLowerCase());
const tokenKey = (owner: Owner, token: string) => `token/${place(owner)}/${token}`;
const totalKey = (owner: Owner) => `total/${place(owner)}`;
const lessonKey = (owner: Owner, id: string) => `lesson/${place(owner)}/${id}`;

/** The same for a message wherever it lies and whichever way it came. */
export function lessonId(tokens: readonly string[]): string {
  return createHash('sha256')
    .update([...tokens].sort().join('\n'))
    .digest('hex')
    .slice(0, 16);
}

export interface Lesson {
  readonly id: string;
  /** False where the message had been taught as that before. */
  readonly learnt: boolean;
  /** Taught as the other kind before, which was taken back. */
  readonly corrected: boolean;
}

/** Teaches once: a message taught again is not counted again, and one taught as the other kind changes sides. */
export async function learn(
  state: BayesState,
  owner: Owner,
  kind: Kind,
  tokens: readonly string[],
  expireDays: number,
): Promise<Lesson> {
  const id = lessonId(tokens);
  const before = await lessonOf(state, owner, id);
  if (before?.kind === kind) return { id, learnt: false, corrected: false };
  if (before !== undefined) await undo(state, owner, id, expireDays);
  const ttlSeconds = expireDays * 86_400;
  // Who sets the key is the one who counts: two programs may teach the same message at once.
  const value = { kind, tokens: [...tokens] };
  const ours = await state.setIfAbsent(lessonKey(owner, id), value, { ttlSeconds });
  if (ours) await count(state, owner, tokens, unitOf[kind], ttlSeconds);
  return { id, learnt: ours, corrected: ours && before !== undefined };
}

/** Takes a lesson back. @returns what it was; undefined where there is none of that id */
export async function undo(
  state: BayesState,
  owner: Owner,
  id: string,
  expireDays: number,
): Promise<Kind | undefined> {
  const lesson = await lessonOf(state, owner, id);
  if (lesson === undefined) return undefined;
  await state.delete(lessonKey(owner, id));
  await count(state, owner, lesson.tokens, -unitOf[lesson.kind], expireDays * 86_400);
  return lesson.kind;
}

async function count(
  state: BayesState,
  owner: Owner,
  tokens: readonly string[],
  by: number,
  ttlSeconds: number,
) {
  await state.incrementAll(
    tokens.map((token) => tokenKey(owner, token)),
    by,
    { ttlSeconds },
  );
  // The total lives as long as anything is taught.
  await state.incrementAll([totalKey(owner)], by);
}

interface StoredLesson {
  readonly kind: Kind;
  readonly tokens: readonly string[];
}

async function lessonOf(state: BayesState, owner: Owner, id: string): Promise<StoredLesson | undefined> {
  // Written by `learn` alone.
  return (await state.get(lessonKey(owner, id))) as unknown as StoredLesson | undefined;
}

export interface Weights {
  /** Messages of each kind that must have been taught before anything is said. */
  readonly minimum: number;
  /** How many messages of the site one of the user's is worth. */
  readonly userWeight: number;
}

export interface Opinion {
  readonly taught: Counts;
  /** Absent while too little was taught. */
  readonly judgement?: Judgement;
}

/** @param owners the site, and the user where there is one */
export async function judge(
  state: BayesState,
  owners: readonly Owner[],
  tokens: readonly string[],
  { minimum, userWeight }: Weights,
): Promise<Opinion> {
  const keys = owners.flatMap((owner) => [totalKey(owner), ...tokens.map((token) => tokenKey(owner, token))]);
  const values = await state.getAll(keys);
  const sum = (keyOf: (owner: Owner) => string, weighed: boolean): Counts =>
    owners.reduce<Counts>(
      (before, owner) => {
        const { spam, ham } = countsOf(values[keyOf(owner)]);
        const weight = weighed && owner !== site ? userWeight : 1;
        return { spam: before.spam + weight * spam, ham: before.ham + weight * ham };
      },
      { spam: 0, ham: 0 },
    );
  const taught = sum(totalKey, false);
  if (taught.spam < minimum || taught.ham < minimum) return { taught };
  const counts = new Map(tokens.map((token) => [token, sum((owner) => tokenKey(owner, token), true)]));
  return { taught, judgement: classify(sum(totalKey, true), counts) };
}
