/** DNS: the same answers from a zone in memory and from a real server, and what the cache keeps. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, test } from 'node:test';
import type { Clock } from '../../../../core/base/clock.ts';
import { dnsLimits } from '../../../../core/base/limits/dns.ts';
import { silentLog } from '../../../../core/base/log.ts';
import { createDns } from '../../../../core/net/dns.ts';
import { DnsCache } from '../../../../core/net/dns-cache.ts';
import { type Dns, DnsError } from '../../../../core/net/dns-question.ts';
import { memoryDns, type ZoneData } from '../../../../core/net/dns-zone.ts';
import type { PluginDns } from '../../../../core/plugin/hooks.ts';
import { type DnsServer, serveZone } from '../../../kit/dns-server.ts';

const longText = `v=DKIM1; p=${'A'.repeat(700)}`;
const zone: ZoneData = {
  'Example.test': {
    A: ['192.0.2.1', '192.0.2.2'],
    AAAA: ['2001:db8::1'],
    TXT: ['v=spf1 -all', longText, ''],
    MX: [{ exchange: 'mx.example.test', preference: 10 }],
    NS: ['ns.example.test'],
  },
  '_smtp._tcp.example.test': { SRV: [{ name: 'mx.example.test', port: 25, priority: 1, weight: 2 }] },
  '_25._tcp.mx.example.test': {
    TLSA: [{ usage: 3, selector: 1, matchingType: 1, data: new Uint8Array([1, 2, 255]) }],
  },
  'null.test': { MX: [{ exchange: '', preference: 0 }] },
  '192.0.2.1': { PTR: ['host.example.test'] },
  '2001:db8::1': { PTR: ['host6.example.test'] },
  'alias.test': { CNAME: ['alias2.test'] },
  'alias2.test': { CNAME: ['example.test'] },
  'dangling.test': { CNAME: ['nowhere.test'] },
  'bücher.test': { A: ['192.0.2.3'] },
  'deep.below.test': { A: ['192.0.2.4'] },
  'servfail.test': 'SERVFAIL',
  'refused.test': 'REFUSED',
  'gone.test': 'NXDOMAIN',
  'mixed.test': { A: ['192.0.2.5'], TXT: 'SERVFAIL' },
};

const server = await serveZone(zone);
const systemClock: Clock = { now: Date.now, monotonicMs: () => performance.now() };
const open = (servers: string[], timeoutMs = 3000, clock = systemClock) =>
  createDns({ servers, timeoutMs, clock, log: silentLog });
after(() => server.close());

const answers: { name: string; ask(dns: Dns): Promise<unknown>; want: unknown }[] = [
  { name: 'a name exists', ask: (dns) => dns.exists('example.test'), want: true },
  { name: 'with records of other types', ask: (dns) => dns.exists('null.test'), want: true },
  { name: 'with names below it alone', ask: (dns) => dns.exists('below.test'), want: true },
  { name: 'a name that is not there', ask: (dns) => dns.exists('nowhere.test'), want: false },
  { name: 'A', ask: (dns) => dns.a('example.test'), want: ['192.0.2.1', '192.0.2.2'] },
  {
    name: 'A in any case, with a dot at the end',
    ask: (dns) => dns.a('EXAMPLE.test.'),
    want: ['192.0.2.1', '192.0.2.2'],
  },
  { name: 'A of a name with U-labels', ask: (dns) => dns.a('Bücher.test'), want: ['192.0.2.3'] },
  { name: 'AAAA', ask: (dns) => dns.aaaa('example.test'), want: ['2001:db8::1'] },
  {
    name: 'TXT, strings joined, over TCP where it is long',
    ask: (dns) => dns.txt('example.test'),
    want: ['v=spf1 -all', longText, ''],
  },
  {
    name: 'MX',
    ask: (dns) => dns.mx('example.test'),
    want: [{ exchange: 'mx.example.test', preference: 10 }],
  },
  { name: 'the null MX', ask: (dns) => dns.mx('null.test'), want: [{ exchange: '', preference: 0 }] },
  { name: 'NS', ask: (dns) => dns.ns('example.test'), want: ['ns.example.test'] },
  {
    name: 'SRV',
    ask: (dns) => dns.srv('_smtp._tcp.example.test'),
    want: [{ name: 'mx.example.test', port: 25, priority: 1, weight: 2 }],
  },
  {
    name: 'TLSA',
    ask: (dns) => dns.tlsa('_25._tcp.mx.example.test'),
    want: [{ usage: 3, selector: 1, matchingType: 1, data: new Uint8Array([1, 2, 255]) }],
  },
  { name: 'PTR of IPv4', ask: (dns) => dns.ptr('192.0.2.1'), want: ['host.example.test'] },
  { name: 'PTR of IPv6', ask: (dns) => dns.ptr('2001:DB8:0::1'), want: ['host6.example.test'] },
  { name: 'PTR of nobody', ask: (dns) => dns.ptr('192.0.2.99'), want: [] },
  { name: 'aliases are followed', ask: (dns) => dns.a('alias.test'), want: ['192.0.2.1', '192.0.2.2'] },
  { name: 'an alias asked for is not', ask: (dns) => dns.cname('alias.test'), want: ['alias2.test'] },
  { name: 'an alias of nothing', ask: (dns) => dns.a('dangling.test'), want: [] },
  { name: 'NXDOMAIN', ask: (dns) => dns.a('nowhere.test'), want: [] },
  { name: 'NXDOMAIN as said by the zone', ask: (dns) => dns.a('gone.test'), want: [] },
  { name: 'NODATA', ask: (dns) => dns.mx('deep.below.test'), want: [] },
  { name: 'NODATA of a name with others below', ask: (dns) => dns.a('below.test'), want: [] },
  { name: 'one type well where another fails', ask: (dns) => dns.a('mixed.test'), want: ['192.0.2.5'] },
];
const failures: { name: string; ask(dns: Dns): Promise<unknown>; code: string; temporary: boolean }[] = [
  { name: 'SERVFAIL', ask: (dns) => dns.a('servfail.test'), code: 'dns-servfail', temporary: true },
  { name: 'REFUSED', ask: (dns) => dns.a('refused.test'), code: 'dns-refused', temporary: true },
  {
    name: 'SERVFAIL of one type',
    ask: (dns) => dns.txt('mixed.test'),
    code: 'dns-servfail',
    temporary: true,
  },
  { name: 'an empty name', ask: (dns) => dns.a(''), code: 'dns-bad-name', temporary: false },
  { name: 'an empty label', ask: (dns) => dns.a('a..test'), code: 'dns-bad-name', temporary: false },
  {
    name: 'a label of 64',
    ask: (dns) => dns.a(`${'a'.repeat(64)}.test`),
    code: 'dns-bad-name',
    temporary: false,
  },
  {
    name: 'a name of 254',
    ask: (dns) => dns.txt(`${'a.'.repeat(126)}ab`),
    code: 'dns-bad-name',
    temporary: false,
  },
  { name: 'PTR of a name', ask: (dns) => dns.ptr('example.test'), code: 'dns-bad-name', temporary: false },
];
for (const [from, dns] of [
  ['memory', memoryDns(zone)],
  ['server', open([server.address])],
] as const) {
  for (const { name, ask, want } of answers) {
    test(`${from}: ${name}`, async () => {
      const found = await ask(dns);
      assert.deepEqual(sorted(found), sorted(want));
    });
  }
  for (const { name, ask, code, temporary } of failures) {
    test(`${from}: ${name}`, async () => {
      await assert.rejects(ask(dns), (error) => {
        assert.ok(error instanceof DnsError);
        assert.deepEqual([error.code, error.temporary], [code, temporary]);
        return true;
      });
    });
  }
}

test('what plugins ask with is this very shape', () => {
  const dns: PluginDns = memoryDns({});
  assert.ok(dns);
});

test('a loop of aliases ends', async () => {
  const loop = memoryDns({ 'a.test': { CNAME: ['b.test'] }, 'b.test': { CNAME: ['a.test'] } });
  await assert.rejects(loop.a('a.test'), { code: 'dns-servfail' });
});

test('a server that is no address is an error of the config', () => {
  assert.throws(() => open(['ns.example.test']), { code: 'dns-servers' });
});

test('a server that never answers: the deadline holds, however many tries and servers', async () => {
  const silent = createSocket('udp4');
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${silent.address().port}`;
  const start = performance.now();
  await assert.rejects(open([address, address, address], 300).a('example.test'), {
    code: 'dns-timeout',
    temporary: true,
  });
  assert.ok(performance.now() - start < 10_000);
  silent.close();
});

test('nobody listens: a temporary failure', async () => {
  const closed: DnsServer = await serveZone({});
  await closed.close();
  await assert.rejects(open([closed.address], 500).a('example.test'), { temporary: true });
});

class TestClock implements Clock {
  ms = 0;
  now = () => this.ms;
  monotonicMs = () => this.ms;
}

test('answers are kept for their time, absence and failure for short times', async () => {
  const own = await serveZone(
    { 'a.test': { A: ['192.0.2.1'], TXT: ['x'] }, 'bad.test': 'SERVFAIL' },
    { ttlSeconds: 300 },
  );
  const clock = new TestClock();
  const dns = open([own.address], 3000, clock);
  const count = async (ask: () => Promise<unknown>) => {
    const before = own.asked.length;
    await ask().catch(() => {});
    return own.asked.length - before;
  };
  const asks: { ask(): Promise<unknown>; seconds: number }[] = [
    { ask: () => dns.a('a.test'), seconds: 300 },
    { ask: () => dns.txt('a.test'), seconds: dnsLimits.presentSeconds },
    { ask: () => dns.a('none.test'), seconds: dnsLimits.absentSeconds },
    { ask: () => dns.a('bad.test'), seconds: dnsLimits.failureSeconds },
  ];
  for (const { ask, seconds } of asks) {
    assert.ok((await count(ask)) > 0);
    clock.ms += seconds * 1000 - 1;
    assert.equal(await count(ask), 0);
    clock.ms += 1;
    assert.ok((await count(ask)) > 0);
  }
  await own.close();
});

test('a hundred who ask the same at once are one question', async () => {
  const own = await serveZone({ 'a.test': { A: ['192.0.2.1'] } }, { delayMs: 20 });
  const dns = open([own.address]);
  const found = await Promise.all(
    Array.from({ length: 100 }, (_, index) => dns.a(index % 2 ? 'a.test' : 'A.TEST.')),
  );
  assert.deepEqual(own.asked, ['A a.test']);
  found[0]!.push('changed by a caller');
  assert.deepEqual(await dns.a('a.test'), ['192.0.2.1']);
  await own.close();
});

test('the cache and the questions at once are bounded', async () => {
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  let open = true;
  const cache = new DnsCache(
    async (_, name) => {
      asked.push(name);
      if (!open) await gate.promise;
      return { records: [] };
    },
    { timeoutMs: 60_000, clock: new TestClock(), log: silentLog },
  );
  for (let index = 0; index <= dnsLimits.cacheEntriesMax; index++) await cache.ask('A', `n${index}`);
  const before = asked.length;
  await cache.ask('A', 'n1');
  assert.equal(asked.length, before, 'still kept');
  await cache.ask('A', 'n0');
  assert.equal(asked.length, before + 1, 'the oldest gave way');
  open = false;
  const many = Array.from({ length: dnsLimits.questionsAtOnce + 5 }, (_, index) =>
    cache.ask('A', `m${index}`),
  );
  const settled = Promise.allSettled(many);
  gate.resolve();
  const refused = (await settled).filter((one) => one.status === 'rejected');
  assert.equal(refused.length, 5);
  for (const { reason } of refused) assert.deepEqual([reason.code, reason.temporary], ['dns-busy', true]);
});

function sorted(value: unknown): unknown {
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value.toSorted() : value;
}
