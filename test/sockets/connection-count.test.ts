/** Counting connections, in all and per client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipMatcher } from '../../core/net/ip.ts';
import { ConnectionCount } from '../../src/sockets/connection-count.ts';

const limits = { connectionsMax: 5, connectionsPerAddressMax: 1 };

test('one client, one connection; a /64 is one client; unix, loopback and listed networks are not counted', () => {
  const count = new ConnectionCount(limits, ipMatcher(['192.0.2.0/24']));
  assert.equal(count.admit('2001:db8::1'), 'admitted');
  assert.equal(count.admit('2001:db8::2'), 'too-many-of-client');
  for (const ip of ['192.0.2.1', '192.0.2.1', '', '127.0.0.1']) assert.equal(count.admit(ip), 'admitted');
  assert.equal(count.admit('127.0.0.1'), 'too-many');
  assert.equal(count.total, 5);
});

test('who leaves makes room', () => {
  const count = new ConnectionCount({ connectionsMax: 2, connectionsPerAddressMax: 2 }, ipMatcher([]));
  for (let round = 0; round < 3; round += 1) {
    assert.equal(count.admit('203.0.113.1'), 'admitted');
    assert.equal(count.admit('203.0.113.1'), 'admitted');
    assert.equal(count.admit('203.0.113.1'), 'too-many');
    count.release('203.0.113.1');
    count.release('203.0.113.1');
    assert.equal(count.total, 0);
  }
});

test('new limits hold for the next client', () => {
  const count = new ConnectionCount(limits, ipMatcher([]));
  assert.equal(count.admit('203.0.113.1'), 'admitted');
  count.reconfigure({ ...limits, connectionsPerAddressMax: 2 });
  assert.equal(count.admit('203.0.113.1'), 'admitted');
  assert.equal(count.admit('203.0.113.1'), 'too-many-of-client');
});
