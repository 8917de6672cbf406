/** Mail for other hosts in the flow: send hooks once, one attempt for many recipients, and what each answer becomes. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RouteConfig } from '../../core/config/config.ts';
import type { Recipient } from '../../core/mail/envelope.ts';
import { bounce, notify } from '../../src/flow/bounce.ts';
import { relay } from '../../src/flow/relay.ts';
import type { RecipientOutcome } from '../../src/outbound/outbound.ts';
import type { QueueEntry, SentForm } from '../../src/queue/queue.ts';
import { FakeHouse, type FakeHouseInit, send } from '../kit/fake-house.ts';

const to = ['x@else.test', 'y@else.test', 'z@else.test'];

async function sent(t: TestContext, init: FakeHouseInit = {}, more: Partial<Recipient> = {}) {
  const fake = new FakeHouse(t, init);
  await send(fake, { connection: { trusted: true }, to });
  const found = fake.entries();
  const entries = found.map(({ entry }): QueueEntry => {
    const { work } = entry;
    if (work.kind !== 'relay') return entry;
    return { ...entry, work: { ...work, recipients: work.recipients.map((each) => ({ ...each, ...more })) } };
  });
  return { fake, entries, source: found[0]!.source };
}

const answers: RecipientOutcome[] = [
  {
    outcome: 'delivered',
    reply: { code: 250, enhanced: '2.0.0', text: 'taken' },
    remoteMta: 'mx [192.0.2.1]',
  },
  {
    outcome: 'deferred',
    reply: { code: 451, enhanced: '4.2.0', text: 'greylisted' },
    remoteMta: 'mx [192.0.2.1]',
  },
  { outcome: 'failed', reply: { code: 550, enhanced: '5.1.1', text: 'nobody' }, remoteMta: 'mx [192.0.2.1]' },
];

test('each recipient has its own end', async (t) => {
  const { fake, entries, source } = await sent(t);
  fake.outboundResult = () => ({ recipients: answers, destination: 'up' });
  const { attempts, destination } = await relay(fake.house, entries, source, async () => {});
  assert.equal(destination, 'up');
  assert.deepEqual(attempts, [
    { outcome: 'done' },
    { outcome: 'retry', reason: '451 4.2.0 greylisted', remoteMta: 'mx [192.0.2.1]' },
    { outcome: 'failed', reply: { ...answers[2]!.reply, remoteMta: 'mx [192.0.2.1]' } },
  ]);
  assert.deepEqual(
    fake.sent.map((mail) => mail.recipients.map(({ address }) => address)),
    [to],
  );
  assert.deepEqual(
    fake.notes.map(({ id, event }) => [id.split('/')[1], event]),
    [
      ['r1', 'sent'],
      ['r2', 'send-deferred'],
      ['r3', 'send-failed'],
    ],
  );
});

test('the send hooks run once: what they made is kept, and sent', async (t) => {
  let runs = 0;
  const { fake, entries, source } = await sent(t, {
    hooks: {
      send: () => {
        runs += 1;
        return {
          edits: [
            { type: 'addHeader', name: 'X-Signed', value: 'yes' },
            { type: 'changeSender', address: 'SRS0=x@example.test' },
          ],
        };
      },
    },
  });
  const kept: SentForm[] = [];
  await relay(fake.house, entries, source, async (form) => void kept.push(form));
  assert.equal(runs, 1);
  assert.deepEqual(kept, [
    { sender: 'SRS0=x@example.test', edits: [{ type: 'addHeader', name: 'X-Signed', value: 'yes' }] },
  ]);
  assert.equal(fake.sent[0]!.sender, 'SRS0=x@example.test');
  const header = Buffer.concat(fake.sent[0]!.rendered.header).toString();
  assert.match(header, /^X-Signed: yes\r$/m);
  assert.match(header, /^Received: /m);
  const later = entries.map((entry) => ({
    ...entry,
    work: { ...entry.work, sent: kept[0] } as QueueEntry['work'],
  }));
  await relay(fake.house, later, source, async () => assert.fail('kept twice'));
  assert.equal(runs, 1);
  assert.match(Buffer.concat(fake.sent[1]!.rendered.header).toString(), /^X-Signed: yes\r$/m);
});

const verdicts = [
  { action: 'tempfail', code: 451, enhanced: '4.3.0', text: 'key is gone', want: 'retry' },
  { action: 'reject', code: 550, enhanced: '5.7.1', text: 'not this', want: 'failed' },
  { action: 'discard', reason: 'x', want: 'done' },
  { action: 'quarantine', reason: 'x', want: 'failed' },
] as const;
for (const { want, ...verdict } of verdicts) {
  test(`a send hook that says ${verdict.action}: ${want}, and nothing is sent`, async (t) => {
    const { fake, entries, source } = await sent(t, { hooks: { send: () => ({ verdict }) } });
    const { attempts } = await relay(fake.house, entries, source, async () => assert.fail('kept'));
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      [want, want, want],
    );
    assert.equal(fake.sent.length, 0);
  });
}

const routes: RouteConfig[] = [
  {
    to: '*',
    from: 'authenticated',
    action: { kind: 'relay', via: 'smtp://ann@out.test', password: 'secret' },
  },
];

test('the password is that of the config as it is now', async (t) => {
  const { fake, entries, source } = await sent(t, { routes });
  await relay(fake.house, entries, source, async () => {});
  assert.equal(fake.sent[0]!.password, 'secret');
  assert.equal(fake.sent[0]!.via, 'smtp://ann@out.test');
});

test('mail whose route is gone from the config goes the way of today', async (t) => {
  const { fake, entries, source } = await sent(t, { routes });
  const old = entries.map((entry) => ({
    ...entry,
    work: { ...entry.work, via: 'old.test' } as QueueEntry['work'],
  }));
  await relay(fake.house, old, source, async () => {});
  assert.deepEqual([fake.sent[0]!.via, fake.sent[0]!.password], ['smtp://ann@out.test', 'secret']);
});

test('NOTIFY=SUCCESS is answered here where the next server does not report', async (t) => {
  const { fake, entries, source } = await sent(t, {}, { notify: ['success'] });
  for (const [reportsOn, want] of [
    [true, undefined],
    [false, 'relayed'],
  ] as const) {
    fake.outboundResult = () => ({
      recipients: answers.map((each) => ({ ...each, reportsOn })),
      destination: 'up',
    });
    const { attempts } = await relay(fake.house, entries, source, async () => {});
    const [first] = attempts;
    assert.equal(first?.outcome === 'done' ? first.notice?.action : 'none', want);
  }
});

test('one report tells of all that failed, in the words of the server', async (t) => {
  const { fake, entries, source } = await sent(t);
  fake.kept.length = 0;
  const reply = { ...answers[2]!.reply, remoteMta: 'mx.else.test [192.0.2.1]' };
  await bounce(
    fake.house,
    entries.map((entry) => ({ entry, reply })),
    source,
  );
  const text = await fake.text();
  assert.equal(fake.kept.length, 1);
  for (const address of to) assert.match(text, new RegExp(`^Final-Recipient: rfc822; ${address}\r$`, 'm'));
  assert.match(text, /^Remote-MTA: dns; mx\.else\.test \[192\.0\.2\.1\]\r$/m);
  assert.match(text, /^Diagnostic-Code: smtp; 550 5\.1\.1 nobody\r$/m);
});

test('past the limit of reports to one sender the next one waits', async (t) => {
  const { fake, entries, source } = await sent(t);
  fake.mayBounce = false;
  await assert.rejects(
    bounce(fake.house, [{ entry: entries[0]!, reply: answers[2]!.reply }], source),
    /too many/,
  );
});

test('a notice of delay says until when we try', async (t) => {
  const { fake, entries, source } = await sent(t);
  fake.kept.length = 0;
  const recipient = { id: 'r1', address: to[0]!, original: to[0]!, notify: [] };
  const report = {
    recipient,
    reply: { code: 451, enhanced: '4.4.1', text: 'no answer' },
    retryUntil: Date.UTC(2026, 0, 9),
  };
  const told = await notify(
    fake.house,
    entries[0]!,
    { kind: 'notice', action: 'delayed', reports: [report] },
    source,
  );
  assert.equal(told.outcome, 'done');
  const text = await fake.text();
  assert.match(text, /^Action: delayed\r$/m);
  assert.match(text, /^Will-Retry-Until: Fri, 9 Jan 2026 00:00:00 \+0000\r$/m);
});
