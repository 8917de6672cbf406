/** Address ranges and the keys that connections are counted under. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientKey, ipMatcher, isLoopback, networkKey, plainIp } from '../../../core/net/ip.ts';

const list = ipMatcher(['192.0.2.0/24', '198.51.100.7', '2001:db8::/32', '::ffff:203.0.113.0/120']);

for (const [ip, want] of [
  ['192.0.2.0', true],
  ['192.0.2.255', true],
  ['192.0.3.0', false],
  ['198.51.100.7', true],
  ['198.51.100.8', false],
  ['::ffff:192.0.2.9', true],
  ['::FFFF:192.0.3.9', false],
  ['2001:db8:ffff::1', true],
  ['2001:db9::1', false],
  ['fe80::1%eth0', false],
  ['', false],
  ['client.test', false],
] as const) {
  test(`match ${ip || 'nothing'}: ${want}`, () => assert.equal(list.matches(ip), want));
}

for (const range of [
  '',
  '192.0.2.0/33',
  '192.0.2.0/-1',
  '192.0.2.0/',
  '2001:db8::/129',
  'client.test',
  '192.0.2/24',
]) {
  test(`refuse the range ${JSON.stringify(range)}`, () => {
    assert.throws(() => ipMatcher([range]), {
      message: `not an address or CIDR range: ${JSON.stringify(range)}`,
    });
  });
}

test('no ranges match nothing', () => assert.equal(ipMatcher([]).matches('127.0.0.1'), false));

for (const [ip, want] of [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:0:0:ffff::1', '2001:db8:0:0::/64'],
  ['2001:0db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
  ['::', '0:0:0:0::/64'],
] as const) {
  test(`key of ${ip}`, () => assert.equal(clientKey(ip), want));
}

test('loopback', () => {
  for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(ip), ip);
  for (const ip of ['128.0.0.1', '::2', '', '127.evil.test']) assert.ok(!isLoopback(ip), ip);
});

test('a zone index is left out', () => assert.equal(plainIp('fe80::1%eth0'), 'fe80::1'));

test('a network has one spelling, whichever of its addresses is asked about', () => {
  const bits = { ipv4: 24, ipv6: 64 };
  assert.equal(networkKey('192.0.2.7', bits), 'c0000200/24');
  assert.equal(networkKey('::ffff:192.0.2.9', bits), 'c0000200/24');
  assert.equal(networkKey('2001:db8::1', bits), '20010db8000000000000000000000000/64');
  assert.equal(networkKey('2001:db8:0:0:9::', bits), networkKey('2001:db8::1', bits));
  assert.notEqual(networkKey('2001:db8:0:1::', bits), networkKey('2001:db8::', bits));
  assert.equal(networkKey('192.0.2.7', { ipv4: 0, ipv6: 0 }), '00000000/0');
  assert.equal(networkKey('', bits), '');
});
