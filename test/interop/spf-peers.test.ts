/** pyspf and Mail::SPF as second opinions: random records, the same questions, one DNS server. RFC 7208. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, test } from 'node:test';
import { checkHost } from '../../core/auth/spf/check-host.ts';
import { memoryDns, type ZoneData, type ZoneRecords } from '../../core/net/dns-zone.ts';
import { serveZone } from '../kit/dns-server.ts';
import { type RandomSource, randomSource } from '../kit/random.ts';
import { requirePeer } from '../kit/require.ts';
import { run } from './dkim-messages.ts';

const domains = 80;
const ips = ['192.0.2.1', '192.0.2.77', '198.51.100.9', '2001:db8::1', '2001:db8:1::7'];

/** Not the domain itself: pyspf calls that an error before it carries out anything. */
function anotherDomain(random: RandomSource, index: number): string {
  return `d${(index + 1 + random.below(domains - 1)) % domains}.test`;
}

function randomTerm(random: RandomSource, index: number): string {
  const host = `h${random.below(12)}.test`;
  const qualifier = random.pick(['', '+', '-', '~', '?']);
  const cidr = random.pick(['', '', '/24', '//64', '/28//48', '/0']);
  const mechanism = random.pick([
    () => `a:${host}${cidr}`,
    () => `mx:${host}${cidr}`,
    () => `ip4:${random.pick(['192.0.2.0/26', '192.0.2.77', '198.51.100.0/24', '0.0.0.0/0'])}`,
    () => `ip6:${random.pick(['2001:db8::/48', '2001:db8:1::7', '::/0'])}`,
    () => `include:${anotherDomain(random, index)}`,
    () => `exists:${random.pick(['%{i}', '%{ir}', '%{l}', '%{d2}', '%{o1r}', 'h1'])}.x.test`,
    () => `a${cidr}`,
    () => `mx${cidr}`,
    () => 'ptr:client.test',
    () => random.pick(['all', 'all', 'nonsense', 'ip4:1.2.3', 'a:', 'include:x', 'a:h1.test/33']),
  ])();
  return `${qualifier}${mechanism}`;
}

function randomRecord(random: RandomSource, index: number): string {
  const terms = Array.from({ length: 1 + random.below(4) }, () => randomTerm(random, index));
  const end = random.pick(['-all', '~all', '', `redirect=${anotherDomain(random, index)}`, 'foo=%{d}']);
  return ['v=spf1', ...terms, end].join(' ').trim();
}

function randomZone(random: RandomSource): ZoneData {
  const zone: Record<string, ZoneRecords> = {
    'client.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] },
    '192.0.2.1': { PTR: ['client.test'] },
    '2001:db8::1': { PTR: ['client.test'] },
    '192.0.2.1.x.test': { A: ['127.0.0.2'] },
    'ann.x.test': { A: ['127.0.0.2'] },
  };
  for (let index = 0; index < 12; index++) {
    zone[`h${index}.test`] = {
      A:
        random.below(4) === 0
          ? []
          : [`192.0.2.${random.below(256)}`, ...(random.below(2) ? ['198.51.100.9'] : [])],
      AAAA: random.below(2) === 0 ? [] : [random.pick(['2001:db8::1', '2001:db8:1::9'])],
      MX: random.below(3) === 0 ? [] : [{ preference: 10, exchange: `h${random.below(12)}.test` }],
    };
  }
  for (let index = 0; index < domains; index++) {
    zone[`d${index}.test`] = {
      A: random.below(3) === 0 ? [] : ['192.0.2.1'],
      MX: random.below(3) === 0 ? [] : [{ preference: 5, exchange: `h${random.below(12)}.test` }],
      TXT: random.below(10) === 0 ? ['hello'] : [randomRecord(random, index)],
    };
  }
  return zone;
}

const random = randomSource('spf-peers');
const zone = randomZone(random);
const dns = await serveZone(zone);
after(() => dns.close());
const questions = Array.from({ length: domains }, (_, index) => ({
  ip: random.pick(ips),
  domain: `d${index}.test`,
}));
const input = questions.map(({ ip, domain }) => `${ip} ann@${domain}\n`).join('');

async function ourResults(): Promise<string[]> {
  const local = memoryDns(zone);
  const answers = questions.map(({ ip, domain }) =>
    checkHost(
      { ip, sender: `ann@${domain}`, helo: 'client.test', receiver: 'mx.test', now: Date.now() },
      local,
    ),
  );
  return (await Promise.all(answers)).map(({ result }) => result);
}

/** Questions of which the answers differ, but for those that `isKnown` explains. */
async function compare(
  theirs: readonly string[],
  isKnown: (record: string, ours: string, theirs: string) => boolean,
) {
  const ours = await ourResults();
  assert.equal(theirs.length, questions.length);
  const differences = questions.flatMap(({ ip, domain }, index) => {
    const record = String((zone[domain] as ZoneRecords).TXT?.[0]);
    const [mine, other] = [ours[index]!, theirs[index]!];
    return mine === other || isKnown(record, mine, other)
      ? []
      : [`${domain} ${ip} "${record}": ${mine}, they say ${other}`];
  });
  assert.deepEqual(differences, []);
}

/** The record and those that it includes or leads to. */
function reachable(record: string, seen = new Set<string>()): string {
  const targets = [...record.matchAll(/(?:include:|redirect=)(d\d+\.test)/g)].map(([, name]) => name!);
  const more = targets.filter((name) => !seen.has(name));
  for (const name of more) seen.add(name);
  return [record, ...more.map((name) => reachable(String((zone[name] as ZoneRecords).TXT?.[0]), seen))].join(
    ' ',
  );
}

const pyspf = `
import sys, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = ['127.0.0.1']; resolver.port = int(sys.argv[1])
dns.resolver.default_resolver = resolver
import spf
for line in sys.stdin:
    ip, sender = line.split()
    print(spf.check2(i=ip, s=sender, h='client.test')[0])
`;
const mailSpf = `
use Mail::SPF; use Net::DNS::Resolver; $| = 1;
my $server = Mail::SPF::Server->new(dns_resolver => Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[0], recurse => 1));
while (<STDIN>) { my ($ip, $sender) = split;
  my $request = Mail::SPF::Request->new(versions => [1], scope => 'mfrom', identity => $sender, ip_address => $ip, helo_identity => 'client.test');
  print $server->process($request)->code, "\\n"; }
`;
const port = dns.address.split(':')[1]!;
const lines = (text: string) => text.trim().split('\n');

test('pyspf', async (t) => {
  if (!requirePeer(t, 'pyspf', existsSync('/usr/lib/python3/dist-packages/spf.py'))) return;
  const { stdout, stderr } = await run('/usr/bin/python3', ['-c', pyspf, port], input);
  assert.equal(lines(stdout).length, questions.length, stderr);
  await compare(lines(stdout), () => false);
});

test('Mail::SPF', async (t) => {
  if (!requirePeer(t, 'Mail::SPF', existsSync('/usr/share/perl5/Mail/SPF.pm'))) return;
  const { stdout, stderr } = await run('perl', ['-e', mailSpf, port], input);
  assert.equal(lines(stdout).length, questions.length, stderr);
  // It finds IPv4 clients in ::/0; RFC 7208 section 5.6 compares within one family.
  await compare(lines(stdout), (record) => reachable(record).includes('ip6:::/0'));
});
