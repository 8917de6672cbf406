/** SCRAM with the RFCs' own examples, and what must not be believed. */
import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import { Scram, type ScramInit, scramKeysOf } from '../../../core/net/scram.ts';

const examples = [
  {
    // RFC 5802 section 5.
    init: { hash: 'SHA-1', plus: false, nonce: '3rfcNHYJY1ZVvWVs7j' },
    salt: 'QSXCR+Q6sek8bf92',
    node: ['sha1', 20],
    first: 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
    challenge: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    final: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    verifier: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  {
    // RFC 7677 section 3.
    init: { hash: 'SHA-256', plus: false, nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0' },
    salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
    node: ['sha256', 32],
    first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    challenge: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    final:
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    verifier: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
] as const;

function begin(example: (typeof examples)[number], init: Partial<ScramInit> = {}) {
  const exchange = new Scram({ ...example.init, ...init });
  const salt = Buffer.from(example.salt, 'base64');
  const salted = pbkdf2Sync('pencil', salt, 4096, example.node[1], example.node[0]);
  return { exchange, keys: scramKeysOf(example.init.hash, salted, salt, 4096) };
}

for (const example of examples) {
  test(`the example of ${example.init.hash}`, () => {
    const { exchange, keys } = begin(example);
    assert.deepEqual(exchange.first(Buffer.from(example.first)), { kind: 'user', name: 'user' });
    assert.equal(exchange.challenge(keys).toString(), example.challenge);
    const final = exchange.final(Buffer.from(example.final));
    assert.deepEqual(final, { kind: 'proven', data: Buffer.from(example.verifier) });
  });
}

const [, sha256] = examples;

const finals: readonly (readonly [name: string, final: string, kind: string])[] = [
  ['a wrong proof', sha256.final.replace('p=dH', 'p=eH'), 'wrong'],
  ['another nonce', sha256.final.replace('r=rO', 'r=sO'), 'wrong'],
  ['another channel', sha256.final.replace('c=biws', 'c=eSws'), 'wrong'],
  ['a short proof', sha256.final.replace(/p=.*/, 'p=YWJj'), 'malformed'],
  ['no proof', sha256.final.replace(/,p=.*/, ''), 'malformed'],
  ['nothing', '', 'malformed'],
];
for (const [name, final, kind] of finals) {
  test(`${name} is not believed`, () => {
    const { exchange, keys } = begin(sha256);
    exchange.first(Buffer.from(sha256.first));
    exchange.challenge(keys);
    assert.equal(exchange.final(Buffer.from(final)).kind, kind);
  });
}

const firsts: readonly (readonly [first: string, init: Partial<ScramInit>, kind: string])[] = [
  ['n,,n=user,r=abc', {}, 'user'],
  ['n,a=user,n=user,r=abc', {}, 'user'],
  ['n,a=root,n=user,r=abc', {}, 'forbidden-identity'],
  ['y,,n=user,r=abc', {}, 'user'],
  // The client did not see our -PLUS: somebody took it out of the list.
  ['y,,n=user,r=abc', { bindings: { 'tls-exporter': Buffer.from('x') } }, 'malformed'],
  ['p=tls-exporter,,n=user,r=abc', {}, 'malformed'],
  ['p=tls-exporter,,n=user,r=abc', { plus: true, bindings: { 'tls-exporter': Buffer.from('x') } }, 'user'],
  ['p=tls-unique,,n=user,r=abc', { plus: true, bindings: { 'tls-exporter': Buffer.from('x') } }, 'malformed'],
  ['n,,n=user,r=abc', { plus: true, bindings: { 'tls-exporter': Buffer.from('x') } }, 'malformed'],
  ['n,,n=us=2Cer,r=abc', {}, 'user'],
  ['n,,n=us=er,r=abc', {}, 'malformed'],
  ['n,,n=us\u0007er,r=abc', {}, 'malformed'],
  ['n,,m=ext,n=user,r=abc', {}, 'malformed'],
  ['n,,n=user', {}, 'malformed'],
  ['', {}, 'malformed'],
];
for (const [first, init, kind] of firsts) {
  test(`first message ${JSON.stringify(first)}${init.plus ? ' for -PLUS' : ''}${init.bindings ? ' over TLS' : ''}`, () => {
    assert.equal(begin(sha256, init).exchange.first(Buffer.from(first)).kind, kind);
  });
}
