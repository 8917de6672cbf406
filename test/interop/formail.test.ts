/** Beside Debian's formail 3.22: the same output, exit codes and caches. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { randomSource } from '../kit/random.ts';
import { requireProgram } from '../kit/require.ts';
import { type FormailCase, runBoth } from './formail-beside.ts';
import {
  babyl,
  babylLines,
  boxes,
  cacheLines,
  caches,
  mails,
  optionLines,
  splitLines,
} from './formail-cases.ts';
import { randomBox, randomOptions } from './formail-grammar.ts';

function assertSame(t: TestContext, cases: readonly FormailCase[]): void {
  const program = requireProgram(t, 'formail');
  if (!program || !requireProgram(t, 'python3')) return;
  for (const [index, { formail, ours }] of runBoth(program, cases).entries()) {
    const { options, input } = cases[index]!;
    // It ended by a signal: there is nothing to be equal to.
    if (formail.code === null) continue;
    assert.deepEqual(
      ours,
      formail,
      `formail ${JSON.stringify(options)}\n--- input:\n${input.slice(0, 3000)}`,
    );
  }
}

/** Each line with each input. */
function product(
  lines: readonly (readonly string[])[],
  inputs: Readonly<Record<string, string>>,
): FormailCase[] {
  return lines.flatMap((options) => Object.values(inputs).map((input) => ({ options, input })));
}

test('formail 3.22: every option, alone and with others, on mails of all kinds', (t) =>
  assertSame(t, product(optionLines, mails)));

test('formail 3.22: mailboxes, digests, articles and BABYL are split alike', (t) =>
  assertSame(t, [...product(splitLines, boxes), ...product(babylLines, { babyl })]));

test('formail 3.22: -D finds the same, and leaves the same cache', (t) =>
  assertSame(
    t,
    cacheLines.flatMap((options) =>
      Object.values(caches).map((cache) => ({ options, input: mails.plain!, cache })),
    ),
  ));

const campaign = process.env.MAILFILTER_CAMPAIGN === '1';
const rounds = campaign ? 20_000 : 700;

/** In CI always the same ones; a campaign looks for the next difference. */
test(`formail 3.22: ${rounds} random lines`, (t) => {
  const random = randomSource('formail', campaign ? undefined : 11);
  const draw = () => ({ options: randomOptions(random), input: randomBox(random) });
  assertSame(t, Array.from({ length: rounds }, draw));
});
