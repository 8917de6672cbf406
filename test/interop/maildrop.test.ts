/** Beside Debian's maildrop 2.9: the same mailboxes, output, programs' input, logs and exit codes. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { randomSource } from '../kit/random.ts';
import { requireProgram } from '../kit/require.ts';
import { type MaildropCase, runBoth, runOurs } from './maildrop-beside.ts';
import {
  brokenFilters,
  caseMail,
  cases,
  knownDifferences,
  lines,
  mailFilters,
  mails,
} from './maildrop-cases.ts';
import { randomFilter } from './maildrop-grammar.ts';

async function assertSame(t: TestContext, given: readonly MaildropCase[]): Promise<void> {
  const program = requireProgram(t, 'maildrop');
  if (!program || !requireProgram(t, 'python3')) return;
  for (const [index, { maildrop, ours }] of (await runBoth(program, given)).entries()) {
    const { filter, mail } = given[index]!;
    assert.deepEqual(ours, maildrop, `${filter}\n--- mail:\n${mail.slice(0, 400)}`);
  }
}

test(`maildrop 2.9: ${cases.length} filters`, (t) =>
  assertSame(
    t,
    cases.map((filter) => ({ filter, mail: caseMail })),
  ));

test('maildrop 2.9: mails of all kinds', (t) =>
  assertSame(
    t,
    Object.values(mails).flatMap((mail) => mailFilters.map((filter) => ({ filter, mail }))),
  ));

test('maildrop 2.9: its command line', (t) =>
  assertSame(
    t,
    lines.map((line) => ({ ...line, mail: caseMail })),
  ));

for (const [name, { filter, mail = caseMail, code, stdout }] of Object.entries(knownDifferences)) {
  test(`another result than maildrop's: ${name}`, async () => {
    const left = await runOurs({ filter, mail });
    assert.deepEqual({ code: left.code, stdout: left.stdout }, { code, stdout });
    assert.equal(left.files.box, undefined);
  });
}

for (const [name, filter] of Object.entries(brokenFilters)) {
  test(`a broken filter: ${name}`, async () => {
    const { code, files } = await runOurs({ filter, mail: caseMail });
    assert.equal(code, 75);
    assert.equal(files.box, undefined);
  });
}

const campaign = process.env.MAILFILTER_CAMPAIGN === '1';
const rounds = campaign ? 5000 : 100;

/** In CI always the same ones; a campaign looks for the next difference. */
test(`maildrop 2.9: ${rounds} random filters`, (t) => {
  const random = randomSource('maildrop', campaign ? undefined : 5);
  return assertSame(
    t,
    Array.from({ length: rounds }, () => ({ filter: randomFilter(random), mail: caseMail })),
  );
});
