/** Recipes as Sieve: what is converted, what stays a comment and why, and that our compiler and sievec take it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ConvertOptions, convertRcfile } from '../../../../rules/procmail/convert/convert.ts';
import { Verification } from '../../../../rules/procmail/convert/verify.ts';
import { compileSieve } from '../../../../rules/sieve/index.ts';
import { requireProgram, requireSuite } from '../../../kit/require.ts';

const files: Readonly<Record<string, string>> = {
  '/home/joe/Mail/lists.rc': ':0\n* ^List-Id:.*exmh\nexmh/\n',
  '/home/joe/Mail/itself.rc': 'INCLUDERC=itself.rc\n',
};
const options: ConvertOptions = {
  name: 'rc',
  variables: {
    ...{ HOME: '/home/joe', LOGNAME: 'joe', SHELL: '/bin/sh', SHELLMETAS: '&|<>~;?*[', LOCKEXT: '.lock' },
    ...{ MAILDIR: '/home/joe', DEFAULT: '/var/mail/joe', ORGMAIL: '/var/mail/joe' },
  },
  read: (path) => files[path],
};
const settings = 'MAILDIR=$HOME/Mail\nDEFAULT=$MAILDIR/inbox\n';

function convert(rcfile: string) {
  const conversion = convertRcfile(settings + rcfile, options);
  const { errors } = compileSieve(conversion.script);
  assert.deepEqual(errors, [], conversion.script);
  return conversion;
}

/** Without the head and the line ends. */
function body(script: string): string {
  return script
    .replace(/^#.*\n(?:require .*\n)?\n?/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** `== name`, the rcfile, `--`, the script in one line. */
function casesOf(text: string): [name: string, rcfile: string, sieve: string][] {
  return text
    .split(/^== /m)
    .slice(1)
    .map((entry) => {
      const [head, sieve = ''] = entry.split('\n--\n');
      const [name = '', ...rcfile] = head!.split('\n');
      return [name, rcfile.join('\n'), sieve.trim()];
    });
}

describe('converted', () => {
  for (const [name, rcfile, sieve] of casesOf(
    readFileSync(new URL('converted.txt', import.meta.url), 'latin1'),
  )) {
    test(name, () => {
      const { script, recipes } = convert(rcfile);
      assert.equal(body(script), sieve);
      assert.deepEqual(
        recipes.filter(({ converted }) => !converted),
        [],
      );
    });
  }

  test('the separator of folder names', () => {
    const { script } = convertRcfile(`${settings}:0\na/b/`, { ...options, separator: '.' });
    assert.equal(body(script), 'fileinto :create "a.b"; stop;');
  });
});

describe('kept as a comment', () => {
  const cases: readonly (readonly [rcfile: string, reason: RegExp])[] = [
    [':0\n* money\na', /whole header/],
    [':0\n* ^X-.*: y\na', /names of the fields are not plain/],
    [':0\n* ^Subject:x\na', /without white space before it/],
    [':0\n* ^Subject:.*=\\?big5\na', /encoded word/],
    [':0\n* ^From .*2003\na', /a/],
    [':0\n* ^From .* Sat\na', /the date in the From_ line/],
    [':0\n* ^Subject:.*a$.*b\na', /over the end of a line/],
    [':0\n* ^Subject:.*(a\na', /never closed/],
    [':0\n* ^Subject:.*[\xe0-\xff]\na', /above 127/],
    [':0\n* ^Subject:.*\xe9\na', /not UTF-8/],
    [':0\n* ? test -f x\na', /needs a program: test -f x/],
    [':0 fw\n| spamc', /spamassassin/],
    [':0\n| vacation joe', /RFC 5230/],
    [':0 h\na', /header alone/],
    [':0\n$FOLDER', /FOLDER is set nowhere/],
    ['F=`date +%Y`\n:0\n$F', /F is set in line 3, and it needs the output of a program: date \+%Y/],
    [':0\n/var/spool/x', /outside of the mail folder/],
    [':0\nINBOX', /inbox itself/],
    [':0\n../x', /outside/],
    [':0\na b', /may be files/],
    [':0\n! joe', /no address with a domain/],
    [':0\n! a@b.c -t', /no address/],
    [':0\n* 1^1 ^X:.*y\n* -2^0\na', /how often/],
    [':0\n* 1^1 > 500\na', /size of the mail/],
    [':0\n* ^X:.*a+\\/b\na', /no fixed length/],
    [':0\n* ^(To|Cc):.*\\/b\na', /several fields/],
    [':0\n* ^X:.*(\\/b)+\na', /within a group/],
    [':0\n* ^X:\\/.*\na', /white space before the value/],
    [':0\n$MATCH', /another recipe/],
    [':0 A\na', /directly before it/],
    [':0\n* ^X:.*y\na\n:0 A\nb', /delivery of line 3 failed/],
    [':0 c\n* ^X:.*y\na\n:0 e\nb', /action failed/],
    [':0 c\n* ^X:.*y\na\nY=1\n:0 A\nb', /directly before/],
    [':0 c\n* ^X:.*y\n{\n:0\n* ^X:.*z\na\n}', /goes its own way/],
    [':0\n* $ ^X:.*$1\na', /\$1 is an argument/],
  ];
  for (const [rcfile, reason] of cases) {
    test(rcfile.replaceAll('\n', ' / '), () => {
      const { recipes, script } = convert(rcfile);
      const kept = recipes.find(({ converted }) => !converted);
      if (reason.source === 'a') return assert.equal(kept, undefined);
      assert.match(kept?.reason ?? '', reason);
      // The recipe stands in the script, every line of it a comment.
      assert.ok(script.includes(`kept: ${kept!.reason}`));
      return undefined;
    });
  }

  test('what depends on one that is kept is kept too', () => {
    const { recipes } = convert(':0 c\n* ? true\na\n:0 A\nb\n:0\n* money\n{\n:0\nc\n}\n:0\nd');
    assert.deepEqual(
      recipes.map(({ line, converted }) => [line, converted]),
      [
        [3, false],
        [6, false],
        [8, false],
        [11, false],
        [14, true],
      ],
    );
  });

  const kept: readonly (readonly [rcfile: string, name: string])[] = [
    ['EXITCODE=67', 'EXITCODE'],
    ['TRAP=ls', 'TRAP'],
    ['INCLUDERC=missing.rc', 'INCLUDERC'],
    ['INCLUDERC=itself.rc', 'INCLUDERC'],
    ['X=`date`', 'X'],
    [':0\n* ^X:.*y\n{\nDEFAULT=other\n}', 'DEFAULT'],
  ];
  for (const [rcfile, name] of kept) {
    test(`an assignment: ${rcfile.replaceAll('\n', ' / ')}`, () => {
      assert.equal(convert(rcfile).settings.at(-1)?.name, name);
    });
  }
});

test('what is in a comment stays in it', () => {
  const { script } = convert(':0\n* ? x \\\r discard;\n| a\n');
  assert.equal(compileSieve(script).program === undefined, false);
  assert.equal(body(script).includes('discard; ') && !/^\s*discard/m.test(script), true);
});

const rcfile = readFileSync(new URL('procmailrc', import.meta.url), 'latin1');

test('a real .procmailrc does the same on real mail', async (t) => {
  const conversion = convertRcfile(rcfile, options);
  const verification = new Verification(rcfile, options, conversion);
  assert.deepEqual(
    conversion.recipes.filter(({ converted }) => !converted).map(({ line }) => line),
    [96, 122, 126],
  );
  const taken = new Set<string>();
  for (const suite of ['spam/easy-ham-1', 'spam/spam-1']) {
    const folder = requireSuite(t, suite);
    if (!folder) return;
    // Every so many, so that all of the time they were collected in is there.
    const names = readdirSync(folder)
      .sort()
      .filter((_, at) => at % 20 === 0);
    for (const name of names) {
      const [, sender = '', octets = ''] =
        /^From (\S+)[^\n]*\n(.*)$/s.exec(readFileSync(join(folder, name), 'latin1')) ?? [];
      const { same, procmail, sieve } = await verification.compare({
        octets: Buffer.from(octets, 'latin1'),
        sender,
      });
      assert.ok(same, `${name}: ${procmail.join(', ')} / ${sieve.join(', ')}`);
      for (const deed of procmail) taken.add(deed);
    }
  }
  assert.ok(taken.size > 8, [...taken].join());
});

test("Pigeonhole's compiler takes what its extensions can say", (t) => {
  const sievec = requireProgram(t, 'sievec');
  if (!sievec) return;
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-convert-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'procmailrc.sieve');
  writeFileSync(path, convertRcfile(rcfile, options).script);
  const { status, stderr } = spawnSync(sievec, [path, join(folder, 'out.svbin')], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});
