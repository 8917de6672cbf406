/** TLS to other hosts: opportunistic with every way it can break, DANE, MTA-STS over real HTTPS, REQUIRETLS; what is delivered and what must wait. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock as clock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import type { OutboundConfig } from '../../core/config/config.ts';
import { render } from '../../core/mail/render.ts';
import { createDns } from '../../core/net/dns.ts';
import type { TlsaRecord } from '../../core/net/dns-question.ts';
import { createSecureDns } from '../../core/net/dns-secure.ts';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { openMemoryState } from '../../core/state/memory.ts';
import { selfSigned } from '../../src/cli/certificate.ts';
import { createLookup } from '../../src/outbound/lookup.ts';
import { createMtaSts, parsePolicy, policyNames } from '../../src/outbound/mta-sts.ts';
import { createOutbound, type TlsEvent } from '../../src/outbound/send.ts';
import { serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';
import { type Script, serveScript } from '../kit/scripted-smtp.ts';

const now = Date.now();
const right = selfSigned({ names: ['mx.remote.test'], days: 2, now });
const other = selfSigned({ names: ['else.test'], days: 2, now });
const expired = selfSigned({ names: ['mx.remote.test'], days: 1, now: now - 10 * 86_400_000 });
const stsHost = selfSigned({ names: ['mta-sts.remote.test'], days: 2, now });

function tlsa(certificate: string, usage = 3, selector = 1): TlsaRecord {
  const x509 = new X509Certificate(certificate);
  const octets = selector === 1 ? x509.publicKey.export({ type: 'spki', format: 'der' }) : x509.raw;
  return { usage, selector, matchingType: 1, data: createHash('sha256').update(octets).digest() };
}

const withTls: Script = { EHLO: '250-me\r\n250-REQUIRETLS\r\n250 STARTTLS', STARTTLS: '220 go' };

interface Case {
  readonly name: string;
  readonly script?: Script;
  readonly pair?: { certificate: string; key: string };
  readonly records?: TlsaRecord[] | 'SERVFAIL';
  /** Names that are not validated, although the zone is. */
  readonly insecure?: string;
  readonly dnssec?: boolean;
  readonly policy?: string;
  readonly config?: Partial<OutboundConfig>;
  readonly trust?: string[];
  readonly requireTls?: boolean;
  /** Fields of the message. */
  readonly fields?: string;
  readonly want: RegExp;
  /** TLS of what was delivered. */
  readonly tls?: boolean;
  readonly event?: Partial<TlsEvent>;
}

