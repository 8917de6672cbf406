/** users.json: what is read, found, refused, followed and written. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, silentLog } from '../../core/base/log.ts';
import { addUser, listUsers, openUsers, removeUser, setPassword } from '../../src/users/file.ts';
import { hashPassword } from '../../src/users/password.ts';

const folder = mkdtempSync(join(tmpdir(), 'users-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const aliceHash = await hashPassword('alice-secret');

function write(users: unknown, file = join(folder, `users-${++files}.json`)): string {
  writeFileSync(`${file}.new`, typeof users === 'string' ? users : JSON.stringify(users));
  renameSync(`${file}.new`, file);
  return file;
}
const file1 = () =>
  write({
    version: 1,
    users: {
      'Alice@Example.test': {
        password: aliceHash,
        aliases: ['info@example.test', 'a@bücher.test'],
        quotaBytes: 5,
      },
      'bob@example.test': { password: '' },
      'bob-team@example.test': { password: '', forward: ['x@remote.test'] },
      'carol@example.test': { password: aliceHash, disabled: true },
    },
  });
const open = (file: string, separator = '+') => openUsers({ file, separator, log: silentLog });

const found: {
  name: string;
  address: string;
  separator?: string;
  want: string | undefined;
  detail?: string;
}[] = [
  { name: 'by address', address: 'alice@example.test', want: 'alice@example.test' },
  { name: 'case does not count', address: 'ALICE@EXAMPLE.TEST', want: 'alice@example.test' },
  { name: 'quotes do not count', address: '"alice"@example.test', want: 'alice@example.test' },
  { name: 'by alias', address: 'Info@example.test', want: 'alice@example.test' },
  {
    name: 'by alias in an IDN domain, A-labels',
    address: 'a@xn--bcher-kva.test',
    want: 'alice@example.test',
  },
  { name: 'by alias in an IDN domain, U-labels', address: 'a@BÜCHER.test', want: 'alice@example.test' },
  {
    name: 'by subaddress, the detail keeps its case',
    address: 'Alice+Lists@Example.test',
    want: 'alice@example.test',
    detail: 'Lists',
  },
  {
    name: 'the longest user wins',
    address: 'alice+a+b@example.test',
    want: 'alice@example.test',
    detail: 'a+b',
  },
  { name: 'an empty detail', address: 'alice+@example.test', want: 'alice@example.test', detail: '' },
  { name: 'subaddress of an alias', address: 'info+x@example.test', want: 'alice@example.test', detail: 'x' },
  {
    name: 'another separator',
    address: 'bob-x-y@example.test',
    separator: '-',
    want: 'bob@example.test',
    detail: 'x-y',
  },
  {
    name: 'a name that holds the separator',
    address: 'bob-team-x@example.test',
    separator: '-',
    want: 'bob-team@example.test',
    detail: 'x',
  },
  { name: 'no separator', address: 'alice+x@example.test', separator: '', want: undefined },
  { name: 'a stranger', address: 'dave@example.test', want: undefined },
  { name: 'another domain', address: 'alice@other.test', want: undefined },
  { name: 'nothing before the separator', address: '+x@example.test', want: undefined },
  { name: 'no domain', address: 'alice', want: undefined },
  { name: 'nothing', address: '', want: undefined },
  { name: 'a disabled user still has a mailbox', address: 'carol@example.test', want: 'carol@example.test' },
];
for (const { name, address, separator, want, detail = '' } of found) {
  test(`find: ${name}`, async () => {
    const users = await open(file1(), separator);
    const answer = users.find(address);
    users.close();
    assert.equal(answer?.user.address, want);
    if (want !== undefined) assert.equal(answer?.detail, detail);
  });
}

test('owns: address, aliases and their subaddresses, nobody else', async () => {
  const users = await open(file1());
  const alice = users.find('alice@example.test')!.user;
  const carol = users.find('carol@example.test')!.user;
  for (const own of [
    'ALICE@example.test',
    'info@example.test',
    'alice+x@example.test',
    'info+y@example.test',
  ]) {
    assert.equal(users.owns(alice, own), true, own);
  }
  for (const other of ['bob@example.test', '', 'alice@other.test'])
    assert.equal(users.owns(alice, other), false, other);
  assert.equal(users.owns(carol, 'carol@example.test'), false, 'disabled');
  users.close();
});

test('authenticate: right, wrong, unknown, disabled, without password', async () => {
  const users = await open(file1());
  const ask = async (address: string, password: string) =>
    (await users.authenticate(address, password))?.address;
  assert.equal(await ask('Alice@example.test', 'alice-secret'), 'alice@example.test');
  assert.equal(await ask('info@example.test', 'alice-secret'), 'alice@example.test');
  assert.equal(await ask('alice@example.test', 'wrong'), undefined);
  assert.equal(await ask('alice@example.test', aliceHash), undefined);
  assert.equal(await ask('alice+x@example.test', 'alice-secret'), undefined);
  assert.equal(await ask('nobody@example.test', 'alice-secret'), undefined);
  assert.equal(await ask('carol@example.test', 'alice-secret'), undefined);
  assert.equal(await ask('bob@example.test', ''), undefined);
  assert.equal(await ask('bob@example.test', 'alice-secret'), undefined);
  users.close();
});

test('a stranger costs what a user costs, and a right password is remembered until the hash changes', async () => {
  const file = file1();
  const users = await open(file);
  const time = async (address: string, password: string) => {
    const start = performance.now();
    await users.authenticate(address, password);
    return performance.now() - start;
  };
  const wrong = Math.min(await time('alice@example.test', 'no'), await time('alice@example.test', 'no'));
  const nobody = Math.min(await time('nobody@example.test', 'no'), await time('nobody@example.test', 'no'));
  assert.ok(nobody > wrong / 5 && wrong > nobody / 5, `wrong ${wrong} ms, nobody ${nobody} ms`);
  await time('alice@example.test', 'alice-secret');
  const again = await time('alice@example.test', 'alice-secret');
  assert.ok(again < wrong / 5, `remembered: ${again} ms, hashed: ${wrong} ms`);
  await setPassword(file, 'alice@example.test', 'changed');
  await users.reload();
  assert.equal(await users.authenticate('alice@example.test', 'alice-secret'), undefined);
  assert.equal((await users.authenticate('alice@example.test', 'changed'))?.address, 'alice@example.test');
  users.close();
});

test('a flood of logins from one client is turned away alone', async () => {
  const users = await open(file1());
  const flood = Promise.allSettled(
    Array.from({ length: 40 }, () => users.authenticate('x@y.test', '', '192.0.2.1')),
  );
  const other = users.authenticate('alice@example.test', 'alice-secret', '192.0.2.2');
  const turnedAway = (await flood).filter((answer) => answer.status === 'rejected');
  // Two are worked out and twenty wait.
  assert.equal(turnedAway.length, 18);
  for (const { reason } of turnedAway) assert.equal(reason.code, 'password-checks-busy');
  assert.equal((await other)?.address, 'alice@example.test');
  users.close();
});

test('a flood of logins waits in a bounded line, and is then a temporary failure', async () => {
  const users = await open(file1());
  const answers = await Promise.allSettled(
    Array.from({ length: 230 }, (_, index) =>
      users.authenticate(index < 205 ? 'carol@example.test' : 'x@y.test', ''),
    ),
  );
  const busy = answers.filter((answer) => answer.status === 'rejected');
  assert.equal(busy.length, 28);
  for (const { reason } of busy)
    assert.deepEqual([reason.code, reason.temporary], ['password-checks-busy', true]);
  users.close();
});

const broken: { name: string; text: unknown; says: RegExp }[] = [
  { name: 'no JSON', text: '{', says: /is not JSON/ },
  { name: 'another version', text: { version: 2, users: {} }, says: /\/version: must be 1/ },
  { name: 'no users', text: { version: 1 }, says: /required property 'users'/ },
  {
    name: 'unknown key',
    text: { version: 1, users: { 'a@b.test': { password: '', alias: [] } } },
    says: /\/users\/a@b.test: unknown key "alias"/,
  },
  {
    name: 'a plain password',
    text: { version: 1, users: { 'a@b.test': { password: 'x' } } },
    says: /\/users\/a@b.test\/password: is no hash/,
  },
  {
    name: 'no address',
    text: { version: 1, users: { alice: { password: '' } } },
    says: /\/users\/alice: the key is no address/,
  },
  {
    name: 'an alias that is no address',
    text: { version: 1, users: { 'a@b.test': { password: '', aliases: ['x@'] } } },
    says: /aliases\/0: "x@" is no address/,
  },
  {
    name: 'a quota below 0',
    text: { version: 1, users: { 'a@b.test': { password: '', quotaBytes: -1 } } },
    says: /quotaBytes: must be >= 0/,
  },
  {
    name: 'one alias of two users',
    text: {
      version: 1,
      users: {
        'a@b.test': { password: '', aliases: ['i@b.test'] },
        'c@b.test': { password: '', aliases: ['I@B.test'] },
      },
    },
    says: /"i@b.test" belongs to both "a@b.test" and "c@b.test"/,
  },
  {
    name: 'one address in two spellings',
    text: { version: 1, users: { 'a@b.test': { password: '' }, 'A@B.test': { password: '' } } },
    says: /"a@b.test" belongs to both "a@b.test" and "A@B.test"/,
  },
];
for (const { name, text, says } of broken) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(open(write(text)), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'users-file-invalid');
      assert.match(error.message, says);
      return true;
    });
  });
}

test('a missing file is an error that says what to do', async () => {
  await assert.rejects(open(join(folder, 'none.json')), {
    code: 'users-file-missing',
    message: /mailfilter user add/,
  });
});

test('a change is followed; a broken one is logged and what was read before stays', async () => {
  const lines: string[] = [];
  const file = file1();
  const log = createLog({ level: 'info', write: (line) => lines.push(line) });
  const users = await openUsers({ file, separator: '+', log });
  write({ version: 1, users: { 'dave@example.test': { password: '' } } }, file);
  await until(() => users.find('dave@example.test') !== undefined);
  assert.equal(users.find('alice@example.test'), undefined);
  write('{ broken', file);
  await until(() => lines.some((line) => line.includes('users-reload-failed')));
  assert.ok(users.find('dave@example.test'));
  await assert.rejects(users.reload(), { code: 'users-file-invalid' });
  write({ version: 1, users: { 'erin@example.test': { password: '' } } }, file);
  await until(() => users.find('erin@example.test') !== undefined);
  users.close();
});

test('add, set the password, remove: written whole, readable by its owner alone, no hash told', async () => {
  const file = join(folder, 'made.json');
  await addUser(file, 'Alice@Example.test', 'one', { aliases: ['info@example.test'] });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await addUser(file, 'bob@example.test', 'two');
  await assert.rejects(addUser(file, 'ALICE@example.test', 'x'), { code: 'user-exists' });
  await assert.rejects(addUser(file, 'info@example.test', 'x'), {
    code: 'users-file-invalid',
    message: /belongs to both/,
  });
  await assert.rejects(addUser(file, 'no address', 'x'), { code: 'users-file-invalid' });
  await assert.rejects(addUser(file, 'x@example.test', ''), { code: 'password-unfit' });
  await assert.rejects(setPassword(file, 'x@example.test', 'y'), { code: 'user-unknown' });
  await assert.rejects(removeUser(file, 'x@example.test'), { code: 'user-unknown' });
  const users = await open(file);
  assert.ok(await users.authenticate('info@example.test', 'one'));
  await setPassword(file, 'alice@EXAMPLE.test', 'three');
  await removeUser(file, 'bob@example.test');
  await users.reload();
  assert.equal(await users.authenticate('alice@example.test', 'one'), undefined);
  assert.ok(await users.authenticate('alice@example.test', 'three'));
  assert.deepEqual(await listUsers(file), [
    {
      address: 'alice@example.test',
      aliases: ['info@example.test'],
      forward: [],
      quotaBytes: 0,
      disabled: false,
    },
  ]);
  assert.doesNotMatch(JSON.stringify(users.list()), /argon2/);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /three/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
  users.close();
});

test('programs that add users at the same time lose none', async () => {
  const file = join(folder, 'shared.json');
  const script = new URL('./add-users.ts', import.meta.url).pathname;
  const runs = [1, 2, 3].map(
    (number) =>
      new Promise<number | null>((resolve) =>
        fork(script, [file, String(number)], { stdio: 'inherit' }).on('exit', resolve),
      ),
  );
  assert.deepEqual(await Promise.all(runs), [0, 0, 0]);
  assert.equal((await listUsers(file)).length, 9);
});

async function until(true_: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!true_()) {
    assert.ok(Date.now() < end, 'waited five seconds');
    await sleep(20);
  }
}
