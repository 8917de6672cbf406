/** The same scripts and messages through Pigeonhole and through us: the same actions. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { compileSieve, formatProblem, runSieve } from '../../../rules/sieve/index.ts';
import { PigeonholeOracle, wordsOf } from '../../kit/pigeonhole.ts';
import { randomSource } from '../../kit/random.ts';
import { requireProgram } from '../../kit/require.ts';
import { randomMessage, randomScript } from '../../kit/sieve-scripts.ts';
import { casesWithPigeonhole } from './cases-with-pigeonhole.ts';

const limits = { actionsMax: 100 };
const envelope = { from: 'a@x.example', to: 'b@y.example' };
const now = Date.parse('2026-11-21T09:00:00Z');

async function ours(script: string, message: string): Promise<{ actions: string[]; failed?: string }> {
  const { program, errors } = compileSieve(script, { limits, strict: true });
  if (!program)
    return { actions: [], failed: `compile ${errors.map((each) => formatProblem(each)).join('; ')}` };
  const outcome = await runSieve(program, Buffer.from(message), { now, envelope }, { limits });
  return { actions: wordsOf(outcome), ...(outcome.error && { failed: `run ${outcome.error.message}` }) };
}

async function compare(oracle: PigeonholeOracle, script: string, message: string): Promise<void> {
  const theirs = oracle.run(script, message, envelope);
  const found = await ours(script, message);
  const about = `${script}\n--\n${message}\n--\n${theirs.output}\n--\n${found.failed ?? ''}`;
  assert.equal(found.failed?.split(' ')[0], theirs.failed, about);
  if (theirs.failed !== 'compile') assert.deepEqual(found.actions, theirs.actions, about);
}

function openOracle(t: TestContext): PigeonholeOracle | undefined {
  const program = requireProgram(t, 'sieve-test');
  if (program === undefined) return undefined;
  const oracle = new PigeonholeOracle(program);
  t.after(() => oracle.close());
  return oracle;
}

test('scripts written by hand do the same', async (t) => {
  const oracle = openOracle(t);
  if (!oracle) return;
  for (const { name, script, message } of casesWithPigeonhole) {
    await t.test(name, () => compare(oracle, script, message));
  }
});

test('generated scripts do the same', async (t) => {
  const oracle = openOracle(t);
  if (!oracle) return;
  const random = randomSource('sieve differential');
  const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 300 : 30;
  for (let round = 0; round < rounds; round++) {
    await compare(oracle, randomScript(random, 20), randomMessage(random));
  }
});
