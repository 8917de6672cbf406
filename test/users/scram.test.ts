/** SCRAM keys in the users file: made with the password, offered when all have them, and the same for nobody each time. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { addUser, openUsers, setPassword } from '../../src/users/file.ts';
import { makeScramKeys, parseScramKeys } from '../../src/users/scram.ts';
import { memoryLog } from '../kit/door.ts';

async function usersFile(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-scram-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'users.json');
  await addUser(file, 'ann@example.test', 'first');
  const users = await openUsers({ file, separator: '+', log: memoryLog().log });
  t.after(() => users.close());
  return { file, users };
}

test('what is made can be read again, with both hashes', async () => {
  const made = await makeScramKeys('secret');
  assert.deepEqual(
    made.map((text) => parseScramKeys(text)?.hash),
    ['SHA-256', 'SHA-1'],
  );
});

for (const text of ['', 'SCRAM-SHA-256$1:YWJjZGVmZ2g=$YQ==:YQ==', 'SCRAM-MD5$4096:YWJjZGVmZ2g=$YQ==:YQ==']) {
  test(`no keys: ${JSON.stringify(text)}`, () => assert.equal(parseScramKeys(text), undefined));
}

test('a new password has new keys, and the old ones are not confirmed any more', async (t) => {
  const { file, users } = await usersFile(t);
  const old = users.scram!.candidate('Ann@example.test', 'SHA-256');
  assert.equal(old.confirm()?.address, 'ann@example.test');
  await setPassword(file, 'ann@example.test', 'second');
  await users.reload();
  assert.equal(old.confirm(), undefined);
  assert.notDeepEqual(users.scram!.candidate('ann@example.test', 'SHA-256').keys, old.keys);
});

test('SCRAM is offered only when everybody who can log in can use it', async (t) => {
  const { file, users } = await usersFile(t);
  assert.deepEqual(users.scram!.hashes(), ['SHA-256', 'SHA-1']);
  const written = JSON.parse(readFileSync(file, 'utf8'));
  written.users['bob@example.test'] = { password: written.users['ann@example.test'].password };
  writeFileSync(file, JSON.stringify(written));
  await users.reload();
  assert.deepEqual(users.scram!.hashes(), []);
  written.users['bob@example.test'].password = '';
  writeFileSync(file, JSON.stringify(written));
  await users.reload();
  assert.deepEqual(users.scram!.hashes(), ['SHA-256', 'SHA-1']);
});

test('who is nobody has a salt that stays, and is never confirmed', async (t) => {
  const { users } = await usersFile(t);
  const [one, two] = ['no@example.test', 'NO@example.test'].map((name) =>
    users.scram!.candidate(name, 'SHA-256'),
  );
  assert.deepEqual(one!.keys, two!.keys);
  assert.equal(one!.confirm(), undefined);
});

test('keys that cannot be read are a fault of the file', async (t) => {
  const { file, users } = await usersFile(t);
  const written = JSON.parse(readFileSync(file, 'utf8'));
  written.users['ann@example.test'].scram = ['rubbish'];
  writeFileSync(file, JSON.stringify(written));
  await assert.rejects(users.reload(), { code: 'users-file-invalid' });
});
