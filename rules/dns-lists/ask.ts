/** Asks DNS lists about a client or a name, and tells a hit from a list that is out of order. RFC 5782 sections 2, 3 and 5. */
import { isListing } from './answer.ts';
import type { DnsList, Meaning } from './list.ts';

/** What is used of a plugin's DNS. */
export interface ListDns {
  a(name: string): Promise<string[]>;
}

/** A list's own test entries: one that is always listed, one that never is. */
export interface TestEntries {
  readonly listed: string;
  readonly unlisted: string;
}
/** RFC 5782 section 5: 127.0.0.2 and 127.0.0.1, reversed. */
export const ipv4TestEntries: TestEntries = { listed: '2.0.0.127', unlisted: '1.0.0.127' };
/** RFC 5782 section 5: ::FFFF:7F00:2 and ::FFFF:7F00:1, written out, since the mapped form stands for IPv4 elsewhere. */
export const ipv6TestEntries: TestEntries = {
  listed: `2.0.0.0.0.0.f.7.f.f.f.f.${'0.'.repeat(19)}0`,
  unlisted: `1.0.0.0.0.0.f.7.f.f.f.f.${'0.'.repeat(19)}0`,
};
/** RFC 5782 section 5: the reserved names of RFC 2606. */
export const domainTestEntries: TestEntries = { listed: 'test', unlisted: 'invalid' };

export interface Question {
  readonly list: DnsList;
  /** What stands before the list's name: a reversed address, or a domain. */
  readonly key: string;
  readonly tests: TestEntries;
}

export interface Hit<Asked extends Question = Question> {
  readonly question: Asked;
  readonly answers: readonly string[];
  /** At least one. */
  readonly meanings: readonly Meaning[];
}

/** A list that could not be asked, or is not to be believed. */
export interface Trouble<Asked extends Question = Question> {
  readonly question: Asked;
  readonly error: unknown;
}

export interface AskOptions {
  readonly dns: ListDns;
  /** Before a hit counts, the list must not list its test entry that never is. */
  readonly testPoints: boolean;
  /** For one list, all its questions together. */
  readonly timeoutMs: number;
}

/** The list says that it does not serve us, or lists the whole world: waiting will not help. */
export class ListUnfit extends Error {
  override name = 'ListUnfit';
}

/** All at once; each list has the same time, so that a slow one holds up no other's answer longer than that. */
export async function askLists<Asked extends Question>(
  questions: readonly Asked[],
  options: AskOptions,
): Promise<{ hits: Hit<Asked>[]; troubles: Trouble<Asked>[] }> {
  const hits: Hit<Asked>[] = [];
  const troubles: Trouble<Asked>[] = [];
  const asked = await Promise.allSettled(questions.map((question) => inTime(question, options)));
  for (const [index, reply] of asked.entries()) {
    const question = questions[index]!;
    if (reply.status === 'rejected') troubles.push({ question, error: reply.reason });
    else if (reply.value !== undefined) hits.push(reply.value);
  }
  return { hits, troubles };
}

/**
 * Lists that do not list what every working list does: emptied, renamed, or shut off without a word.
 * @returns what is wrong, for each that is
 */
export async function askTestEntries(
  questions: readonly Question[],
  { dns, timeoutMs }: AskOptions,
): Promise<{ list: string; wrong: string }[]> {
  const found = await Promise.all(
    questions.map(async ({ list, tests }) => {
      try {
        const answers = await timed(dns.a(`${tests.listed}.${list.zone}`), list.name, timeoutMs);
        if (answers.some(isListing)) return [];
        return [{ list: list.name, wrong: `${tests.listed}.${list.name} is not listed` }];
      } catch (error) {
        return [{ list: list.name, wrong: String(error) }];
      }
    }),
  );
  return found.flat();
}

async function inTime<Asked extends Question>(
  question: Asked,
  options: AskOptions,
): Promise<Hit<Asked> | undefined> {
  return await timed(ask(question, options), question.list.name, options.timeoutMs);
}

async function timed<Value>(work: Promise<Value>, list: string, timeoutMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${list} did not answer in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws when DNS fails, the list will not serve us, or it lists the whole world */
async function ask<Asked extends Question>(
  question: Asked,
  { dns, testPoints }: AskOptions,
): Promise<Hit<Asked> | undefined> {
  const { list, key, tests } = question;
  const name = `${key}.${list.zone}`;
  // RFC 1035 section 2.3.4: a longer name cannot be in DNS.
  if (name.length > nameOctetsMax) return undefined;
  const { answers, meanings } = judge(list, await dns.a(name));
  if (meanings.length === 0) return undefined;
  const wildcard = `${tests.unlisted}.${list.zone}`;
  if (testPoints && judge(list, await dns.a(wildcard)).meanings.length > 0) {
    throw new ListUnfit(
      `${list.name} lists its own test point, and so perhaps the whole world: it is not to be used`,
    );
  }
  return { question, answers, meanings };
}

const nameOctetsMax = 253;

function judge(list: DnsList, answers: readonly string[]): { answers: string[]; meanings: Meaning[] } {
  const refusal = answers.find(list.refuses);
  if (refusal !== undefined) {
    throw new ListUnfit(`${list.name} refuses to answer (${refusal}): see the list's own pages for the code`);
  }
  const meanings = list.meanings.filter(({ matches }) => answers.some(matches));
  return { answers: answers.filter((answer) => meanings.some(({ matches }) => matches(answer))), meanings };
}
