/** Delivery reports: structure, fields, what is returned. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DsnFacts, makeDsn, returnedMessageBytesMax } from '../../../core/mail/dsn.ts';
import { addHeader } from '../../../core/mail/edits.ts';
import type { Envelope, Recipient } from '../../../core/mail/envelope.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { fileSource, memorySource } from '../../kit/message-source.ts';

const recipient: Recipient = {
  id: 'r1',
  address: 'bob@inner.test',
  original: 'bob@example.test',
  notify: [],
  orcpt: 'rfc822;Bob@example.test',
};
const envelope: Envelope = {
  sender: 'alice@example.org',
  recipients: [recipient],
  body: '7bit',
  smtputf8: false,
  requireTls: false,
  envid: 'QQ314',
};
const message = 'From: alice@example.org\r\nSubject: hello\r\n\r\nthe body\r\n';
const facts: DsnFacts = {
  reportingMta: 'mx.example.test',
  arrivedAt: Date.UTC(2026, 10, 21, 6, 0, 0),
  now: Date.UTC(2026, 10, 21, 7, 0, 0),
  envelope,
  source: memorySource(message),
  recipients: [
    { recipient, action: 'failed', reply: { code: 550, enhanced: '5.1.1', text: 'no such user' } },
  ],
};

/** The three parts, header and body each. */
function parts(dsn: Uint8Array): { head: string; parts: string[] } {
  const text = Buffer.from(dsn).toString('utf8');
  assert.equal(text.replaceAll('\r\n', '').match(/[\r\n]/), null, 'only CRLF ends lines');
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1];
  const [head, ...rest] = text.split(`--${boundary}`);
  assert.equal(rest.pop(), '--\r\n');
  return { head: head!, parts: rest.map((part) => part.replace(/^\r\n|\r\n$/g, '')) };
}

test('a bounce', () => {
  const { head, parts: found } = parts(makeDsn(facts));
  for (const field of [
    'From: Mail Delivery System <MAILER-DAEMON@mx.example.test>\r\n',
    'To: <alice@example.org>\r\n',
    'Date: Sat, 21 Nov 2026 07:00:00 +0000\r\n',
    'Auto-Submitted: auto-replied\r\n',
    'Content-Type: multipart/report; report-type=delivery-status;',
  ]) {
    assert.ok(head.includes(field), field);
  }
  assert.match(found[0]!, /<bob@example\.test>[\s\S]*550 5\.1\.1 no such user/);
  assert.equal(
    found[1],
    [
      'Content-Type: message/delivery-status',
      '',
      'Original-Envelope-Id: QQ314',
      'Reporting-MTA: dns; mx.example.test',
      'Arrival-Date: Sat, 21 Nov 2026 06:00:00 +0000',
      '',
      'Original-Recipient: rfc822; Bob@example.test',
      'Final-Recipient: rfc822; bob@example.test',
      'Action: failed',
      'Status: 5.1.1',
      'Diagnostic-Code: smtp; 550 5.1.1 no such user',
      '',
    ].join('\r\n'),
  );
  assert.ok(found[0]!.startsWith('Content-Type: text/plain; charset=utf-8\r\n\r\n'), '7bit needs no saying');
  assert.equal(found[2], `Content-Type: message/rfc822\r\n\r\n${message}`);
  assert.ok(
    !Buffer.concat([Buffer.from(head)])
      .toString()
      .includes('inner.test'),
    'rewritten addresses stay inside',
  );
});

test('it parses as what it is', async () => {
  const parsed = await openMessage(memorySource(makeDsn(facts)), []).parsed();
  assert.ok(!parsed.tooLarge);
  assert.equal(parsed.subject, 'Undelivered mail returned to sender');
  assert.match(parsed.text ?? '', /no such user/);
});

