/** Rcfiles as they are read, expanded and rehearsed: lines, problems, what would be done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRcfile } from '../../../rules/procmail/check.ts';
import { expandText, expandWords } from '../../../rules/procmail/expand.ts';
import { parseRcfile } from '../../../rules/procmail/rcfile.ts';
import { rehearseProcmail } from '../../../rules/procmail/rehearse.ts';

test('recipes and assignments with their lines', () => {
  const { items, problems } = parseRcfile(
    'A=1\n\n# note\n:0 Hc: my.lock # why\n* ^Subject: a \\\n   b\n* ! B ?? c\n| cat >> x\n:0\n{\n  B\n}\n',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(items, [
    { kind: 'assignment', line: 1, name: 'A', value: '1' },
    {
      ...{ kind: 'recipe', line: 4, endLine: 8, flags: new Set('Hc'), lock: { name: 'my.lock' } },
      conditions: [
        { line: 5, text: '^Subject: a b' },
        { line: 7, text: '! B ?? c' },
      ],
      action: { kind: 'pipe', line: 8, text: 'cat >> x' },
    },
    {
      ...{ kind: 'recipe', line: 9, endLine: 12, flags: new Set(), lock: undefined, conditions: [] },
      action: { kind: 'block', items: [{ kind: 'assignment', line: 11, name: 'B', value: undefined }] },
    },
  ]);
});

const problems: readonly (readonly [rcfile: string, line: number, said: RegExp])[] = [
  [':0\n{\n:0:\nx\n', 5, /Missing closing brace/],
  ['}\n', 1, /Closing brace unexpected/],
  ['A=1\n:0\n* x\n', 4, /Incomplete recipe/],
  ['A=1\n%%%\n', 2, /Skipped "%%%"/],
  ['A="x\n', 1, /never closed/],
  [':0:\n* (a\nx\n', 2, /"\(" is never closed/],
  [':0\nx\n', 1, /nothing locks it/],
  [':0:\nmd/\n', 1, /needs no lock/],
];
for (const [rcfile, line, said] of problems) {
  test(`a problem: ${rcfile.trim().replaceAll('\n', ' / ')}`, () => {
    const found = checkRcfile(rcfile).problems.find(({ message }) => said.test(message));
    assert.equal(found?.line, line, JSON.stringify(checkRcfile(rcfile).problems));
  });
}

test('what needs a program', () => {
  const { programs } = checkRcfile(
    'A=`date`\n:0 fw\n* ? test -f x\n| spamc\n:0 c\n! ann@example.org\n:0\nV=|wc\n',
  );
  assert.deepEqual(
    programs.map(({ line, kind }) => `${line} ${kind}`),
    ['1 backquotes', '3 condition', '4 filter', '6 forward', '8 capture'],
  );
});

const variables: Readonly<Record<string, string>> = { A: 'a b', E: '', S: 'x.y' };
const scope = { get: (name: string) => variables[name], positional: ['one', 'two three'] };

const texts: readonly (readonly [raw: string, want: string])[] = [
  ['$A', 'a b'],
  ["'$A'", '$A'],
  ['"\\$A \\a"', '$A \\a'],
  [`\${N:-none}\${E-set}\${E:-empty}`, 'noneempty'],
  [`\${A:+has}\${N+has}`, 'has'],
  ['$\\S', '()x\\.y'],
  ['x`ask`y', 'x<ask>y'],
];
for (const [raw, want] of texts) {
  test(`expands ${raw}`, () => {
    const expansion = expandText(raw, scope);
    let step = expansion.next();
    while (!step.done) step = expansion.next(`<${step.value}>`);
    assert.equal(step.value, want);
  });
}

test('words are parted outside of quotes', () => {
  const words = (raw: string) => expandWords(raw, scope).next().value;
  assert.deepEqual(words('x $A "$A"'), ['x', 'a', 'b', 'a b']);
  assert.deepEqual(words('"$@" y'), ['one', 'two three', 'y']);
});

test('a rehearsal does nothing and tells all', () => {
  const mail = 'From a@b Sat Nov 21 09:00:00 2026\nSubject: foo oo\n\nbody\n';
  const rehearsal = rehearseProcmail(
    {
      octets: Buffer.from(mail),
      rcfiles: ['rc'],
      variables: { DEFAULT: 'inbox', ORGMAIL: 'inbox', LOCKEXT: '.lock', SHELLMETAS: '|' },
      ...{ positional: [], host: 'mx', processId: 1 },
    },
    (path) => (path === 'rc' ? ':0 c\n* 3^1 foo\n* -2^0\nx\n:0 c\n! bob@example.org\n' : undefined),
  );
  assert.deepEqual(
    rehearsal.recipes.map(({ line, matched, score }) => ({ line, matched, score })),
    [
      { line: 1, matched: true, score: 1 },
      { line: 5, matched: true, score: 0 },
    ],
  );
  assert.deepEqual(rehearsal.deeds, [
    { line: 4, kind: 'store', text: 'x', folders: ['x'], directory: '/' },
    { line: 6, kind: 'forward', text: 'bob@example.org' },
    { line: 0, kind: 'store', text: 'inbox', folders: ['inbox'], directory: '/' },
  ]);
});
