/** aliases: what the hook makes of a recipient, and mistakes that keep it from loading. The table: aliases/. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type TestSetup, testPlugin } from 'mailfilter/testing';
import aliases from '../../plugins/aliases/index.ts';

const baseDirectory = mkdtempSync(join(tmpdir(), 'aliases-'));
after(() => rmSync(baseDirectory, { recursive: true }));
writeFileSync(join(baseDirectory, 'aliases'), 'postmaster: alice\nteam: :include:team\n');
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
  ['a program', { table: { a: '|cmd' } }, /is a program/],
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
