/** Aggregate reports: what was counted yesterday is printed, written and mailed, once, to those who want it. RFC 9990. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { verifyDkim } from '../../core/auth/dkim/verify.ts';
import { reportKeys } from '../../core/auth/dmarc/report-state.ts';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { memoryDns, type ZoneData } from '../../core/net/dns-zone.ts';
import { openState } from '../../core/state/store.ts';
import { runCommand } from '../kit/command.ts';
import { serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { startServer, until } from '../kit/server.ts';

const yesterday = new Date(Date.now() - 24 * 3600 * 1000).toISOString().slice(0, 10);
const today = new Date().toISOString().slice(0, 10);
const signingKey = makeSigningKey('rsa');

/** What the plugin would have counted. */
async function remember(directory: string): Promise<void> {
  const state = openState({ engine: 'sqlite', directory, clock: systemClock, log: silentLog });
  const keys = state.forPlugin('dmarc');
  const row = {
    sourceIp: '192.0.2.1',
    disposition: 'reject',
    dkimAligned: false,
    spfAligned: false,
    headerFrom: 'remote.test',
    envelopeFrom: 'evil.test',
    dkim: [],
  };
  for (const [day, domain, reportTo] of [
    [yesterday, 'remote.test', ['dmarc@remote.test', 'other@elsewhere.test', 'agreed@reports.test']],
    [today, 'remote.test', ['dmarc@remote.test']],
  ] as const) {
    const names = reportKeys(day, domain);
    const policy = {
      domain,
      policy: 'reject',
      dkimAlignment: 'relaxed',
      spfAlignment: 'relaxed',
      testing: false,
      discovery: 'treewalk',
    };
    await keys.set(names.policy, { ...policy, reportTo: [...reportTo] });
    await keys.set(names.row('a'), row);
    await keys.set(names.count('a'), 7);
  }
  await state.close();
}

test('yesterday is mailed to the domain and to who agreed, signed, and once; the command shows it', async (t) => {
  const mx = await serveScript(t, { EHLO: '250 hi' }, { host: '127.0.0.2' });
  const host = { MX: [{ exchange: 'mx.remote.test', preference: 10 }] };
  const zone: ZoneData = {
    'remote.test': host,
    'reports.test': host,
    'elsewhere.test': host,
    'mx.remote.test': { A: ['127.0.0.2'] },
    'remote.test._report._dmarc.reports.test': { TXT: ['v=DMARC1;'] },
    's1._domainkey.example.test': { TXT: [keyRecord(signingKey)] },
  };
  const dns = await serveZone(zone);
  t.after(() => dns.close());
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-reports-'));
  await remember(join(directory, 'data/state'));
  const server = await startServer({
    directory,
    files: { 's1.pem': signingKey.export({ type: 'pkcs8', format: 'pem' }) as string },
    config: {
      dns: { servers: [dns.address] },
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: 'mx' },
      ],
      outbound: { port: mx.port, connectTimeoutSeconds: 2 },
      sendPipeline: 'outbound',
      pipelines: {
        inbound: ['spf', 'dkim-verify', { plugin: 'dmarc', options: { reports: true } }],
        outbound: [
          { plugin: 'dkim-sign', options: { domain: 'example.test', selector: 's1', keyFile: 's1.pem' } },
        ],
      },
    },
  });
  t.after(() => server.stop());
  const mails = () => mx.heard.filter((line) => line.includes('Subject: Report Domain: remote.test'));
  await until('both mails', () => mails().length === 2, 20_000);
  const recipients = mx.heard
    .filter((line) => line.startsWith('RCPT'))
    .map((line) => /<(.*)>/.exec(line)![1]);
  assert.deepEqual(recipients.sort(), ['agreed@reports.test', 'dmarc@remote.test']);
  const text = `${mails()[0]!
    .replace(/\r\n\.$/, '')
    .replace(/\r\n\.\./g, '\r\n.')}\r\n`;
  const [signature] = await verifyDkim(openMessage(memorySource(text), []), memoryDns(zone), {
    now: Date.now(),
  });
  assert.equal(signature?.result, 'pass');
  const [, attachment = ''] = text.split('\r\n\r\n');
  const xml = gunzipSync(Buffer.from(attachment, 'base64')).toString();
  assert.match(xml, /<domain>remote\.test<\/domain>/);
  assert.match(xml, /<count>7<\/count>\n<policy_evaluated>\n<disposition>reject<\/disposition>/);

  const printed = await runCommand(['auth', 'dmarc-report', '-c', server.configFile, '--day', yesterday]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /<source_ip>192\.0\.2\.1<\/source_ip>/);
  const folder = join(directory, 'reports');
  await runCommand(['auth', 'dmarc-report', '-c', server.configFile, '--directory', folder]);
  const files = readdirSync(folder);
  assert.equal(files.length, 2);
  assert.match(gunzipSync(readFileSync(join(folder, files[0]!))).toString(), /^<\?xml/);
  const json = await runCommand([
    'auth',
    'dmarc-report',
    '-c',
    server.configFile,
    '--json',
    '--domain',
    'none.test',
  ]);
  assert.deepEqual(JSON.parse(json.stdout), []);
});
