/** Alias tables from options and files: what is understood, and what is refused with its place. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseAliasLines, splitTargets } from '../../../plugins/aliases/parse-aliases.ts';
import { readTable } from '../../../plugins/aliases/read-table.ts';

const root = mkdtempSync(join(tmpdir(), 'aliases-'));
after(() => rmSync(root, { recursive: true }));
const baseDirectory = join(root, 'config');
mkdirSync(join(baseDirectory, 'lists'), { recursive: true });

function write(name: string, text: string): string {
  writeFileSync(join(baseDirectory, name), text);
  return name;
}
function read(table: Record<string, unknown>, file?: string) {
  return readTable({ table, file, domains: ['Example.org'], baseDirectory });
}

test('a file: comments, continued lines, quotes, both kinds of names', () => {
  const file = write(
    'aliases',
    [
      '# aliases of the house',
      'postmaster: root',
      '',
      'root:   alice, bob@example.com',
      '  , carol,   ',
      '\t# a comment among them',
      '\tdave',
      '"odd name": alice',
      'info@example.org: "first, last"@example.com, \\erin',
      '@old.example: @example.org\r',
    ].join('\n'),
  );
  const { entries, domains } = read({}, file);
  assert.deepEqual(Object.fromEntries(entries), {
    postmaster: ['root'],
    root: ['alice', 'bob@example.com', 'carol', 'dave'],
    'odd name': ['alice'],
    'info@example.org': ['"first, last"@example.com', 'erin'],
    '@old.example': ['@example.org'],
  });
  assert.deepEqual([...domains], ['example.org']);
});

test('splitTargets parts at commas outside quotes', () => {
  assert.deepEqual(splitTargets(' a, "b,c"@d , , "e\\",f" '), ['a', '"b,c"@d', '"e\\",f"']);
  assert.deepEqual(splitTargets(''), []);
});

test('lines: numbers name where an entry begins', () => {
  assert.deepEqual(parseAliasLines('\n#\na: b,\n c\nd: e', 'f'), [
    { key: 'a', targets: ['b', 'c'], line: 3 },
    { key: 'd', targets: ['e'], line: 5 },
  ]);
});

test('included files lie within the config directory', () => {
  write('lists/team', '# team\nalice@example.org\n\nbob@example.com, carol # and more\n');
  assert.deepEqual(read({ team: ':include:lists/team' }).entries.get('team'), [
    'alice@example.org',
    'bob@example.com',
    'carol',
  ]);
  const file = write('with-include', 'team: :include:lists/team, dave\n');
  assert.equal(read({}, file).entries.get('team')?.length, 4);
});

writeFileSync(join(root, 'secret'), 'mallory@example.com\n');
symlinkSync(join(root, 'secret'), join(baseDirectory, 'lists', 'link'));
write('lists/empty', '# nobody\n');
write('lists/nested', ':include:lists/team\n');
write('bad-line', 'a: b\nc d\n');
write('bad-start', '  a: b\n');
write('twice', 'a: b\nA: c\n');
write('program', 'a: b\nvacation: "|/usr/bin/vacation"\n');

const mistakes: readonly [
  name: string,
  table: Record<string, unknown>,
  file: string | undefined,
  want: RegExp,
][] = [
  ['a program', { a: '|/bin/sh' }, undefined, /table: "a": "\|\/bin\/sh" is a program/],
  ['a quoted program in a file', {}, 'program', /program:2: .* is a program/],
  ['a file', { a: '/var/mail/a' }, undefined, /is a file/],
  ['a quoted file', { a: '"/var/mail/a"' }, undefined, /is a file/],
  ['an include outside', { a: ':include:../secret' }, undefined, /outside the config's directory/],
  [
    'an include outside by its full path',
    { a: ':include:/etc/passwd' },
    undefined,
    /outside the config's directory/,
  ],
  ['an include outside by a link', { a: ':include:lists/link' }, undefined, /outside the config's directory/],
  ['an include that is not there', { a: ':include:lists/none' }, undefined, /cannot include .*none/],
  ['an include of nobody', { a: ':include:lists/empty' }, undefined, /no targets/],
  [
    'an include in an include',
    { a: ':include:lists/nested' },
    undefined,
    /nested:1: ":include:lists\/team" is not known/,
  ],
  ['another directive', { a: ':fail: gone' }, undefined, /is not known/],
  ['no targets', { a: ' , ' }, undefined, /no targets/],
  ['no address', { a: 'b c@d' }, undefined, /"b c@d" is no address/],
  ['no name', { 'a b@c': 'd' }, undefined, /"a b@c" is no address, name or @domain/],
  ['no domain', { '@': 'd' }, undefined, /no address, name or @domain/],
  ['the same twice', {}, 'twice', /twice:2: "A" has an entry already/],
  ['the same in table and file', { a: 'x' }, 'twice', /twice:1: "a" has an entry already/],
  ['a line without a colon', {}, 'bad-line', /bad-line:2: expected "name: target, target"/],
  ['a line that goes on with nothing', {}, 'bad-start', /bad-start:1: begins with white space/],
  ['no such file', {}, 'missing', /ENOENT.*missing/],
];
for (const [name, table, file, want] of mistakes) {
  test(`mistake: ${name}`, () => {
    write('lists/team', 'alice@example.org\n');
    assert.throws(() => read(table, file), want);
  });
}
