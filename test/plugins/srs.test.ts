/** srs: addresses of ours both ways, through several hosts and secrets, and nothing forged. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type TestSetup, testPlugin } from 'mailfilter/testing';
import srs from '../../plugins/srs/index.ts';
import { restoreSender, rewriteSender, type SrsSettings } from '../../plugins/srs/srs-address.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-srs-'));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'secret'), 'new\nold\n');
const day = 24 * 3600 * 1000;
const now = Date.parse('2026-11-21T12:00:00Z');
const settings = (domain: string, ...secrets: string[]): SrsSettings => ({
  domain,
  secrets,
  maxAgeDays: 21,
  hashLength: 4,
});
const ours = settings('ours.test', 'secret');
const local = (address: string) => address.slice(0, address.lastIndexOf('@'));

function plugin(options: NonNullable<TestSetup['options']> = {}, at = now, dns: TestSetup['dns'] = {}) {
  return testPlugin(srs, {
    options: { secretFile: 'secret', ...options },
    baseDirectory: folder,
    domains: ['ours.test', 'also.test'],
    clock: { now: () => at, monotonicMs: () => performance.now() },
    dns,
  });
}

test('there and back, through one host and through three', () => {
  const first = rewriteSender('Ann.B@Example.org', ours, now);
  assert.match(first, /^SRS0=[A-Za-z0-9+/]{4}=[A-Z2-7]{2}=example\.org=Ann\.B@ours\.test$/);
  assert.equal(restoreSender(local(first), ours, now), 'Ann.B@example.org');
  const second = rewriteSender(first, settings('second.test', 'b'), now);
  assert.match(second, /^SRS1=.{4}=ours\.test==.{4}=..=example\.org=Ann\.B@second\.test$/);
  const third = rewriteSender(second, settings('third.test', 'c'), now);
  assert.match(third, /^SRS1=.{4}=ours\.test==/);
  assert.equal(restoreSender(local(third), settings('third.test', 'c'), now), first);
});

test('whatever the address, it comes back; hosts that change the case do no harm', () => {
  fc.assert(
    fc.property(fc.emailAddress({ size: '-1' }), (address) => {
      const sender = address.toLowerCase();
      const rewritten = local(rewriteSender(sender, ours, now));
      assert.equal(restoreSender(rewritten, ours, now + 20 * day), sender);
      assert.equal(restoreSender(rewritten.toLowerCase(), ours, now), sender);
    }),
    { numRuns: 300 },
  );
});

const bad: readonly [name: string, change: (text: string) => string, after: number, want: string][] = [
  ['another local part', (text) => text.replace('=ann', '=eve'), 0, 'forged'],
  ['another domain', (text) => text.replace('example.org', 'example.net'), 0, 'forged'],
  ['no hash', (text) => text.replace(/^SRS0=.{4}/, 'SRS0='), 0, 'malformed'],
  ['a shorter hash', (text) => text.replace(/^SRS0=(.{3})./, 'SRS0=$1'), 0, 'forged'],
  ['old', (text) => text, 22 * day, 'expired'],
  ['of the day after tomorrow', (text) => text, -2 * day, 'expired'],
  ['nothing after the name', () => 'SRS0=', 0, 'malformed'],
];
for (const [name, change, later, want] of bad) {
  test(`refused: ${name}`, () => {
    const text = local(rewriteSender('ann@example.org', ours, now));
    assert.deepEqual(restoreSender(change(text), ours, now + later), { problem: want });
  });
}

test('send rewrites strangers, not ourselves and not the null sender', async () => {
  for (const [sender, want] of [
    ['ann@example.org', /^SRS0=.{4}=..=example\.org=ann@ours\.test$/],
    ['alice@ours.test', /^alice@ours\.test$/],
    ['alice@also.test', /^alice@also\.test$/],
    ['', /^$/],
  ] as const) {
    const { envelope } = await plugin().send({ sender });
    assert.match(envelope.sender, want);
  }
});

test('a sender whose domain lets us send stays', async () => {
  const dns = { 'friend.test': { TXT: ['v=spf1 ip4:192.0.2.7 -all'] }, 'down.test': 'SERVFAIL' as const };
  const tested = plugin({ sendingAddresses: ['192.0.2.7'] }, now, dns);
  assert.equal((await tested.send({ sender: 'a@friend.test' })).envelope.sender, 'a@friend.test');
  assert.match((await tested.send({ sender: 'a@other.test' })).envelope.sender, /^SRS0=/);
  assert.match((await tested.send({ sender: 'a@down.test' })).envelope.sender, /^SRS0=/);
});

test('a sender that is too long gets a short name of ours, and its bounces come back for as long', async () => {
  const sender = `${'x'.repeat(60)}@example.org`;
  const tested = plugin();
  const { envelope } = await tested.send({ sender });
  assert.match(envelope.sender, /^SRS0=.{4}=..=ours\.test=srs-long-[0-9a-f]{16}@ours\.test$/);
  assert.ok(local(envelope.sender).length <= 64);
  assert.deepEqual((await tested.rcptTo({ recipient: envelope.sender })).targets, [sender]);
  // Another server of ours that has never seen it cannot lead it back.
  const { verdict } = await plugin().rcptTo({ recipient: envelope.sender });
  assert.deepEqual(verdict, {
    action: 'reject',
    code: 550,
    enhanced: '5.1.1',
    text: 'this address is expired',
  });
});

test('where our own domain leaves no room the sender stays', async () => {
  const sender = `${'x'.repeat(60)}@example.org`;
  const domain = `${'long-domain.'.repeat(4)}test`;
  const { envelope, log } = await plugin({ domain }).send({ sender });
  assert.equal(envelope.sender, sender);
  assert.equal(log[0]!.event, 'too-long');
});

test('a bounce finds its way, also with the secret of before', async () => {
  for (const secret of ['new', 'old']) {
    const recipient = rewriteSender('ann@example.org', settings('ours.test', secret), now);
    const { targets } = await plugin().rcptTo({ sender: '', recipient, route: 'unknown-user' });
    assert.deepEqual(targets, ['ann@example.org']);
  }
});

test('a forged one is refused, others are not touched', async () => {
  const forged = await plugin().rcptTo({ recipient: 'SRS0=AAAA=AA=example.org=ann@ours.test' });
  assert.ok(forged.verdict.action === 'reject' && forged.verdict.enhanced === '5.1.1');
  for (const recipient of ['alice@ours.test', 'SRS0=AAAA=AA=example.org=ann@elsewhere.test']) {
    assert.deepEqual((await plugin().rcptTo({ recipient })).targets, [recipient]);
  }
});
