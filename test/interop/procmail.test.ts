/** Beside Debian's procmail 3.22: the same folders, programs, exit codes and log abstracts. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { randomSource } from '../kit/random.ts';
import { requirePeer, requireProgram, requireSuite } from '../kit/require.ts';
import { type Left, runBoth } from './procmail-beside.ts';
import { brokenRcfiles, caseMail, cases, knownDifferences, oddMails, oddRcfiles } from './procmail-cases.ts';
import { randomMail, randomRcfile } from './procmail-grammar.ts';

const beside = 16;
const manual = '/usr/share/man/man5/procmailex.5.gz';

/** One for each recipe of the examples, and one for none. */
const exampleMails = [
  ...['thf@somewhere.someplace', 'news@uunet', 'henry@zoo.example'].map((from) =>
    mailFrom(from, 'about that'),
  ),
  mailFrom('root', 'Output from "at" job'),
  mailFrom('ann@example.org', 'some questions'),
  mailFrom('ann@example.org', 'nothing special'),
];

const manualMails = [
  mailFrom('peter@example.org', 'compilers'),
  mailFrom('root@example.org', 'nothing special').replace('body\n', 'a line to scuba@example.org\n'),
];

function mailFrom(from: string, subject: string): string {
  return `From ${from} Sat Nov 21 09:00:00 2026\nFrom: ${from}\nDate: Sat, 21 Nov 2026 09:00:00 +0000\nSubject: ${subject}\n\nbody\n`;
}

async function assertSame(
  t: TestContext,
  rcfile: string,
  mail: string,
  as: (left: Left) => Left = (left) => left,
): Promise<void> {
  const program = requireProgram(t, 'procmail');
  if (!program) return;
  const { procmail, ours } = await runBoth(program, rcfile, mail);
  assert.deepEqual(as(ours), as(procmail), `${rcfile}\n--- mail:\n${mail.slice(0, 400)}`);
}

/** Copies of a mail (blocks with c) run beside one another in procmail: whose lines come first is chance. */
function inAnyOrder({ exitCode, files }: Left): Left {
  const sorted = Object.entries(files).map(([name, text]) => [
    name,
    text
      .split(/\n|(?<=^\d{3}) /)
      .sort()
      .join('\n'),
  ]);
  return { exitCode, files: Object.fromEntries(sorted) };
}

describe('procmail 3.22', { concurrency: beside }, () => {
  for (const rcfile of cases) {
    test(`rcfile: ${rcfile.trim().replaceAll('\n', ' / ')}`, (t) => assertSame(t, rcfile, caseMail));
  }
  for (const [name, mail] of Object.entries(oddMails)) {
    for (const [index, rcfile] of oddRcfiles.entries()) {
      test(`a mail with ${name}, rcfile ${index}`, (t) => assertSame(t, rcfile, mail));
    }
  }
  for (const [name, rcfile] of Object.entries(brokenRcfiles)) {
    test(`broken: ${name}`, (t) => assertSame(t, rcfile, caseMail));
  }
  for (const [name, { rcfile, mail = caseMail, ours: wanted }] of Object.entries(knownDifferences)) {
    test(`another result than procmail's: ${name}`, async (t) => {
      const program = requireProgram(t, 'procmail');
      if (!program) return;
      // What procmail does here depends on who is faster, it or the program that it could not start.
      const { ours } = await runBoth(program, rcfile, mail);
      assert.equal(ours.files[wanted.file]?.includes(wanted.text), true, JSON.stringify(ours, undefined, 1));
    });
  }
});

describe('examples of procmail 3.22', { concurrency: beside }, () => {
  for (const name of ['1procmailrc', '2procmailrc', '3procmailrc']) {
    for (const mail of exampleMails) {
      test(`${name}: ${mail.replaceAll('\n', ' / ')}`, async (t) => {
        const path = requireSuite(t, `procmail/examples/${name}`);
        if (!path) return;
        // HOME is the folder that the run has to itself.
        await assertSame(t, readFileSync(path, 'latin1').replaceAll('$HOME', '@box@'), mail);
      });
    }
  }
});

/** Between .Sx and .Ex of the manual page, in Debian's package. */
function manualExamples(): string[] {
  if (!existsSync(manual)) return [];
  const page = gunzipSync(readFileSync(manual)).toString('latin1');
  const blocks = [...page.matchAll(/^\.Sx.*\n([\s\S]*?)^\.Ex/gm)].map(([, block]) => block!);
  // Our standard output is this test's.
  const quiet = blocks.filter((block) => !block.startsWith('DEFAULT=|'));
  return quiet.map((block) =>
    block.replaceAll('\\e', '\\').replaceAll('\\-', '-').replaceAll('$HOME', '@box@'),
  );
}

describe('examples of procmailex(5)', { concurrency: beside }, () => {
  const examples = manualExamples();
  test('are found', (t) => {
    if (requirePeer(t, 'the manual page procmailex(5)', existsSync(manual))) assert.ok(examples.length > 20);
  });
  for (const [index, rcfile] of examples.entries()) {
    for (const [at, mail] of manualMails.entries()) {
      test(`${index}, mail ${at}: ${rcfile.slice(0, 60).replaceAll('\n', ' / ')}`, (t) =>
        assertSame(t, rcfile, mail));
    }
  }
});

const campaign = process.env.MAILFILTER_CAMPAIGN === '1';
const rounds = campaign ? 2000 : 5;

/** In CI always the same ones; a campaign looks for the next difference. */
test(`procmail 3.22: ${rounds} rounds of random rcfiles`, async (t) => {
  const random = randomSource('procmail', campaign ? undefined : 7);
  for (let n = 0; n < rounds; n += 1) {
    const round = Array.from({ length: beside }, () => [randomRcfile(random), randomMail(random)] as const);
    await Promise.all(round.map(([rcfile, mail]) => assertSame(t, rcfile, mail, inAnyOrder)));
  }
});