const cases: readonly Case[] = [
  {
    name: 'no STARTTLS, nobody asks for it',
    script: {},
    want: /^delivered/,
    tls: false,
    event: { failure: 'starttls-not-supported' },
  },
  { name: 'any certificate, nobody asks for a right one', pair: other, want: /^delivered/, tls: true },
  {
    name: 'octets smuggled in before the handshake: not sent that way',
    script: { ...withTls, STARTTLS: '220 go\r\n250 no TLS here' },
    want: /^deferred .*before the TLS handshake/,
  },
  {
    name: 'an expired certificate, nobody asks for a right one',
    pair: expired,
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'STARTTLS that is refused: then without',
    script: { ...withTls, STARTTLS: '454 4.7.0 no' },
    want: /^delivered/,
    tls: false,
  },
  {
    name: 'required, and not offered',
    script: {},
    config: { tls: 'required' },
    want: /^deferred .*does not offer STARTTLS/,
  },
  {
    name: 'required: any certificate',
    pair: other,
    config: { tls: 'required' },
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'verify: the right one',
    config: { tls: 'verify' },
    trust: [right.certificate],
    want: /^delivered/,
    tls: true,
  },
  { name: 'verify: one that nobody vouches for', config: { tls: 'verify' }, want: /^deferred .*not trusted/ },
  {
    name: 'verify: another name',
    pair: other,
    config: { tls: 'verify' },
    trust: [other.certificate],
    want: /^deferred .*not for mx\.remote\.test/,
  },
  {
    name: 'verify: expired',
    pair: expired,
    config: { tls: 'verify' },
    trust: [expired.certificate],
    want: /^deferred .*CERT_HAS_EXPIRED/,
  },
  { name: 'none: not even where it is offered', config: { tls: 'none' }, want: /^delivered/, tls: false },
  {
    name: 'verify for this domain alone',
    config: { destinations: { 'remote.test': { tls: 'verify' } } },
    want: /^deferred .*not trusted/,
  },
  {
    name: 'DANE-EE by key',
    records: [tlsa(right.certificate)],
    want: /^delivered/,
    tls: true,
    event: { policy: { source: 'tlsa', policyStrings: [] } },
  },
  {
    name: 'DANE-EE by certificate, of another name and expired',
    pair: expired,
    records: [tlsa(expired.certificate, 3, 0)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE: another key',
    records: [tlsa(other.certificate)],
    want: /^deferred .*matches no TLSA record/,
    event: { failure: 'validation-failure' },
  },
  {
    name: 'DANE: a second record fits',
    records: [tlsa(other.certificate), tlsa(right.certificate)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE, and no STARTTLS: a strip attack',
    script: {},
    records: [tlsa(right.certificate)],
    want: /^deferred .*does not offer STARTTLS/,
  },
  {
    name: 'DANE-TA: the certificate is its own authority',
    records: [tlsa(right.certificate, 2, 0)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE-TA: of another name',
    pair: other,
    records: [tlsa(other.certificate, 2, 0)],
    want: /^deferred .*not for mx\.remote\.test or remote\.test/,
    event: { failure: 'certificate-host-mismatch' },
  },
  {
    name: 'DANE: only records that are not for SMTP: TLS, unverified',
    pair: other,
    records: [tlsa(right.certificate, 1)],
    want: /^delivered/,
    tls: true,
  },
  { name: 'DANE: the lookup of the records fails', records: 'SERVFAIL', want: /^deferred .*TLSA lookup/ },
  {
    name: 'DANE: the MX is not validated',
    insecure: 'remote.test',
    records: [tlsa(other.certificate)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE: the records are not validated',
    insecure: '_tcp',
    records: [tlsa(other.certificate)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE: a resolver that is not trusted',
    dnssec: false,
    records: [tlsa(other.certificate)],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'MTA-STS enforce: right',
    policy: policy('enforce'),
    dnssec: false,
    trust: [right.certificate, stsHost.certificate],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'MTA-STS enforce: no TLS',
    script: {},
    policy: policy('enforce'),
    dnssec: false,
    trust: [stsHost.certificate],
    want: /^deferred .*does not offer STARTTLS/,
  },
  {
    name: 'MTA-STS enforce: a certificate nobody vouches for',
    policy: policy('enforce'),
    dnssec: false,
    trust: [stsHost.certificate],
    want: /^deferred .*not trusted/,
    event: { failure: 'certificate-not-trusted' },
  },
  {
    name: 'MTA-STS enforce: a host that is not in it',
    policy: policy('enforce', '*.elsewhere.test'),
    dnssec: false,
    trust: [right.certificate, stsHost.certificate],
    want: /^deferred .*not among the hosts/,
  },
  {
    name: 'MTA-STS testing: delivered all the same',
    policy: policy('testing', 'no.test'),
    dnssec: false,
    trust: [stsHost.certificate],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'MTA-STS: its own host has no right certificate, so there is no policy',
    policy: policy('enforce', 'no.test'),
    dnssec: false,
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'DANE comes before MTA-STS',
    records: [tlsa(right.certificate)],
    policy: policy('enforce', 'no.test'),
    trust: [stsHost.certificate],
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'TLS-Required: No, and DANE finds another key: TLS all the same',
    records: [tlsa(other.certificate)],
    fields: 'TLS-Required: No\r\n',
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'TLS-Required: No, and no TLS at a host that MTA-STS wants it of',
    script: {},
    policy: policy('enforce'),
    dnssec: false,
    trust: [stsHost.certificate],
    fields: 'tls-required: no\r\n',
    want: /^delivered/,
    tls: false,
  },
  {
    name: 'TLS-Required twice counts for nothing',
    records: [tlsa(other.certificate)],
    fields: 'TLS-Required: No\r\nTLS-Required: No\r\n',
    want: /^deferred .*matches no TLSA record/,
  },
  {
    name: 'TLS-Required: No does not take back what the operator asks for',
    script: {},
    config: { tls: 'required' },
    fields: 'TLS-Required: No\r\n',
    want: /^deferred .*does not offer STARTTLS/,
  },
  {
    name: 'TLS-Required: No beside REQUIRETLS counts for nothing',
    records: [tlsa(other.certificate)],
    requireTls: true,
    fields: 'TLS-Required: No\r\n',
    want: /^deferred .*matches no TLSA record/,
  },
  {
    name: 'REQUIRETLS over DANE',
    records: [tlsa(right.certificate)],
    requireTls: true,
    want: /^delivered/,
    tls: true,
  },
  {
    name: 'REQUIRETLS, and nothing validates the MX',
    dnssec: false,
    requireTls: true,
    trust: [right.certificate],
    want: /^failed .*5\.7\.30/,
  },
  {
    name: 'REQUIRETLS to a server without it',
    script: { ...withTls, EHLO: '250 STARTTLS' },
    records: [tlsa(right.certificate)],
    requireTls: true,
    want: /^(failed|deferred) /,
  },
];

function policy(mode: string, mx = 'mx.remote.test'): string {
  return `version: STSv1\r\nmode: ${mode}\r\nmx: ${mx}\r\nmax_age: 86400\r\n`;
}

for (const each of cases) {
  test(each.name, async (t) => {
    const { outcome, tls, events } = await attempt(t, each);
    assert.match(outcome, each.want);
    if (each.tls !== undefined) assert.equal(tls, each.tls);
    const { event } = each;
    if (event?.failure !== undefined) assert.equal(events.at(0)?.failure, event.failure);
    if (event?.policy) assert.equal(events.at(0)?.policy.source, event.policy.source);
  });
}

async function attempt(t: TestContext, each: Case) {
  const {
    script = withTls,
    pair = right,
    records,
    insecure,
    dnssec = true,
    policy: text,
    trust,
    config,
  } = each;
  const mx = await serveScript(t, script, pair);
  const web = await serveWeb(t, text);
  const zone: ZoneData = {
    'remote.test': { MX: [{ exchange: 'mx.remote.test', preference: 10 }] },
    'mx.remote.test': { A: ['127.0.0.1'] },
    ...(records === undefined ? {} : { [`_${mx.port}._tcp.mx.remote.test`]: { TLSA: records } }),
    ...(text === undefined
      ? {}
      : { '_mta-sts.remote.test': { TXT: ['v=STSv1; id=1;'] }, 'mta-sts.remote.test': { A: ['127.0.0.1'] } }),
  };
  const served = await serveZone(zone, {
    secure: (name) => insecure === undefined || (name !== insecure && !name.includes(`.${insecure}.`)),
  });
  t.after(() => served.close());
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const caFile = join(directory, 'ca.pem');
  writeFileSync(caFile, (trust ?? [other.certificate]).join('\n'));
  const dnsInit = { servers: [served.address], timeoutMs: 2000, clock, log: silentLog };
  const dns = createDns(dnsInit);
  const state = openMemoryState({ clock, log: silentLog });
  t.after(() => state.close());
  const events: TlsEvent[] = [];
  const outbound = createOutbound({
    hostname: 'mx.ours.test',
    config: { ...outboundConfig, port: mx.port, caFile, ...config },
    lookup: createLookup(dns, dnssec ? createSecureDns(dnsInit) : undefined),
    findSts: createMtaSts({
      dns,
      state: state.forPlugin('outbound'),
      clock,
      log: silentLog,
      port: web,
      ca: trust ?? [],
    }),
    isOwn: () => false,
    log: silentLog,
    onTls: (event) => events.push(event),
  });
  t.after(() => outbound.close());
  const { recipients } = await outbound.send({
    id: 'T1',
    via: 'mx',
    sender: 'ann@ours.test',
    recipients: [{ id: 'r1', address: 'x@remote.test', original: 'x@remote.test', notify: [] }],
    envelope: { body: '7bit', smtputf8: false, requireTls: each.requireTls ?? false },
    rendered: render(memorySource(Buffer.from(`Subject: x\r\n${each.fields ?? ''}\r\nx\r\n`)), []),
  });
  const { outcome, reply, tls } = recipients[0]!;
  return {
    outcome: `${outcome} ${reply.code} ${reply.enhanced ?? ''} ${reply.text}`,
    tls: tls !== undefined,
    events,
  };
}

const outboundConfig: OutboundConfig = {
  port: 25,
  tls: 'opportunistic',
  dane: true,
  mtaSts: true,
  mtaStsPort: 443,
  addresses: [],
  connections: 10,
  connectionsPerDestination: 5,
  messagesPerConnection: 10,
  recipientsPerMessage: 100,
  messagesPerMinute: 0,
  destinations: {},
  connectTimeoutSeconds: 2,
};

/** Serves the policy; answers the port. */
async function serveWeb(t: TestContext, text: string | undefined): Promise<number> {
  const server = createServer({ cert: stsHost.certificate, key: stsHost.key }, (request, response) => {
    const found = request.url === '/.well-known/mta-sts.txt' && text !== undefined;
    response
      .writeHead(found ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8' })
      .end(found ? text : 'no');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

const policies: readonly { name: string; text: string; want: boolean }[] = [
  { name: 'whole', text: policy('enforce'), want: true },
  {
    name: 'LF alone, several mx, an unknown field',
    text: 'version: STSv1\nmode: testing\nmx: a.test\nmx: *.b.test\nnew: x\nmax_age: 1',
    want: true,
  },
  { name: 'none without mx', text: 'version: STSv1\nmode: none\nmax_age: 1', want: true },
  { name: 'no mx', text: 'version: STSv1\nmode: enforce\nmax_age: 1', want: false },
  { name: 'no age', text: 'version: STSv1\nmode: enforce\nmx: a.test', want: false },
  { name: 'another version', text: 'version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1', want: false },
  { name: 'another mode', text: 'version: STSv1\nmode: strict\nmx: a.test\nmax_age: 1', want: false },
];
for (const { name, text, want } of policies) {
  test(`a policy, ${name}: ${want ? 'read' : 'refused'}`, () => {
    assert.equal(parsePolicy(text) !== undefined, want);
  });
}

test('a wildcard of a policy stands for one label', () => {
  const found = parsePolicy(policy('enforce', '*.remote.test'))!;
  for (const [host, want] of [
    ['mx.remote.test', true],
    ['MX.REMOTE.TEST.', true],
    ['a.mx.remote.test', false],
    ['remote.test', false],
  ] as const) {
    assert.equal(policyNames(found, host), want, host);
  }
});

test('a policy is remembered past its TXT record and its web server', async (t) => {
  const port = await serveWeb(t, policy('enforce'));
  const served = await serveZone({
    '_mta-sts.remote.test': { TXT: ['v=STSv1; id=1;'] },
    'mta-sts.remote.test': { A: ['127.0.0.1'] },
  });
  t.after(() => served.close());
  let offset = 0;
  const moving = { now: () => Date.now() + offset, monotonicMs: () => performance.now() + offset };
  const dns = createDns({ servers: [served.address], timeoutMs: 1000, clock: moving, log: silentLog });
  const state = openMemoryState({ clock: moving, log: silentLog });
  t.after(() => state.close());
  const ca = [stsHost.certificate];
  const find = createMtaSts({
    dns,
    state: state.forPlugin('outbound'),
    clock: moving,
    log: silentLog,
    port,
    ca,
  });
  assert.equal((await find('remote.test'))?.mode, 'enforce');
  served.setZone({});
  offset = 2 * 3_600_000;
  assert.equal((await find('remote.test'))?.mode, 'enforce');
  offset = 25 * 3_600_000;
  assert.equal(await find('remote.test'), undefined);
});

test('a policy in use is fetched again after a day, and stays when that fails', async (t) => {
  const { find, served, web, pass } = await followPolicy(
    t,
    'version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 604800',
  );
  assert.deepEqual((await find())?.mx, ['a.test']);
  web.text = 'version: STSv1\nmode: enforce\nmx: b.test\nmax_age: 604800';
  pass(23);
  assert.deepEqual((await find())?.mx, ['a.test'], 'within a day it is not asked for');
  pass(2);
  assert.deepEqual((await find())?.mx, ['b.test']);
  web.text = undefined;
  pass(25);
  assert.deepEqual((await find())?.mx, ['b.test'], 'the web server is away');
  web.text = 'version: STSv1\nmode: none\nmax_age: 604800';
  served.setZone({ ...stsZone, '_mta-sts.remote.test': { TXT: ['v=STSv1; id=2;'] } });
  pass(1);
  assert.equal((await find())?.mode, 'none', 'another id: the owner gave it up');
});

const unfetched: readonly {
  name: string;
  status?: number;
  type?: string;
  location?: string;
  text?: string;
}[] = [
  { name: 'a redirect', status: 301, location: 'https://mta-sts.remote.test/elsewhere' },
  { name: 'an error of the server', status: 500 },
  { name: 'HTML', type: 'text/html' },
  { name: 'more than 64 KiB', text: `${policy('enforce')}${'x: y\n'.repeat(20_000)}` },
  { name: 'no policy', text: 'hello' },
];
for (const { name, ...answer } of unfetched) {
  test(`a policy that is answered with ${name} is none`, async (t) => {
    const { find, web } = await followPolicy(t, policy('enforce'));
    Object.assign(web, answer);
    assert.equal(await find(), undefined);
  });
}

for (const [name, texts] of [
  ['two records', ['v=STSv1; id=1;', 'v=STSv1; id=2;']],
  ['a record without an id', ['v=STSv1;']],
  ['another version', ['v=STSv2; id=1;']],
] as const) {
  test(`no policy is looked for: ${name}`, async (t) => {
    const { find, served } = await followPolicy(t, policy('enforce'));
    served.setZone({ ...stsZone, '_mta-sts.remote.test': { TXT: [...texts] } });
    assert.equal(await find(), undefined);
  });
}

const stsZone: ZoneData = {
  '_mta-sts.remote.test': { TXT: ['v=STSv1; id=1;'] },
  'mta-sts.remote.test': { A: ['127.0.0.1'] },
};

/** A domain whose policy may change, seen by one who remembers it; `pass` lets hours go by. */
async function followPolicy(t: TestContext, text: string) {
  const web: { text: string | undefined; status?: number; type?: string; location?: string } = { text };
  const server = createServer({ cert: stsHost.certificate, key: stsHost.key }, (_request, response) => {
    const { status = web.text === undefined ? 404 : 200, type = 'text/plain', location } = web;
    response.writeHead(status, { 'content-type': type, ...(location && { location }) }).end(web.text ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const served = await serveZone(stsZone, { ttlSeconds: 1 });
  t.after(() => served.close());
  let offset = 0;
  const moving = { now: () => Date.now() + offset, monotonicMs: () => performance.now() + offset };
  const dns = createDns({ servers: [served.address], timeoutMs: 1000, clock: moving, log: silentLog });
  const state = openMemoryState({ clock: moving, log: silentLog });
  t.after(() => state.close());
  const { port } = server.address() as { port: number };
  const ca = [stsHost.certificate];
  const find = createMtaSts({
    dns,
    state: state.forPlugin('outbound'),
    clock: moving,
    log: silentLog,
    port,
    ca,
  });
  const pass = (hours: number) => {
    offset += hours * 3_600_000;
  };
  return { find: () => find('remote.test'), served, web, pass };
}
