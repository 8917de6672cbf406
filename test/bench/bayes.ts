/** Five-fold cross-validation of the Bayes classifier on SpamAssassin's public corpus: spam caught at 2 and at 12 false positives. */
import { basename, join } from 'node:path';
import { openMessage } from '../../core/mail/open-message.ts';
import { TestState } from '../../core/plugin/testing.ts';
import { judge, type Kind, learn, site } from '../../rules/bayes/memory.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import { memorySource, messageFiles, readMessage } from '../kit/message-source.ts';
import { projectRoot } from '../kit/require.ts';

const folds = 5;
/** Only content is to count: fields that mailing lists and the delivery of this collection left are taken out. */
const telltale =
  /^(?:received|delivered-to|return-path|list-|x-mailman|x-beenthere|precedence|errors-to|sender|x-loop|mailing-list|x-spam|x-egroups|x-apparently-to|x-original|envelope-|x-pyzor|status:|replied:|forwarded:)/i;

interface Sample {
  readonly kind: Kind;
  readonly name: string;
  readonly tokens: readonly string[];
}

const corpus = join(projectRoot, '../shared/suites/spam');
const samples = [
  ...(await read('ham', join(corpus, 'easy-ham-1'))),
  ...(await read('spam', join(corpus, 'spam-1'))),
];
const scored: { readonly kind: Kind; readonly name: string; readonly probability: number }[] = [];
for (let fold = 0; fold < folds; fold++) {
  const state = new TestState({}, { now: Date.now, monotonicMs: () => performance.now() });
  const held = samples.filter((_, index) => index % folds === fold);
  for (const [index, { kind, tokens }] of samples.entries())
    if (index % folds !== fold) await learn(state, site, kind, tokens, 365);
  for (const { kind, name, tokens } of held) {
    const { judgement } = await judge(state, [site], tokens, { minimum: 1, userWeight: 1 });
    scored.push({ kind, name, probability: judgement!.probability });
  }
}
report();

async function read(kind: Kind, folder: string): Promise<Sample[]> {
  const found: Sample[] = [];
  for (const path of messageFiles(folder)) {
    const tokens = await tokensOf(openMessage(memorySource(withoutTelltales(readMessage(path))), []));
    // What cannot be read is judged by nothing: it stays in the count.
    found.push({ kind, name: basename(path), tokens: tokens ?? [] });
  }
  return found;
}

function withoutTelltales(octets: Buffer): string {
  const text = octets.toString('latin1').replace(/^From .*\r\n/, '');
  const end = text.indexOf('\r\n\r\n');
  const fields = text.slice(0, end).split(/\r\n(?![ \t])/);
  return fields.filter((field) => !telltale.test(field)).join('\r\n') + text.slice(end);
}

function report(): void {
  const ham = scored.filter(({ kind }) => kind === 'ham').sort((a, b) => b.probability - a.probability);
  const spam = scored.filter(({ kind }) => kind === 'spam');
  process.stdout.write(`${ham.length} ham, ${spam.length} spam, ${folds} folds\n`);
  for (const allowed of [2, 12]) {
    const threshold = ham[allowed]!.probability;
    const caught = spam.filter(({ probability }) => probability > threshold).length;
    process.stdout.write(
      `at ${allowed} false positives: ${caught} caught, ${spam.length - caught} missed (above ${threshold})\n`,
    );
  }
  for (const threshold of [0.5, 0.8, 0.95, 0.99, 0.999]) {
    const wrong = ham.filter(({ probability }) => probability >= threshold).length;
    const caught = spam.filter(({ probability }) => probability >= threshold).length;
    process.stdout.write(
      `from ${threshold}: ${wrong} false positives, ${caught} caught, ${spam.length - caught} missed\n`,
    );
  }
  const worst = ham.slice(0, 3).map(({ name, probability }) => `${name} ${probability.toFixed(4)}`);
  process.stdout.write(`ham most like spam: ${worst.join(', ')}\n`);
}
