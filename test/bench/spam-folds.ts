/** SpamAssassin's public corpus in five folds, content alone, and what counts of a classifier that was taught four of them. */
import { basename, join } from 'node:path';
import type { Kind } from '../../rules/bayes/memory.ts';
import { messageFiles, readMessage } from '../kit/message-source.ts';
import { randomSource } from '../kit/random.ts';
import { projectRoot } from '../kit/require.ts';

export const folds = 5;

export interface Sample {
  readonly kind: Kind;
  readonly name: string;
  /** CRLF line ends. */
  readonly octets: Buffer;
}

export interface Scored {
  readonly kind: Kind;
  readonly name: string;
  /** The higher the more like spam; how high says nothing across classifiers. */
  readonly score: number;
}

/** Only content is to count: fields that mailing lists and the delivery of this collection left are taken out. */
const telltale =
  /^(?:received|delivered-to|return-path|list-|x-mailman|x-beenthere|precedence|errors-to|sender|x-loop|mailing-list|x-spam|x-egroups|x-apparently-to|x-original|envelope-|x-pyzor|x-status:|x-keywords:|delivery-date:|status:|replied:|forwarded:)/i;

/** 2,500 ham, then 500 spam. */
export function readCorpus(): Sample[] {
  const corpus = join(projectRoot, '../shared/suites/spam');
  const of = (kind: Kind, folder: string) =>
    messageFiles(join(corpus, folder)).map((path): Sample => {
      return { kind, name: basename(path), octets: withoutTelltales(readMessage(path)) };
    });
  return [...of('ham', 'easy-ham-1'), ...of('spam', 'spam-1')];
}

function withoutTelltales(octets: Buffer): Buffer {
  const text = octets.toString('latin1').replace(/^From .*\r\n/, '');
  const end = text.indexOf('\r\n\r\n');
  const fields = text.slice(0, end).split(/\r\n(?![ \t])/);
  return Buffer.from(
    fields.filter((field) => !telltale.test(field)).join('\r\n') + text.slice(end),
    'latin1',
  );
}

/** The same messages in another order, and so in other folds. */
export function dealtAnew<Item>(items: readonly Item[], seed: number): Item[] {
  const random = randomSource('folds', seed);
  const left = [...items];
  return items.map(() => {
    const [item] = left.splice(random.below(left.length), 1);
    return item!;
  });
}

/** What is taught, and what is held back to be judged, once for each fold. */
export function* split<Item>(items: readonly Item[]): Generator<{ taught: Item[]; held: Item[] }> {
  for (let fold = 0; fold < folds; fold++) {
    yield {
      taught: items.filter((_, index) => index % folds !== fold),
      held: items.filter((_, index) => index % folds === fold),
    };
  }
}

/** Spam above the score that lets so many ham pass for spam. */
export function caughtAt(
  scored: readonly Scored[],
  falsePositives: number,
): { caught: number; threshold: number } {
  const ham = scored.filter(({ kind }) => kind === 'ham').sort((a, b) => b.score - a.score);
  const threshold = ham[falsePositives]!.score;
  const caught = scored.filter(({ kind, score }) => kind === 'spam' && score > threshold).length;
  return { caught, threshold };
}
