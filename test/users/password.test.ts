/** Password hashes: what is written, what other systems wrote, and what is too dear to check. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { hashPassword, isPasswordHash, verifyPassword } from '../../src/users/password.ts';
import { requireProgram } from '../kit/require.ts';

/** All of `secret`, made by openssl passwd and the argon2, htpasswd and bcrypt programs. */
const foreign: { name: string; hash: string }[] = [
  {
    name: 'SHA-512 crypt',
    hash: '$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1',
  },
  { name: 'SHA-256 crypt', hash: '$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA' },
  { name: 'bcrypt 2b', hash: '$2b$10$loynBNQOk3UfY1D8mIVp5ONkGh8W1B6g49D.qvwONAJCKBP2tj7mW' },
  { name: 'bcrypt 2y', hash: '$2y$10$loynBNQOk3UfY1D8mIVp5ONkGh8W1B6g49D.qvwONAJCKBP2tj7mW' },
];
for (const { name, hash } of foreign) {
  test(`verifies ${name}`, async () => {
    assert.equal(isPasswordHash(hash), true);
    assert.equal(await verifyPassword('secret', hash), true);
    assert.equal(await verifyPassword('Secret', hash), false);
    assert.equal(await verifyPassword('', hash), false);
  });
}

test('verifies what openssl writes now, with its own salt', async (t) => {
  const openssl = requireProgram(t, 'openssl');
  if (openssl === undefined) return;
  for (const kind of ['-5', '-6']) {
    const hash = execFileSync(openssl, ['passwd', kind, 'pässword'], { encoding: 'utf8' }).trim();
    assert.equal(await verifyPassword('pässword', hash), true, hash);
    assert.equal(await verifyPassword('passwort', hash), false, hash);
  }
});

test('writes argon2id with a salt of its own, and verifies it', async () => {
  const [one, other] = await Promise.all([hashPassword('secret'), hashPassword('secret')]);
  assert.match(one!, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.notEqual(one, other);
  assert.equal(await verifyPassword('secret', one!), true);
  assert.equal(await verifyPassword('secret ', one!), false);
});

test('a password typed in another Unicode form is the same password', async () => {
  const hash = await hashPassword('pa\u0308ss\u00a0wort');
  assert.equal(await verifyPassword('p\u00e4ss wort', hash), true);
});

for (const unfit of ['', 'a\0b', 'a\nb', 'x'.repeat(2000), '\ud800']) {
  test(`password ${JSON.stringify(unfit.slice(0, 10))} is refused`, async () => {
    await assert.rejects(hashPassword(unfit), { code: 'password-unfit' });
  });
}

const noHashes: { name: string; text: string }[] = [
  { name: 'a plain password', text: 'secret' },
  { name: 'a plain password marked as such', text: '{PLAIN}secret' },
  { name: 'MD5 crypt', text: '$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/' },
  { name: 'DES crypt', text: 'rqXexS6ZhobKA' },
  {
    name: 'argon2id that wants a gigabyte',
    text: `$argon2id$v=19$m=1048576,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  },
  {
    name: 'argon2id of endless passes',
    text: `$argon2id$v=19$m=19456,t=999,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  },
  { name: 'argon2id with an empty tag', text: `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$A` },
  { name: 'argon2i', text: `$argon2i$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}` },
  { name: 'SHA-crypt of endless rounds', text: `$6$rounds=999999999$saltsalt$${'A'.repeat(86)}` },
  { name: 'bcrypt of cost 31', text: `$2y$31$${'A'.repeat(53)}` },
];
for (const { name, text } of noHashes) {
  test(`is no hash: ${name}`, async () => {
    assert.equal(isPasswordHash(text), false);
    assert.equal(await verifyPassword('secret', text), false);
  });
}
