/** spamtest, spamtestplus and virustest: what filters found, as numbers. RFC 5235. */
import type { Run } from '../run.ts';
import type { Extension, TestSpec } from '../spec.ts';
import { Values } from '../values.ts';

function spamPercent(run: Run): number | undefined {
  const percent = run.ask('spam percent', () => run.environment.spamPercent?.());
  return percent === undefined ? undefined : Math.min(100, Math.max(0, percent));
}

/** Section 2.1: 0 not tested, 1 clear, 10 certainly spam. */
function spamLevel(percent: number | undefined): string {
  return percent === undefined ? '0' : String(Math.min(10, 1 + Math.floor((percent / 100) * 9 + 1e-9)));
}

const keys = [{ name: 'value', type: 'string' }] as const;

const spamtestTest: TestSpec = {
  name: 'spamtest',
  kind: 'test',
  matches: true,
  positional: keys,
  compile(use) {
    const match = use.match(0);
    const percent = use.has('percent');
    return (run) => {
      const found = spamPercent(run);
      const text = percent ? String(Math.floor((found ?? 0) + 1e-9)) : spamLevel(found);
      return match(run, new Values([text]));
    };
  },
};

const virustestTest: TestSpec = {
  name: 'virustest',
  kind: 'test',
  matches: true,
  positional: keys,
  compile(use) {
    const match = use.match(0);
    return (run) => {
      const level = run.ask('virus level', () => run.environment.virusLevel?.()) ?? 0;
      return match(run, new Values([String(Math.min(5, Math.max(0, Math.trunc(level))))]));
    };
  },
};

export const spamtest: Extension = { name: 'spamtest', specs: [spamtestTest] };
/** Section 2.2: spamtest with percents. */
export const spamtestplus: Extension = {
  name: 'spamtestplus',
  specs: [spamtestTest],
  tags: { spamtest: [{ name: 'percent' }] },
};
export const virustest: Extension = { name: 'virustest', specs: [virustestTest] };
