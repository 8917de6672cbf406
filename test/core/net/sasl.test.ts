/** SASL PLAIN and LOGIN, step by step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64, startSasl } from '../../../core/net/sasl.ts';

const credentials = { kind: 'credentials', address: 'alice@example.test', password: 'sécret' };

for (const [name, response, want] of [
  ['PLAIN', '\0alice@example.test\0sécret', credentials],
  ['PLAIN with the own identity', 'Alice@example.test\0alice@example.test\0sécret', credentials],
  ['PLAIN as another', 'bob@example.test\0alice@example.test\0sécret', { kind: 'forbidden-identity' }],
  ['PLAIN without a password', '\0alice@example.test\0', { kind: 'malformed' }],
  ['PLAIN without a name', '\0\0secret', { kind: 'malformed' }],
  ['PLAIN with two parts', '\0alice@example.test', { kind: 'malformed' }],
  ['PLAIN with four parts', '\0alice@example.test\0a\0b', { kind: 'malformed' }],
  ['PLAIN with a line break in the name', '\0alice\r\n@example.test\0a', { kind: 'malformed' }],
  ['PLAIN with nothing', '', { kind: 'malformed' }],
] as const) {
  test(name, () => assert.deepEqual(startSasl('plain')!.next(Buffer.from(response)), want));
}

test('PLAIN asks for what did not come at once', () => {
  const exchange = startSasl('PLAIN')!;
  assert.deepEqual(exchange.next(undefined), { kind: 'challenge', data: Buffer.alloc(0) });
  assert.deepEqual(exchange.next(Buffer.from('\0alice@example.test\0sécret')), credentials);
});

test('PLAIN that is no UTF-8', () => {
  assert.deepEqual(startSasl('PLAIN')!.next(Buffer.from('\0a\0\xff', 'latin1')), { kind: 'malformed' });
});

test('LOGIN asks for name and password', () => {
  const exchange = startSasl('LOGIN')!;
  assert.deepEqual(exchange.next(undefined), { kind: 'challenge', data: Buffer.from('Username:') });
  assert.deepEqual(exchange.next(Buffer.from('alice@example.test')), {
    kind: 'challenge',
    data: Buffer.from('Password:'),
  });
  assert.deepEqual(exchange.next(Buffer.from('sécret')), credentials);
});

for (const bad of ['', 'a\0b', 'a\r\nb']) {
  test(`LOGIN with the name ${JSON.stringify(bad)}`, () => {
    assert.deepEqual(startSasl('LOGIN')!.next(Buffer.from(bad)), { kind: 'malformed' });
  });
}

test('other mechanisms are not offered', () => assert.equal(startSasl('CRAM-MD5'), undefined));

test('base64 is taken as RFC 4648 writes it only', () => {
  assert.deepEqual(decodeBase64('YWI='), Buffer.from('ab'));
  assert.deepEqual(decodeBase64(''), Buffer.alloc(0));
  for (const bad of ['YWI', 'YW I=', 'YWI-', 'YWI=YWI=', '=', '====', 'Y===']) {
    assert.equal(decodeBase64(bad), undefined, bad);
  }
});
