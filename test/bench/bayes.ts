/**
 * Five-fold cross-validation of the Bayes classifier on SpamAssassin's public corpus: spam caught at 2 and at 12 false
 * positives; with --peers SpamAssassin's and rspamd's Bayes on the same folds, some minutes. `--seed N` deals the messages
 * into other folds.
 */
import { parseArgs } from 'node:util';
import { openMessage } from '../../core/mail/open-message.ts';
import { TestState } from '../../core/plugin/testing.ts';
import { judge, learn, site } from '../../rules/bayes/memory.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import { memorySource } from '../kit/message-source.ts';
import { rspamdBayes, spamAssassinBayes } from './bayes-peers.ts';
import { caughtAt, dealtAnew, readCorpus, type Sample, type Scored, split } from './spam-folds.ts';

const { values } = parseArgs({
  options: { peers: { type: 'boolean', default: false }, seed: { type: 'string' } },
});
const samples = values.seed === undefined ? readCorpus() : dealtAnew(readCorpus(), Number(values.seed));
const ours = await crossValidate(samples);
report('mailfilter', ours);
for (const threshold of [0.5, 0.8, 0.95, 0.99, 0.999]) {
  const above = ours.filter(({ score }) => score >= threshold);
  const wrong = above.filter(({ kind }) => kind === 'ham').length;
  const caught = above.length - wrong;
  const missed = samples.filter(({ kind }) => kind === 'spam').length - caught;
  say(`  from ${threshold}: ${wrong} false positives, ${caught} caught, ${missed} missed`);
}
if (values.peers) {
  report('SpamAssassin', await spamAssassinBayes(samples));
  report('rspamd', await rspamdBayes(samples));
}

async function crossValidate(all: readonly Sample[]): Promise<Scored[]> {
  const read: (Sample & { tokens: readonly string[] })[] = [];
  for (const sample of all) {
    const tokens = await tokensOf(openMessage(memorySource(sample.octets), []));
    // What cannot be read is judged by nothing: it stays in the count.
    read.push({ ...sample, tokens: tokens ?? [] });
  }
  const scored: Scored[] = [];
  for (const { taught, held } of split(read)) {
    const state = new TestState({}, { now: Date.now, monotonicMs: () => performance.now() });
    for (const { kind, tokens } of taught) await learn(state, site, kind, tokens, 365);
    for (const { kind, name, tokens } of held) {
      const { judgement } = await judge(state, [site], tokens, { minimum: 1, userWeight: 1 });
      scored.push({ kind, name, score: judgement!.probability });
    }
  }
  return scored;
}

function report(name: string, scored: readonly Scored[]): void {
  const spam = scored.filter(({ kind }) => kind === 'spam').length;
  say(`${name}: ${scored.length - spam} ham, ${spam} spam`);
  for (const allowed of [2, 12]) {
    const { caught, threshold } = caughtAt(scored, allowed);
    say(`  at ${allowed} false positives: ${caught} caught, ${spam - caught} missed (above ${threshold})`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
