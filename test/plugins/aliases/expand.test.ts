/** What addresses become by an alias table: order of entries, nesting, loops and limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEntries, expand } from '../../../plugins/aliases/expand.ts';
import { readTable } from '../../../plugins/aliases/read-table.ts';

const defaults = { subaddressSeparator: '+', keepDetail: false, expansionMax: 100, known: false };

function table(entries: Record<string, string | readonly string[]>) {
  return readTable({
    table: entries,
    domains: ['example.org', 'example.net'],
    baseDirectory: import.meta.dirname,
  });
}

const house = {
  'info@example.org': ['alice@example.org', 'bob@example.com'],
  'INFO+urgent@example.org': 'pager@example.com',
  'team@example.org': ['info@example.org', 'carol', 'alice@example.org'],
  postmaster: ['postmaster', 'alice@example.org'],
  root: 'postmaster',
  hostmaster: 'root',
  'only.net@example.net': 'dave',
  '@old.example': '@example.org',
  '@example.org': 'catchall@example.org',
  'to-catchall@example.org': 'nobody@example.org',
  '"odd name"@example.org': 'alice@example.org',
  'moved@example.org': 'alice+moved@example.org',
};

const cases: readonly [
  name: string,
  address: string,
  want: readonly string[] | undefined,
  options?: Partial<typeof defaults>,
][] = [
  ['an entry', 'info@example.org', ['alice@example.org', 'bob@example.com']],
  ['without case', 'Info@Example.ORG', ['alice@example.org', 'bob@example.com']],
  ['no entry', 'alice@example.com', undefined],
  ['a subaddress falls back', 'info+x@example.org', ['alice@example.org', 'bob@example.com']],
  ['a subaddress of its own', 'info+urgent@example.org', ['pager@example.com']],
  [
    'no fallback without a separator',
    'info+x@example.org',
    ['catchall@example.org'],
    { subaddressSeparator: '' },
  ],
  [
    'another separator',
    'info-x@example.org',
    ['alice@example.org', 'bob@example.com'],
    { subaddressSeparator: '-' },
  ],
  [
    'the detail is kept',
    'info+x@example.org',
    ['alice+x@example.org', 'bob+x@example.com'],
    { keepDetail: true },
  ],
  ['a target has a detail already', 'moved+x@example.org', ['alice+moved@example.org'], { keepDetail: true }],
  ['nested, each once', 'team@example.org', ['alice@example.org', 'bob@example.com', 'carol@example.org']],
  ['a bare name in one domain', 'root@example.net', ['postmaster@example.net', 'alice@example.org']],
  ['a bare name in another', 'hostmaster@example.org', ['postmaster@example.org', 'alice@example.org']],
  ['a bare name in a strange domain', 'root@example.com', undefined],
  ['a path without a domain', 'postmaster', ['postmaster', 'alice@example.org']],
  ['itself', 'postmaster@example.org', ['postmaster@example.org', 'alice@example.org']],
  ['a bare target', 'only.net@example.net', ['dave@example.net']],
  ['a catch-all', 'whoever@example.org', ['catchall@example.org']],
  ['a catch-all leaves mailboxes alone', 'alice@example.org', undefined, { known: true }],
  [
    'an entry counts for mailboxes too',
    'info@example.org',
    ['alice@example.org', 'bob@example.com'],
    { known: true },
  ],
  ['a catch-all does not take targets', 'to-catchall@example.org', ['nobody@example.org']],
  ['a domain alias', 'someone@old.example', ['someone@example.org']],
  ['a domain alias to an entry', 'info@old.example', ['alice@example.org', 'bob@example.com']],
  ['a domain alias keeps the detail', 'someone+x@old.example', ['someone+x@example.org']],
  ['a quoted local part', '"odd name"@example.org', ['alice@example.org']],
  ['the null recipient', '', undefined],
];
for (const [name, address, want, options] of cases) {
  test(`expand: ${name}`, () => {
    assert.deepEqual(expand(table(house), address, { ...defaults, ...options }), want);
  });
}

const failures: readonly [name: string, entries: Record<string, string | readonly string[]>, want: RegExp][] =
  [
    [
      'a loop of two',
      { 'a@example.org': 'b@example.org', 'b@example.org': 'a@example.org' },
      /alias loop: a@example.org -> b@example.org -> a@example.org/,
    ],
    ['a loop of three behind an entry', { 'a@example.org': 'b', b: 'c', c: 'd', d: 'b' }, /alias loop/],
    ['a loop through bare names', { a: 'b', b: 'a' }, /alias loop/],
    [
      'too deep',
      Object.fromEntries(Array.from({ length: 40 }, (_, at) => [at === 0 ? 'a' : `n${at}`, `n${at + 1}`])),
      /nested too deeply/,
    ],
    [
      'too many',
      { a: Array.from({ length: 101 }, (_, at) => `u${at}@example.com`) },
      /more than 100 addresses/,
    ],
    [
      'too many in all',
      Object.fromEntries(
        ['a', 'b', 'c'].map((name, at) => [
          name,
          [...Array.from({ length: 40 }, (_, n) => `${name}${n}@example.com`), ['b', 'c', 'z'][at]!],
        ]),
      ),
      /more than 100 addresses/,
    ],
  ];
for (const [name, entries, want] of failures) {
  test(`expand fails: ${name}`, () => {
    assert.throws(() => expand(table(entries), 'a@example.org', defaults), want);
  });
}

test('entries are tried at load: a sound table passes, loops and limits are found', () => {
  checkEntries(table(house), defaults);
  for (const [, entries, want] of failures) assert.throws(() => checkEntries(table(entries), defaults), want);
});

test('expand: an alias of many aliases that share their targets takes linear time', () => {
  const layers = Array.from({ length: 18 }, (_, layer) => [`l${layer}`, [`l${layer + 1}`, `m${layer + 1}`]]);
  const twins = Array.from({ length: 18 }, (_, layer) => [`m${layer}`, [`l${layer + 1}`, `m${layer + 1}`]]);
  const entries = Object.fromEntries([['a', ['l0', 'm0']], ...layers, ...twins]);
  assert.deepEqual(expand(table(entries), 'a@example.org', defaults), ['l18@example.org', 'm18@example.org']);
});
