/** Which hosts take the mail of a domain, and at which addresses: RFC 5321 section 5, against a zone in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryDns, type ZoneData } from '../../core/net/dns-zone.ts';
import { addressesOf, type MailHost, mailHosts, RoutingError } from '../../src/outbound/hosts.ts';
import { createLookup } from '../../src/outbound/lookup.ts';

const mx = (...hosts: readonly [string, number][]) => ({
  MX: hosts.map(([exchange, preference]) => ({ exchange, preference })),
});
/** Hosts whose addresses matter to nobody, and ours. */
const addresses: ZoneData = {
  'a.test': { A: ['192.0.2.1'] },
  'b.test': { A: ['192.0.2.2'] },
  'c.test': { A: ['192.0.2.3'] },
  'alias-of-us.test': { A: ['192.0.2.99'] },
  'v6-of-us.test': { AAAA: ['2001:db8::99'] },
};
const own = {
  name: 'us.test',
  port: 25,
  is: (ip: string, port: number) => port === 25 && ['192.0.2.99', '2001:db8::99'].includes(ip),
};

async function hostsOf(domain: string, zone: ZoneData, random = () => 0): Promise<string> {
  const lookup = createLookup(memoryDns({ ...addresses, ...zone }), undefined);
  try {
    const hosts: MailHost[] = await mailHosts(domain, lookup, own, random);
    return hosts.map(({ name }) => name).join(' ');
  } catch (error) {
    if (!(error instanceof RoutingError)) throw error;
    return `${error.reply.code} ${error.reply.enhanced}`;
  }
}

const cases: readonly { name: string; zone: ZoneData; domain?: string; want: string }[] = [
  {
    name: 'the preferred first',
    zone: { 'x.test': mx(['c.test', 30], ['a.test', 5], ['b.test', 20]) },
    want: 'a.test b.test c.test',
  },
  { name: 'names without regard to case', zone: { 'x.test': mx(['A.Test', 5]) }, want: 'a.test' },
  { name: 'no MX: the domain itself', zone: { 'x.test': { A: ['192.0.2.7'] } }, want: 'x.test' },
  { name: 'no MX, IPv6 alone', zone: { 'x.test': { AAAA: ['2001:db8::7'] } }, want: 'x.test' },
  {
    name: 'an MX, and an address that does not count beside it',
    zone: { 'x.test': { ...mx(['a.test', 10]), A: ['192.0.2.7'] } },
    want: 'a.test',
  },
  {
    name: 'a domain that is an alias: the MX of its target',
    zone: { 'x.test': { CNAME: ['y.test'] }, 'y.test': mx(['b.test', 10]) },
    want: 'b.test',
  },
  { name: 'a null MX', zone: { 'x.test': mx(['', 0]) }, want: '556 5.1.10' },
  {
    name: 'a null MX beside another means nothing: RFC 7505 section 3',
    zone: { 'x.test': mx(['', 0], ['a.test', 10]) },
    want: 'a.test',
  },
  { name: 'SERVFAIL is not "no MX"', zone: { 'x.test': 'SERVFAIL' }, want: '451 4.4.3' },
  { name: 'a time-out is not "no MX"', zone: { 'x.test': 'TIMEOUT' }, want: '451 4.4.3' },
  {
    name: 'ourselves by name: only those before us',
    zone: { 'x.test': mx(['a.test', 5], ['us.test', 10], ['b.test', 10], ['c.test', 20]) },
    want: 'a.test',
  },
  {
    name: 'ourselves by address',
    zone: { 'x.test': mx(['a.test', 5], ['alias-of-us.test', 10], ['b.test', 20]) },
    want: 'a.test',
  },
  {
    name: 'ourselves by IPv6 address, and preferred most',
    zone: { 'x.test': mx(['v6-of-us.test', 1], ['b.test', 20]) },
    want: '554 5.4.6',
  },
  {
    name: 'ourselves by an alias',
    zone: { 'x.test': mx(['alias.test', 1]), 'alias.test': { CNAME: ['alias-of-us.test'] } },
    want: '554 5.4.6',
  },
  { name: 'no MX, and the address is ours', zone: { 'x.test': { A: ['192.0.2.99'] } }, want: '554 5.4.6' },
  { name: 'an address literal', zone: {}, domain: '[192.0.2.7]', want: '192.0.2.7' },
  { name: 'an IPv6 literal', zone: {}, domain: '[IPv6:2001:db8::7]', want: '2001:db8::7' },
  { name: 'a literal that is ours', zone: {}, domain: '[192.0.2.99]', want: '554 5.4.6' },
];
for (const { name, zone, domain = 'x.test', want } of cases) {
  test(`hosts: ${name}`, async () => assert.equal(await hostsOf(domain, zone), want));
}

test('hosts: equals in random order, and never before one that is preferred', async () => {
  const zone = { 'x.test': mx(['b.test', 10], ['c.test', 10], ['a.test', 5]) };
  const orders = new Set<string>();
  for (let round = 0; round < 200; round++) orders.add(await hostsOf('x.test', zone, Math.random));
  assert.deepEqual([...orders].sort(), ['a.test b.test c.test', 'a.test c.test b.test']);
});

test('hosts: a domain with thousands of them costs no more than twenty', async () => {
  const many = mx(...Array.from({ length: 1000 }, (_, index): [string, number] => [`h${index}.test`, index]));
  const hosts = (await hostsOf('x.test', { 'x.test': many })).split(' ');
  assert.deepEqual([hosts.length, hosts[0]], [20, 'h0.test']);
});

const places: readonly { name: string; zone: ZoneData; want: string }[] = [
  {
    name: 'both families in turn',
    zone: { 'h.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] } },
    want: '2001:db8::1 192.0.2.1',
  },
  { name: 'IPv4 alone', zone: { 'h.test': { A: ['192.0.2.1'] } }, want: '192.0.2.1' },
  { name: 'IPv6 alone', zone: { 'h.test': { AAAA: ['2001:db8::1'] } }, want: '2001:db8::1' },
  {
    name: 'one family fails: the other serves',
    zone: { 'h.test': { A: ['192.0.2.1'], AAAA: 'SERVFAIL' } },
    want: '192.0.2.1',
  },
  {
    name: 'an MX that is an alias, which RFC 2181 forbids: its target all the same',
    zone: { 'h.test': { CNAME: ['a.test'] } },
    want: '192.0.2.1',
  },
  { name: '0.0.0.0 is no address', zone: { 'h.test': { A: ['0.0.0.0'], AAAA: ['::'] } }, want: '' },
  { name: 'nothing', zone: {}, want: '' },
  { name: 'both fail', zone: { 'h.test': 'SERVFAIL' }, want: '451 4.4.3' },
  {
    name: 'one family fails, the other has none',
    zone: { 'h.test': { AAAA: 'TIMEOUT' } },
    want: '451 4.4.3',
  },
];
for (const { name, zone, want } of places) {
  test(`addresses: ${name}`, async () => {
    const lookup = createLookup(memoryDns({ ...addresses, ...zone }), undefined);
    const found = await addressesOf('h.test', lookup).then(
      ({ ips }) => ips.join(' '),
      (error: RoutingError) => `${error.reply.code} ${error.reply.enhanced}`,
    );
    assert.equal(found, want);
  });
}
