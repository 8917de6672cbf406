/** Corner cases of RFC 7208: record selection and grammar, include, exists, ptr, ip6, macros. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHost } from '../../../core/auth/spf/check-host.ts';
import { memoryDns, type ZoneData } from '../../../core/net/dns-zone.ts';

const others: ZoneData = {
  'no.spf.test': { A: ['192.0.2.1'] },
  'fails.test': { TXT: ['v=spf1 -all'] },
  'neutral.test': { TXT: ['v=spf1 ?all'] },
  'redirects.test': { TXT: ['v=spf1 redirect=fails.test'] },
  'broken.test': { TXT: ['v=spf1 foo:bar -all'] },
  'silent.test': { TXT: 'TIMEOUT' },
  'down.test': 'SERVFAIL',
  'v6only.test': { AAAA: ['2001:db8::1'] },
  'postmaster.l.test': { A: ['127.0.0.2'] },
  'foo.l.test': { A: ['127.0.0.2'] },
  'a%b.x.test': { A: ['192.0.2.1'] },
  '1.2.0.192.in-addr.x.test': { A: ['127.0.0.2'] },
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.x.test': { A: ['127.0.0.2'] },
  '2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.i.test': { A: ['127.0.0.2'] },
  'host.client.test': { A: ['192.0.2.1'] },
  'host.client.test.p.test': { A: ['127.0.0.2'] },
  'unknown.p.test': { A: ['127.0.0.2'] },
  '192.0.2.1': { PTR: ['elsewhere.test', 'Host.Client.test'] },
};

type Given = { readonly ip?: string; readonly local?: string; readonly helo?: string };
const v6: Given = { ip: '2001:db8::1' };

/** Record of the sender's domain, what it comes to, and what differs from foo-bar@d.test at 192.0.2.1. */
const cases: readonly [section: string, record: string, want: string, given?: Given][] = [
  ['4.5: no space behind the version', 'v=spf10 -all', 'none'],
  ['4.5: a tab behind the version', 'v=spf1\ta -all', 'none'],
  ['4.5: upper case', 'V=SPF1 -ALL', 'fail'],
  ['4.5: nothing but the version', 'v=spf1', 'neutral'],
  ['4.6.1: spaces between terms and at the end', 'v=spf1  a:no.spf.test   -all ', 'pass'],
  ['4.6.1: a character that is no US-ASCII', 'v=spf1 ?all\u00a0', 'permerror'],
  ['4.6: an error behind what matches counts', 'v=spf1 ip4:192.0.2.1 foo:bar', 'permerror'],
  ['4.6.1: an unknown modifier', 'v=spf1 Foo=1 default=pass -all', 'fail'],
  ['4.6.1: an unknown modifier with a broken macro', 'v=spf1 foo=%{d -all', 'permerror'],
  ['4.6.1: a modifier of no name', 'v=spf1 foo!bar=x -all', 'permerror'],
  ['5.2: include of a domain without a record', 'v=spf1 include:no.spf.test -all', 'permerror'],
  ['5.2: include of nothing', 'v=spf1 include: -all', 'permerror'],
  ['5.2: include without a domain', 'v=spf1 include +all', 'permerror'],
  ['5.2: include with a prefix', 'v=spf1 include:fails.test/24 -all', 'permerror'],
  ['5.2: include that fails', 'v=spf1 include:fails.test ?all', 'neutral'],
  ['5.2: include that is neutral', 'v=spf1 include:neutral.test -all', 'fail'],
  ['5.2: include that redirects', 'v=spf1 include:redirects.test ~all', 'softfail'],
  ['5.2: include without an answer', 'v=spf1 include:silent.test -all', 'temperror'],
  ['5.2: include that is broken', 'v=spf1 include:broken.test -all', 'permerror'],
  ['5.5: ptr with a prefix', 'v=spf1 ptr/0 -all', 'permerror'],
  ['5.5: ptr of nothing', 'v=spf1 ptr: -all', 'permerror'],
  ['5.5: a validated name below the target', 'v=spf1 ptr:client.test -all', 'pass'],
  ['5.5: a name that only ends alike', 'v=spf1 ptr:lient.test -all', 'fail'],
  ['5.5: a name that does not lead back', 'v=spf1 ptr:elsewhere.test -all', 'fail'],
  ['5.6: ip6 alone', 'v=spf1 ip6 -all', 'permerror'],
  ['5.6: ip6 prefix of 129', 'v=spf1 ip6:2001:db8::1/129 -all', 'permerror'],
  ['5.6: ip6 prefix with a zero before it', 'v=spf1 ip6:2001:db8::/032 -all', 'permerror'],
  ['5.6: ip6 with two slashes', 'v=spf1 ip6:2001:db8::1//33 -all', 'permerror'],
  ['5.6: ip6 of seven groups', 'v=spf1 ip6:2001:db8:8765:4321:1234:5678:9abc -all', 'permerror'],
  ['5.6: ip6 of every address', 'v=spf1 ip6:::/0 -all', 'pass', v6],
  ['5.6: ip6 and a client of IPv4', 'v=spf1 ip6:::/0 -all', 'fail'],
  ['5.6: ip6 and a mapped client', 'v=spf1 ip6:::/0 -all', 'fail', { ip: '::ffff:192.0.2.1' }],
  ['5.6: ip4 and a mapped client', 'v=spf1 ip4:192.0.2.1 -all', 'pass', { ip: '::ffff:192.0.2.1' }],
  ['5.7: exists alone', 'v=spf1 exists -all', 'permerror'],
  ['5.7: exists of nothing', 'v=spf1 exists: -all', 'permerror'],
  ['5.7: exists with a prefix', 'v=spf1 exists:no.spf.test/24 -all', 'permerror'],
  ['5.7: exists asks for A, for IPv6 as well', 'v=spf1 exists:no.spf.test -all', 'pass', v6],
  ['5.7: exists and AAAA alone', 'v=spf1 exists:v6only.test -all', 'fail', v6],
  ['5.7: exists without an answer', 'v=spf1 exists:down.test -all', 'temperror'],
  ['6.1: redirect twice', 'v=spf1 redirect=fails.test redirect=fails.test', 'permerror'],
  ['6.1: redirect to no record', 'v=spf1 redirect=%{d}.nowhere', 'permerror'],
  ['6.2: exp twice', 'v=spf1 exp=a.test exp=b.test -all', 'permerror'],
  ['6.2: exp is a domain: no r in it', 'v=spf1 -all exp=%{r}.x.test', 'permerror'],
  ['7.1: a target without a dot', 'v=spf1 a:foo-bar -all', 'permerror'],
  ['7.1: a top label of digits', 'v=spf1 a:abc.123 -all', 'permerror'],
  ['7.1: a dot at the end', 'v=spf1 a:no.spf.test. -all', 'pass'],
  ['7.1: two of them', 'v=spf1 a:no.spf.test.. -all', 'permerror'],
  ['7.1: a dot behind a macro', 'v=spf1 exists:%{d}. -all', 'permerror'],
  ['7.1: colons and slashes in a name', 'v=spf1 a:foo:bar/baz.e.test -all', 'fail'],
  ['7.2: c is for explanations', 'v=spf1 exists:%{c}.x.test -all', 'permerror'],
  ['7.2: an unknown letter', 'v=spf1 exists:%{e}.x.test -all', 'permerror'],
  ['7.2: other brackets', 'v=spf1 -exists:%(d).test +all', 'permerror'],
  ['7.3: no labels at all', 'v=spf1 exists:%{d0}.test -all', 'permerror'],
  ['7.3: a percent sign', 'v=spf1 a:a%%b.x.test -all', 'pass'],
  ['7.3: the last part by a delimiter, turned round', 'v=spf1 exists:%{l1r-}.l.test -all', 'pass'],
  ['7.3: nobody is postmaster', 'v=spf1 exists:%{l}.l.test -all', 'pass', { local: '' }],
  ['7.3: v and ir', 'v=spf1 exists:%{ir}.%{v}.x.test -all', 'pass'],
  ['7.3: v and ir of IPv6', 'v=spf1 exists:%{ir}.%{v}.x.test -all', 'pass', v6],
  ['7.3: i of IPv6', 'v=spf1 exists:%{i}.i.test -all', 'pass', v6],
  ['7.3: p is the validated name', 'v=spf1 exists:%{p}.p.test -all', 'pass'],
  ['7.3: p of a client without one', 'v=spf1 exists:%{p}.p.test -all', 'pass', { ip: '192.0.2.2' }],
  ['7.3: h that is no name', 'v=spf1 exists:%{h}.x.test -all', 'fail', { helo: "JUMPIN' JUPITER" }],
  ['7.3: h that is an address', 'v=spf1 -exists:%{h}.x.test ?all', 'neutral', { helo: '[192.0.2.1]' }],
];

for (const [
  section,
  record,
  want,
  { ip = '192.0.2.1', local = 'foo-bar', helo = 'mail.d.test' } = {},
] of cases) {
  test(`RFC 7208 section ${section}`, async () => {
    const dns = memoryDns({ ...others, 'd.test': { TXT: [record] } });
    const sender = local === '' ? 'd.test' : `${local}@d.test`;
    const { result } = await checkHost({ ip, sender, helo, receiver: 'mx.test', now: 0 }, dns);
    assert.equal(result, want, record);
  });
}
