/** `mailfilter user`: what it changes is what the server reads. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { verifyPassword } from '../../src/users/password.ts';
import { type CommandOptions, runCommand } from '../kit/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-user-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const config = join(folder, 'mailfilter.json');
const users = join(folder, 'users.json');
writeFileSync(
  config,
  JSON.stringify({
    hostname: 'mx.example.org',
    dataDirectory: 'data',
    domains: ['example.org'],
    users: { file: 'users.json' },
  }),
);

const user = (args: readonly string[], options: CommandOptions = {}) =>
  runCommand(['user', ...args], { env: { MAILFILTER_CONFIG: config }, ...options });
const hashOf = (address: string): string => JSON.parse(readFileSync(users, 'utf8')).users[address].password;

test('refuses what is no address before it asks for a password, and warns of a domain that is not served', async () => {
  const nothing = await user(['add', 'zoe']);
  assert.equal(nothing.code, 64);
  assert.match(nothing.stderr, /"zoe" is no address/);
  const stranger = await user(['add', 'zoe@elsewhere.example', '--generate']);
  assert.match(stranger.stderr, /elsewhere\.example is not in "domains"/);
  const again = await user(['add', 'zoe@elsewhere.example', '--generate']);
  assert.deepEqual(
    [again.code, again.stdout],
    [73, ''],
    'no password is printed for a user who was not added',
  );
  assert.equal((await user(['remove', 'zoe@elsewhere.example'])).code, 0);
});

test('add with a password from standard input, list, change, remove', async () => {
  const added = await user(['add', 'Alice@Example.org', '--password-stdin'], {
    input: 'open sesame\nmore\n',
  });
  assert.equal(added.code, 0, added.stderr);
  assert.equal(statSync(users).mode & 0o777, 0o600);
  assert.ok(!readFileSync(users, 'utf8').includes('sesame'));
  assert.ok(await verifyPassword('open sesame', hashOf('alice@example.org')));

  const generated = await user(['add', 'bob@example.org', '--generate', '--alias', 'postmaster@example.org']);
  assert.match(generated.stdout, /^[\w-]{16}\n$/);
  assert.ok(await verifyPassword(generated.stdout.trim(), hashOf('bob@example.org')));

  const table = await user(['list']);
  assert.match(table.stdout, /^address .*\nalice@example\.org.*\nbob@example\.org/);
  assert.match(table.stdout, /\nbob@example\.org +postmaster@example\.org\n/);
  const json = await user(['list', '--json']);
  assert.deepEqual(
    JSON.parse(json.stdout).map(({ address }: { address: string }) => address),
    ['alice@example.org', 'bob@example.org'],
  );
  assert.ok(!json.stdout.includes('argon2'), 'a list shows no hashes');

  const changed = await user(['password', 'bob@example.org', '--password-stdin'], { input: 'another' });
  assert.equal(changed.code, 0, changed.stderr);
  assert.ok(await verifyPassword('another', hashOf('bob@example.org')));

  assert.equal((await user(['remove', 'bob@example.org'])).code, 0);
  assert.ok(!readFileSync(users, 'utf8').includes('bob@'));
});

const refusals: readonly { name: string; args: string[]; input?: string; want: RegExp }[] = [
  {
    name: 'a user that exists',
    args: ['add', 'alice@example.org', '--password-stdin'],
    input: 'x\n',
    want: /exists already/,
  },
  {
    name: 'a user that does not exist',
    args: ['password', 'nobody@example.org', '--generate'],
    want: /is no user/,
  },
  {
    name: 'no password',
    args: ['add', 'new@example.org', '--password-stdin'],
    input: '\n',
    want: /password needs/,
  },
  { name: 'nobody to ask', args: ['add', 'new@example.org'], want: /--password-stdin, or let one be made/ },
];
for (const { name, args, input, want } of refusals) {
  test(`refuses ${name}`, async () => {
    const before = readFileSync(users, 'utf8');
    const { code, stderr } = await user(args, { input });
    assert.notEqual(code, 0);
    assert.match(stderr, want);
    assert.equal(readFileSync(users, 'utf8'), before);
  });
}

test('a config without users says which key to add', async () => {
  const other = join(folder, 'other.json');
  writeFileSync(other, JSON.stringify({ hostname: 'mx.example.org', dataDirectory: 'data' }));
  const { code, stderr } = await user(['list', '-c', other]);
  assert.equal(code, 78);
  assert.match(stderr, /no section "users"/);
});

test('no config at all says where it was looked for', async (t) => {
  if (existsSync('/etc/mailfilter/mailfilter.json')) return t.skip('this machine has a config of its own');
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const { code, stderr } = await runCommand(['user', 'list'], { cwd: empty });
  assert.equal(code, 78);
  assert.match(stderr, /\/etc\/mailfilter\/mailfilter\.json/);
});
