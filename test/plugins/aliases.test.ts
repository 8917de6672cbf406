/** aliases: what the hook makes of a recipient, and mistakes that keep it from loading. The table: aliases/. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { type TestSetup, testPlugin } from 'mailfilter/testing';
import aliases from '../../plugins/aliases/index.ts';

const baseDirectory = mkdtempSync(join(tmpdir(), 'aliases-'));
after(() => rmSync(baseDirectory, { recursive: true }));
writeFileSync(join(baseDirectory, 'aliases'), 'postmaster: alice\nteam: :include:team\n');
const stored = new DatabaseSync(join(baseDirectory, 'aliases.db'));
stored.exec(`CREATE TABLE aliases (name TEXT, target TEXT);
  INSERT INTO aliases VALUES ('staff@example.test', 'alice@example.test'), ('staff@example.test', 'bob, carol'),
    ('desk', 'staff@example.test'), ('@old.test', '@example.test'), ('bad', '/etc/passwd')`);
stored.close();
writeFileSync(join(baseDirectory, 'team'), 'alice@example.test\nbob@example.test\n');

type Options = NonNullable<TestSetup['options']>;
type Route = 'mailbox' | 'unknown-user';

function plugin(options: Options) {
  return testPlugin(aliases, { options, baseDirectory, domains: ['example.test'] });
}

const table = {
  'info@example.test': ['alice@example.test', 'bob@example.org'],
  'sales@example.test': ['sales@example.test', 'alice@example.test'],
  'boss@example.test': 'carol@example.test',
  '@example.test': 'catchall@example.test',
};
const database = { file: 'aliases.db', query: 'SELECT target FROM aliases WHERE name = ? ORDER BY rowid' };
const staff = ['alice@example.test', 'bob@example.test', 'carol@example.test'];
const patterns = [
  { match: '(.+)-bounces@(.+)', to: ['owner-$1@$2'] },
  { match: 'list-(\\w+)@example\\.test', to: ['$1', 'archive+$1@example.org'] },
  { match: '(a+)+@slow\\.test', to: ['alice@example.test'] },
];
const programs = { '/bin/ticket -q web': 'web@tickets.internal' };
const cases: readonly [
  name: string,
  recipient: string,
  want: readonly string[],
  options?: Options,
  route?: Route,
][] = [
  ['no entry', 'dave@example.org', ['dave@example.org']],
  ['one target', 'boss@example.test', ['carol@example.test']],
  ['several targets', 'info@example.test', ['alice@example.test', 'bob@example.org']],
  ['itself and another', 'sales@example.test', ['sales@example.test', 'alice@example.test']],
  ['subaddress', 'boss+x@example.test', ['carol@example.test']],
  ['subaddress kept', 'boss+x@example.test', ['carol+x@example.test'], { keepDetail: true }],
  ['other separator', 'boss-x@example.test', ['carol@example.test'], { subaddressSeparator: '-' }],
  ['catch-all', 'whoever@example.test', ['catchall@example.test']],
  ['a mailbox is not caught', 'dave@example.test', ['dave@example.test'], {}, 'mailbox'],
  ['file', 'Postmaster@example.test', ['alice@example.test'], { file: 'aliases' }],
  ['database: rows and lists in them', 'Staff@example.test', staff, { database }],
  ['database: a name in a domain of ours', 'desk@example.test', staff, { database }],
  ['database: a name elsewhere', 'desk@example.org', ['desk@example.org'], { database }],
  ['database: a domain alias, then an alias', 'boss@old.test', ['carol@example.test'], { database }],
  ['database: the table comes first', 'boss@example.test', ['carol@example.test'], { database }],
  ['pattern', 'news-bounces@example.test', ['owner-news@example.test'], { patterns }],
  [
    'pattern: several targets',
    'list-dev@example.test',
    ['dev@example.test', 'archive+dev@example.org'],
    { patterns },
  ],
  ['pattern: the whole address', 'xlist-dev@example.testx', ['xlist-dev@example.testx'], { patterns }],
  ['pattern: the table comes first', 'boss@example.test', ['carol@example.test'], { patterns }],
  [
    'pattern: a hostile one takes no time',
    `${'a'.repeat(60)}!@slow.test`,
    [`${'a'.repeat(60)}!@slow.test`],
    { patterns },
  ],
  [
    'program by name',
    'support@example.test',
    ['web@tickets.internal'],
    { programs, table: { support: '"|/bin/ticket -q web"' } },
  ],
  ['included', 'team@example.test', ['alice@example.test', 'bob@example.test'], { file: 'aliases' }],
];
for (const [name, recipient, want, options = {}, route = 'unknown-user'] of cases) {
  test(`aliases: ${name}`, async () => {
    const { targets } = await plugin({ table, ...options }).rcptTo({ recipient, route });
    assert.deepEqual(targets, want);
  });
}

test('aliases: the recipient goes, its targets come, and the result tells it', async () => {
  const { edits, answer, log } = await plugin({ table }).rcptTo({ recipient: 'info@example.test' });
  assert.deepEqual(edits, [
    { type: 'deleteRecipient', address: 'info@example.test' },
    { type: 'addRecipient', address: 'alice@example.test' },
    { type: 'addRecipient', address: 'bob@example.org' },
  ]);
  assert.deepEqual(answer.result, { 'info@example.test': ['alice@example.test', 'bob@example.org'] });
  assert.deepEqual(log.at(-1), { event: 'expanded', facts: { recipient: 'info@example.test', targets: 2 } });
});

test('aliases: an alias that names itself keeps its recipient', async () => {
  const { edits } = await plugin({ table }).rcptTo({ recipient: 'Sales@example.test' });
  assert.deepEqual(edits, [{ type: 'addRecipient', address: 'alice@example.test' }]);
});

test('aliases: the result of a large list is cut', async () => {
  const all = Array.from({ length: 50 }, (_, at) => `u${at}@example.org`);
  const { targets, answer } = await plugin({ table: { all } }).rcptTo({ recipient: 'all@example.test' });
  assert.equal(targets.length, 50);
  assert.equal((answer.result as Record<string, unknown[]>)['all@example.test']?.length, 20);
});

test('aliases: without table and file every recipient stays', async () => {
  assert.deepEqual((await plugin({}).rcptTo({ recipient: 'a@example.test' })).targets, ['a@example.test']);
});

test('aliases: what a database may not say is a failure, by mail', async () => {
  await assert.rejects(
    async () => plugin({ database }).rcptTo({ recipient: 'bad@example.test' }),
    /is a file/,
  );
});

test('aliases: what is changed in a database holds at once, and dispose lets go of it', async () => {
  const file = 'changing.db';
  const writer = new DatabaseSync(join(baseDirectory, file));
  writer.exec('CREATE TABLE aliases (name TEXT, target TEXT)');
  const asked = plugin({ database: { ...database, file } });
  const targets = async () => (await asked.rcptTo({ recipient: 'new@example.test' })).targets;
  assert.deepEqual(await targets(), ['new@example.test']);
  writer.exec("INSERT INTO aliases VALUES ('new', 'alice')");
  assert.deepEqual(await targets(), ['alice@example.test']);
  writer.close();
  await asked.dispose();
});

test('aliases: a loop that only mail shows is a failure', async () => {
  const loop = plugin({
    table: {
      '@example.test': '@other.example',
      'a@other.example': 'a@example.test',
      'a@example.test': 'a@other.example',
    },
  });
  await assert.rejects(loop.rcptTo({ recipient: 'a@example.test' }), /alias loop/);
});

const mistakes: readonly [name: string, options: Options, want: RegExp][] = [
  ['a loop', { table: { a: 'b', b: 'a' } }, /alias loop: a@example.test -> b@example.test -> a@example.test/],
  ['more than expansionMax', { table: { a: ['b', 'c', 'd'] }, expansionMax: 2 }, /more than 2 addresses/],
  ['a program', { table: { a: '|cmd' } }, /is a program; name it in "programs"/],
  ['a program that is not named so', { programs, table: { a: '|/bin/ticket' } }, /is a program/],
  ['a program without an address', { programs: { x: 'web' } }, /"web" is no address/],
  ['a pattern of wrong syntax', { patterns: [{ match: '(', to: ['a'] }] }, /\(/],
  ['no such database', { database: { ...database, file: 'none.db' } }, /none\.db: unable to open/],
  [
    'a wrong query',
    { database: { ...database, query: 'SELECT x FROM nowhere WHERE y = ?' } },
    /no such table/,
  ],
  [
    'a query without a name',
    { database: { ...database, query: 'SELECT target FROM aliases' } },
    /aliases\.db/,
  ],
  ['a file', { table: { a: '/tmp/x' } }, /is a file/],
  ['an include from outside', { table: { a: ':include:/etc/passwd' } }, /outside the config's directory/],
  ['no such file', { file: 'none' }, /ENOENT/],
  ['no targets', { table: { a: [] } }, /table\/a/],
  ['a target that is no text', { table: { a: [1] } }, /table\/a/],
  ['an unknown option', { tabel: {} }, /unknown option "tabel"/],
  ['a separator of two', { subaddressSeparator: '--' }, /subaddressSeparator/],
];
for (const [name, options, want] of mistakes) {
  test(`aliases does not load: ${name}`, async () => {
    await assert.rejects(async () => plugin(options).rcptTo({ recipient: 'x@example.test' }), want);
  });
}
