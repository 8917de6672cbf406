/** `mailfilter doctor`: what keeps mail from coming and going, as DNS, disk and queue tell it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { openQueue } from '../../src/queue/open.ts';
import { runCommand } from '../kit/command.ts';
import { serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';

const key = makeSigningKey('ed25519', 0);
const good: ZoneData = {
  'mx.ours.test': { A: ['192.0.2.25'], AAAA: ['2001:db8::25'] },
  '192.0.2.25': { PTR: ['mx.ours.test'] },
  '2001:db8::25': { PTR: ['mx.ours.test'] },
  'ours.test': { MX: [{ preference: 10, exchange: 'mx.ours.test' }], TXT: ['v=spf1 mx -all'] },
  's1._domainkey.ours.test': { TXT: [keyRecord(key)] },
  '_dmarc.ours.test': { TXT: ['v=DMARC1; p=quarantine'] },
  '_smtp._tls.ours.test': { TXT: ['v=TLSRPTv1; rua=mailto:tls@ours.test'] },
};

/** A line for each finding but those of `check`. */
async function doctor(t: TestContext, zone: ZoneData, args: string[] = []) {
  const dns = await serveZone(zone);
  t.after(() => dns.close());
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-doctor-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 's1.pem'), key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  const options = { domain: 'ours.test', selector: 's1', keyFile: 's1.pem' };
  const config = join(folder, 'mailfilter.json');
  writeFileSync(
    config,
    JSON.stringify({
      hostname: 'mx.ours.test',
      dataDirectory: 'data',
      domains: ['ours.test'],
      pipelines: { outbound: [{ plugin: 'dkim-sign', options }] },
      dns: { servers: [dns.address] },
    }),
  );
  const run = async (...more: string[]) => {
    const { code, stdout, stderr } = await runCommand(['doctor', ...args, ...more, '-c', config]);
    assert.equal(stderr, '');
    return { code, stdout };
  };
  const lines = async () => {
    const { code, stdout } = await run('--json');
    const findings = JSON.parse(stdout) as Record<'severity' | 'area' | 'where' | 'what', string>[];
    const areas = ['host', 'mx', 'spf', 'dkim', 'dmarc', 'tls', 'queue', 'disk', 'server'];
    const told = findings.filter(({ area }) => areas.includes(area));
    return { code, lines: told.map(({ severity, area, what }) => `${severity} ${area}: ${what}`) };
  };
  return { folder, run, lines };
}

test('a domain that is set up', async (t) => {
  const { lines, run } = await doctor(t, good);
  const { lines: all } = await lines();
  assert.deepEqual(
    all.filter((line) => !/^\w+ (disk|server)/.test(line)),
    [
      'ok host: 192.0.2.25 leads back to the name',
      'ok host: 2001:db8::25 leads back to the name',
      'ok mx: mx.ours.test',
      'ok spf: pass for 192.0.2.25 mx',
      'ok spf: pass for 2001:db8::25 mx',
      all.find((line) => /^ok dkim: is the key of .*s1\.pem$/.test(line)),
      'ok dmarc: policy quarantine',
      'note tls: has no MTA-STS policy (_mta-sts)',
      'ok tls: has address for TLS reports',
    ],
  );
  const { stdout } = await run();
  assert.match(stdout, /^ok +spf +ours\.test +pass for 192\.0\.2\.25 mx$/m);
});

const troubles: readonly { name: string; zone: ZoneData; want: RegExp[]; domain?: string }[] = [
  {
    name: 'nothing in DNS at all',
    zone: {},
    want: [
      /^error host: has no address/,
      /^error mx: no MX record and no address/,
      /^error spf: no SPF record/,
      /^error dkim: no record/,
      /^warning dmarc: no record/,
    ],
  },
  {
    name: 'names that lead elsewhere',
    zone: {
      ...good,
      '192.0.2.25': { PTR: ['dsl-25.provider.test'] },
      'ours.test': {
        MX: [{ preference: 10, exchange: 'gone.ours.test' }],
        TXT: ['v=spf1 ip4:192.0.2.99 -all'],
      },
      's1._domainkey.ours.test': { TXT: [keyRecord(makeSigningKey('ed25519', 0))] },
      '_dmarc.ours.test': { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] },
    },
    want: [
      /^warning host: 192\.0\.2\.25 is called dsl-25\.provider\.test, not mx\.ours\.test/,
      /^error mx: gone\.ours\.test has no address/,
      /^error spf: fail for 192\.0\.2\.25 -all/,
      /^error dkim: is not the key of /,
      /^error dmarc: several records/,
    ],
  },
  {
    name: 'a domain of somebody else',
    domain: 'other.test',
    zone: { ...good, 'other.test': { MX: [{ preference: 0, exchange: '' }], TXT: ['v=spf1 all:x'] } },
    want: [
      /^error mx: says that it takes no mail/,
      /^error spf: cannot be used/,
      /^warning dkim: no dkim-sign/,
    ],
  },
];
for (const { name, zone, want, domain } of troubles) {
  test(`told: ${name}`, async (t) => {
    const { lines } = await doctor(t, zone, domain === undefined ? [] : [domain]);
    const { code, lines: told } = await lines();
    assert.equal(code, 1);
    for (const wanted of want)
      assert.ok(
        told.some((line) => wanted.test(line)),
        `${wanted} in\n${told.join('\n')}`,
      );
  });
}

test('mail that waits for long is told with its reason', async (t) => {
  const { folder, lines } = await doctor(t, good);
  const queue = openQueue({
    directory: join(folder, 'data', 'queue'),
    retrySeconds: [60],
    expireSeconds: 400_000,
    clock: systemClock,
    log: silentLog,
  });
  const recipient = { id: 'r1', address: 'a@far.test', original: 'a@far.test', notify: [] };
  const entry = {
    id: 'T1/r1/0',
    transactionId: 'T1',
    work: { kind: 'relay', via: 'mx', recipients: [recipient] },
    envelope: { sender: '', recipients: [recipient], body: '7bit', smtputf8: false, requireTls: false },
    edits: [],
    createdAt: Date.now() - 6 * 3_600_000,
    lastError: 'no answer',
  } as const;
  await queue.enqueue([entry], memorySource('Subject: x\r\n\r\n'));
  await queue.close();
  const { lines: told } = await lines();
  assert.ok(
    told.some((line) => /^ok queue: 1 wait, 0 are held/.test(line)),
    told.join('\n'),
  );
  assert.ok(
    told.some((line) => /^warning queue: 1 wait, the oldest since 6h.*: no answer$/.test(line)),
    told.join('\n'),
  );
});
