/** TLS reports: what was counted on a day is what the domain gets on the next, once, as RFC 8460 writes it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { silentLog } from '../../core/base/log.ts';
import { memoryDns } from '../../core/net/dns-zone.ts';
import { openMemoryState } from '../../core/state/memory.ts';
import type { TlsEvent } from '../../src/outbound/send.ts';
import { createTlsReports } from '../../src/outbound/tls-report.ts';
import { scriptedPair } from '../kit/scripted-smtp.ts';

const good: TlsEvent = {
  domain: 'remote.test',
  host: 'mx.remote.test',
  ip: '192.0.2.1',
  localIp: '192.0.2.9',
  policy: { source: 'sts', policyStrings: ['version: STSv1', 'mode: enforce'] },
  stsMx: ['mx.remote.test'],
};
const bad: TlsEvent = { ...good, failure: 'certificate-expired', reason: 'CERT_HAS_EXPIRED' };

function setUp(t: { after(work: () => unknown): void }, rua = 'mailto:tls@remote.test') {
  const clock = { at: Date.UTC(2026, 10, 20, 23, 50), now: () => clock.at, monotonicMs: () => clock.at };
  const state = openMemoryState({ clock, log: silentLog });
  t.after(() => state.close());
  const sent: { id: string; recipient: string; text: string }[] = [];
  const reports = createTlsReports({
    hostname: 'mx.ours.test',
    from: 'postmaster@ours.test',
    dns: memoryDns({ '_smtp._tls.remote.test': { TXT: [`v=TLSRPTv1; rua=${rua}`] } }),
    state: state.forPlugin('outbound'),
    clock,
    log: silentLog,
    submit: async (id, recipient, message) => void sent.push({ id, recipient, text: message.toString() }),
  });
  t.after(() => reports.close());
  return { clock, sent, reports };
}

test('a day is counted, and reported once when it is over', async (t) => {
  const { clock, sent, reports } = setUp(t);
  for (const event of [good, good, bad]) reports.count(event);
  await reports.send();
  assert.deepEqual(sent, [], 'the day is not over');
  reports.count(bad);
  clock.at += 3_600_000;
  reports.count(good);
  await reports.send();
  await reports.send();
  assert.equal(sent.length, 1);
  const [{ recipient, text }] = sent as [(typeof sent)[number]];
  assert.equal(recipient, 'tls@remote.test');
  assert.match(text, /^TLS-Report-Domain: remote\.test\r$/m);
  assert.match(text, /report-type="tlsrpt"/);
  const base64 = /tlsrpt\+gzip[\s\S]*?\r\n\r\n([\s\S]*?)\r\n\r\n--/.exec(text)![1]!;
  const report = JSON.parse(gunzipSync(Buffer.from(base64, 'base64')).toString());
  assert.deepEqual(report['date-range'], {
    'start-datetime': '2026-11-20T00:00:00Z',
    'end-datetime': '2026-11-20T23:59:59Z',
  });
  assert.deepEqual(report.policies, [
    {
      policy: {
        'policy-type': 'sts',
        'policy-domain': 'remote.test',
        'policy-string': ['version: STSv1', 'mode: enforce'],
        'mx-host': ['mx.remote.test'],
      },
      summary: { 'total-successful-session-count': 2, 'total-failure-session-count': 2 },
      'failure-details': [
        {
          'result-type': 'certificate-expired',
          'sending-mta-ip': '192.0.2.9',
          'receiving-mx-hostname': 'mx.remote.test',
          'receiving-ip': '192.0.2.1',
          'failed-session-count': 2,
          'failure-reason-code': 'CERT_HAS_EXPIRED',
        },
      ],
    },
  ]);
});

test('a domain that asks for none gets none', async (t) => {
  const { clock, sent, reports } = setUp(t);
  reports.count({ ...good, domain: 'quiet.test' });
  clock.at += 86_400_000;
  await reports.send();
  assert.deepEqual(sent, []);
});

test('a report goes by HTTPS where it is asked for, again after a refusal, and by mail as well', async (t) => {
  const heard: { path: string; method: string; type: string; body: Buffer }[] = [];
  // RFC 8460 section 3: a certificate that nobody vouches for does not keep it back.
  const server = createServer(
    { cert: scriptedPair.certificate, key: scriptedPair.key },
    async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { url: path = '', method = '', headers } = request;
      heard.push({ path, method, type: headers['content-type'] ?? '', body: Buffer.concat(chunks) });
      response.writeHead(heard.length === 1 ? 503 : 201).end();
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const { clock, sent, reports } = setUp(t, `https://127.0.0.1:${port}/tls?x=1,mailto:tls@remote.test`);
  reports.count(bad);
  clock.at += 86_400_000;
  await reports.send();
  assert.deepEqual([heard.length, sent.length], [1, 0], 'a refusal: the day stays');
  await reports.send();
  await reports.send();
  assert.deepEqual(
    heard.map(({ path, method, type }) => `${method} ${path} ${type}`),
    Array(2).fill('POST /tls?x=1 application/tlsrpt+gzip'),
  );
  assert.equal(sent.length, 1);
  const report = JSON.parse(gunzipSync(heard[1]!.body).toString());
  assert.deepEqual(report.policies[0].summary, {
    'total-successful-session-count': 0,
    'total-failure-session-count': 1,
  });
});