const returned: { name: string; facts: Partial<DsnFacts>; type: string; body: boolean }[] = [
  { name: 'whole by default', facts: {}, type: 'message/rfc822', body: true },
  { name: 'RET=FULL', facts: { envelope: { ...envelope, ret: 'full' } }, type: 'message/rfc822', body: true },
  {
    name: 'RET=HDRS',
    facts: { envelope: { ...envelope, ret: 'hdrs' } },
    type: 'text/rfc822-headers',
    body: false,
  },
  {
    name: 'REQUIRETLS, which RET=FULL does not overrule',
    facts: { envelope: { ...envelope, ret: 'full', requireTls: true } },
    type: 'text/rfc822-headers',
    body: false,
  },
  {
    name: 'large',
    facts: { source: memorySource(message + 'x'.repeat(returnedMessageBytesMax)) },
    type: 'text/rfc822-headers',
    body: false,
  },
  {
    name: 'delay',
    facts: { recipients: [{ ...facts.recipients[0]!, action: 'delayed' }] },
    type: 'text/rfc822-headers',
    body: false,
  },
  {
    name: 'SMTPUTF8',
    facts: { envelope: { ...envelope, smtputf8: true } },
    type: 'message/global',
    body: true,
  },
];
for (const { name, facts: other, type, body } of returned) {
  test(`returned: ${name}`, () => {
    const part = parts(makeDsn({ ...facts, ...other })).parts[2]!;
    assert.ok(part.startsWith(`Content-Type: ${type}\r\n`), part.slice(0, 60));
    assert.equal(part.includes('the body'), body);
    assert.ok(part.includes('Subject: hello'));
  });
}

test('returned: header alone from a spool file, edits applied, 8bit said', (t) => {
  const source = fileSource(t, `Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\n${'x'.repeat(1000)}`);
  const part = parts(makeDsn({ ...facts, source, edits: [addHeader('X-Added', 'yes')] })).parts[2]!;
  assert.ok(part.startsWith('Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'));
  assert.ok(part.includes('Subject: grüße\r\nX-Added: yes\r\n'));
  assert.ok(!part.includes('xxx'));
});

test('a long header is cut at a line', () => {
  const source = memorySource(`Subject: hello\r\n${'A: 0123456789\r\n'.repeat(20_000)}\r\nx`);
  const part = parts(makeDsn({ ...facts, source, envelope: { ...envelope, ret: 'hdrs' } })).parts[2]!;
  assert.ok(part.length < 70_000);
  assert.ok(part.endsWith('A: 0123456789\r\n'));
});

test('what a remote server says stays in its field', () => {
  const reply = { code: 550, text: 'no\nX-Evil: yes\r\nAction: delivered \u00fc\0' };
  const dsn = makeDsn({
    ...facts,
    recipients: [{ recipient, action: 'failed', reply, remoteMta: 'evil\r\nStatus: 2.0.0' }],
  });
  const status = parts(dsn).parts[1]!;
  assert.equal(status.match(/^Action:/gm)?.length, 1);
  assert.equal(status.match(/^Status:/gm)?.length, 1);
  assert.equal(status.match(/^X-Evil:/gm), null);
  assert.ok(status.includes('Status: 5.0.0'));
  assert.ok([...status].every((character) => character < '\x7f'));
});

test('addresses beyond US-ASCII: the global form', () => {
  const bob = { ...recipient, original: 'bób@bücher.example', orcpt: undefined };
  const dsn = makeDsn({
    ...facts,
    envelope: { ...envelope, smtputf8: true, sender: 'jürg@example.org' },
    recipients: [{ ...facts.recipients[0]!, recipient: bob }],
  });
  const { head, parts: found } = parts(dsn);
  assert.ok(head.includes('To: <jürg@example.org>\r\n'));
  assert.ok(
    found[1]!.startsWith(
      'Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n',
    ),
  );
  assert.ok(found[1]!.includes('Final-Recipient: utf-8; bób@bücher.example\r\n'));
});

test('several recipients, and times', () => {
  const second = {
    recipient: { ...recipient, id: 'r2', original: 'carol@example.test', orcpt: undefined },
    action: 'delayed' as const,
    reply: { code: 451, enhanced: '4.4.1', text: 'no answer' },
    remoteMta: 'mx.far.test',
    lastAttemptAt: facts.now,
    retryUntil: Date.UTC(2026, 10, 26),
  };
  const status = parts(makeDsn({ ...facts, recipients: [...facts.recipients, second] })).parts[1]!;
  assert.equal(status.split('\r\n\r\n').length, 4);
  assert.ok(status.includes('Remote-MTA: dns; mx.far.test\r\n'));
  assert.ok(status.includes('Will-Retry-Until: Thu, 26 Nov 2026 00:00:00 +0000\r\n'));
  assert.ok(status.includes('Last-Attempt-Date: Sat, 21 Nov 2026 07:00:00 +0000\r\n'));
});
