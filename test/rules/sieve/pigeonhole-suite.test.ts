/** Pigeonhole's own test scripts, run by the interpreter of vnd.dovecot.testsuite. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { compileSieve, formatProblem, runTestsuite } from '../../../rules/sieve/index.ts';
import { requireSuite } from '../../kit/require.ts';

const now = Date.parse('2026-11-21T09:00:00Z');

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

test('every test script of Pigeonhole passes', async (t) => {
  const folder = requireSuite(t, 'sieve');
  if (folder === undefined) return;
  const files = globSync('pigeonhole/**/*.svtest', { cwd: folder }).sort();
  assert.ok(files.length > 60, `${files.length} files`);
  for (const file of files) {
    await t.test(file, () => {
      const path = join(folder, file);
      const readFile = (name: string) => readIfThere(resolve(dirname(path), name)) ?? readExample(file, name);
      const report = runTestsuite(readFileSync(path), { now, readFile });
      assert.deepEqual(report.problems, []);
      assert.equal(report.failure, undefined);
      assert.deepEqual(
        report.tests.filter((each) => each.failure !== undefined),
        [],
      );
    });
  }
});

/** The example scripts that examples.svtest compiles are no part of the suite: ours of the same names stand for them. */
function readExample(file: string, name: string): Uint8Array | undefined {
  if (!file.endsWith('execute/examples.svtest')) return undefined;
  return readIfThere(join(import.meta.dirname, 'examples', basename(name)));
}

/** The file has a modifier of its collectors' own beside the examples. */
const inNoRfc: Readonly<Record<string, readonly string[]>> = {
  'rfc/rfc6609.sieve': [
    "line 78, column 21: error: unknown tagged argument ':replace' for the set command (reported only once at first occurrence)",
  ],
};

test('the examples of the RFCs compile', async (t) => {
  const folder = requireSuite(t, 'sieve');
  if (folder === undefined) return;
  for (const file of globSync('rfc/*.sieve', { cwd: folder }).sort()) {
    await t.test(file, () => {
      const { errors } = compileSieve(readFileSync(join(folder, file)));
      assert.deepEqual(
        errors.map((error) => formatProblem(error)),
        inNoRfc[file] ?? [],
      );
    });
  }
});
