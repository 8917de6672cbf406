/** `mailfilter explain`: finds a trace by any of its ids and tells it in words that hold what an operator asks for. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { openTraceStore, type TraceStore } from '../../core/state/trace-store.ts';
import type { WalkTrace } from '../../src/flow/house.ts';
import { runCommand } from '../kit/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-explain-'));
const config = join(folder, 'mailfilter.json');
let store: TraceStore<WalkTrace>;

const at = Date.now();
const trace: WalkTrace = {
  id: 'T1',
  at,
  ms: 12,
  connection: {
    id: 'c1',
    door: 'smtp',
    listener: 'mx',
    localIp: '192.0.2.1',
    localPort: 25,
    remoteIp: '198.51.100.7',
    remotePort: 4711,
    remoteName: '',
    trusted: false,
    openedAt: at,
  },
  session: { helo: 'client.example', esmtp: true, tls: { protocol: 'TLSv1.3', cipher: 'X' } },
  envelope: {
    sender: 'a@x.example',
    recipients: [{ id: 'r1', address: 'alice@example.org', original: 'alice@example.org', notify: [] }],
    body: '8bitmime',
    smtputf8: false,
    requireTls: false,
  },
  messageId: '<m1@x.example>',
  length: 1234,
  entries: [
    {
      stage: 'connect',
      plugin: 'dnsbl',
      at,
      ms: 3.25,
      asked: [{ what: 'a 7.100.51.198.bl.example', answer: ['127.0.0.2'], ms: 3 }],
      score: 2,
    },
    {
      stage: 'message',
      plugin: 'my-plugin',
      at,
      ms: 1,
      edits: [{ type: 'addHeader', name: 'X-Seen', value: 'yes\u001b[2J' }],
      failure: { kind: 'throw', message: 'no such thing', policy: 'continue' },
    },
    {
      stage: 'message',
      plugin: 'on-trial',
      at,
      ms: 1,
      edits: [{ type: 'deleteHeader', name: 'Subject', nth: 'all' }],
      breaksSignatures: ['x.example', 'list.example'],
      shadow: true,
    },
  ],
  outcome: 'accepted',
  replies: [{ code: 250, enhanced: '2.0.0', text: 'accepted as T1' }],
  recipients: { 'alice@example.org': 'deliver' },
};

before(() => {
  writeFileSync(config, JSON.stringify({ hostname: 'mx.example.org', dataDirectory: 'data' }));
  const directory = join(folder, 'data/state');
  mkdirSync(directory, { recursive: true });
  store = openTraceStore<WalkTrace>({
    directory,
    retentionDays: 7,
    retentionBytes: 1e9,
    clock: systemClock,
    log: silentLog,
  });
  store.write(trace);
  store.append('T1/r1/1', { at, event: 'stored', path: '/mail/alice/new/1' });
  store.flush();
});
after(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const id of ['T1', 'T1/r1/1', '<m1@x.example>', 'm1@x.example']) {
  test(`by ${id}, while the server has the store open`, async () => {
    const { code, stdout, stderr } = await runCommand(['explain', '-c', config, id]);
    assert.equal(code, 0, stderr);
    for (const fact of [
      'T1: accepted in 12 ms',
      'answered 250 2.0.0 accepted as T1',
      '198.51.100.7, calls itself client.example',
      'mx (smtp), TLSv1.3',
      '<a@x.example>',
      'alice@example.org',
      '1234 octets',
      'score 2',
      'asked a 7.100.51.198.bl.example: ["127.0.0.2"] (3 ms)',
      'FAILED (throw): no such thing, so continue',
      '+ X-Seen: yes\\x1b[2J',
      'SHADOW, so nothing of this counted; - Subject; breaks the DKIM signature of x.example, list.example',
      'stored path=/mail/alice/new/1',
    ]) {
      assert.ok(stdout.includes(fact), `${fact} is missing from\n${stdout}`);
    }
  });
}

test('--json gives the record', async () => {
  const { stdout } = await runCommand(['explain', '-c', config, 'T1', '--json']);
  assert.partialDeepStrictEqual(JSON.parse(stdout), [
    { id: 'T1', length: 1234, parts: [{ event: 'stored' }] },
  ]);
});

test('what is not there', async () => {
  const { code, stderr } = await runCommand(['explain', '-c', config, 'T2']);
  assert.equal(code, 1);
  assert.match(stderr, /no trace of "T2"/);
});
