/** allof, anyof, not, true, false. RFC 5228 sections 5.2, 5.3, 5.6, 5.8, 5.10. */
import type { TestSpec } from '../spec.ts';

const allof: TestSpec = {
  name: 'allof',
  kind: 'test',
  tests: 'list',
  compile({ tests }) {
    return (run) => {
      for (const test of tests) if (!test(run)) return false;
      return true;
    };
  },
};

const anyof: TestSpec = {
  name: 'anyof',
  kind: 'test',
  tests: 'list',
  compile({ tests }) {
    return (run) => {
      for (const test of tests) if (test(run)) return true;
      return false;
    };
  },
};

const not: TestSpec = {
  name: 'not',
  kind: 'test',
  tests: 'one',
  compile({ tests: [test] }) {
    return (run) => !test!(run);
  },
};

const constant = (name: string, value: boolean): TestSpec => ({
  name,
  kind: 'test',
  compile(use) {
    use.constant = value;
    return () => value;
  },
});

export const logicTests: readonly TestSpec[] = [
  allof,
  anyof,
  not,
  constant('true', true),
  constant('false', false),
];
