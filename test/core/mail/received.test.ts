/** Received fields: ours, and those of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatField } from '../../../core/mail/format-field.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import {
  formatReceived,
  parseReceived,
  type ReceivedFacts,
  receivedClause,
  receivedFromIp,
  writeReceived,
} from '../../../core/mail/received.ts';
import { memorySource, messageFiles, readMessage } from '../../kit/message-source.ts';
import { requireSuite } from '../../kit/require.ts';

const facts: ReceivedFacts = {
  helo: 'client.example',
  ip: '192.0.2.1',
  remoteName: 'host.example',
  hostname: 'mx.example.test',
  lmtp: false,
  esmtp: true,
  smtputf8: false,
  authenticated: false,
  id: 'abc123',
  recipients: ['a@example.test'],
  date: Date.UTC(2026, 10, 21, 6, 0, 0),
};
const date = 'Sat, 21 Nov 2026 06:00:00 +0000';

test('ours', () => {
  assert.equal(
    formatReceived({
      ...facts,
      tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
      authenticated: true,
    }),
    `from client.example (host.example [192.0.2.1])\r\n\tby mx.example.test with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid abc123 for <a@example.test>;\r\n\t${date}`,
  );
});

const tls = { protocol: 'TLSv1.3', cipher: 'X' };
const protocols: [Partial<ReceivedFacts>, string][] = [
  [{ esmtp: false }, 'SMTP'],
  [{}, 'ESMTP'],
  [{ tls }, 'ESMTPS'],
  [{ authenticated: true }, 'ESMTPA'],
  [{ lmtp: true }, 'LMTP'],
  [{ lmtp: true, tls, authenticated: true }, 'LMTPSA'],
  [{ smtputf8: true }, 'UTF8SMTP'],
  [{ smtputf8: true, tls, authenticated: true }, 'UTF8SMTPSA'],
  [{ smtputf8: true, lmtp: true, tls }, 'UTF8LMTPS'],
];
for (const [with_, want] of protocols) {
  test(`with ${want}`, () => {
    assert.equal(receivedClause(parseReceived(formatReceived({ ...facts, ...with_ })), 'with')?.value, want);
  });
}

const clients: [string, Partial<ReceivedFacts>, string][] = [
  ['no name', { remoteName: '' }, 'from client.example ([192.0.2.1])'],
  ['IPv6', { ip: '2001:db8::1', remoteName: '' }, 'from client.example ([IPv6:2001:db8::1])'],
  ['unix socket', { ip: '', remoteName: '' }, 'from client.example (local)'],
  [
    'HELO that is no name',
    { helo: 'a b; (c' },
    'from [192.0.2.1] (host.example [192.0.2.1]; HELO a b; \\(c)',
  ],
  ['HELO with a literal', { helo: '[192.0.2.7]' }, 'from [192.0.2.7] (host.example [192.0.2.1])'],
  ['no HELO', { helo: '' }, 'from [192.0.2.1] (host.example [192.0.2.1])'],
  ['name that is none', { remoteName: 'x)(y' }, 'from client.example ([192.0.2.1])'],
];
for (const [name, with_, want] of clients) {
  test(`client: ${name}`, () => assert.equal(formatReceived({ ...facts, ...with_ }).split('\r\n')[0], want));
}

test('a priority is a clause of its own. RFC 6710', () => {
  const field = parseReceived(formatReceived({ ...facts, priority: -3 }));
  assert.deepEqual(field.clauses.at(-1), { name: 'priority', value: '-3', comments: [] });
  assert.equal(receivedClause(field, 'for')?.value, '<a@example.test>');
});

test('recipients: one is named, more are not', () => {
  assert.ok(!formatReceived({ ...facts, recipients: ['a@b.test', 'c@d.test'] }).includes(' for '));
  assert.ok(!formatReceived({ ...facts, recipients: [] }).includes(' for '));
});

test('property: whatever the client says, the field holds and reads back', () => {
  const said = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.stringMatching(/^[()\\"<>;\r\n a-z]{0,40}$/),
  );
  fc.assert(
    fc.property(said, said, fc.boolean(), (helo, remoteName, smtputf8) => {
      const value = formatReceived({ ...facts, helo, remoteName, smtputf8 });
      formatField('Received', value, smtputf8);
      const field = parseReceived(value);
      assert.deepEqual(
        field.clauses.map(({ name }) => name),
        ['from', 'by', 'with', 'id', 'for'],
      );
      assert.equal(receivedClause(field, 'by')?.value, 'mx.example.test');
      assert.equal(receivedClause(field, 'id')?.value, 'abc123');
      assert.equal(field.date, facts.date);
      assert.equal(receivedFromIp(field), '192.0.2.1');
    }),
  );
});

test('those of others', () => {
  const sendmail = parseReceived(
    'from a.example (IDENT:root@b.example [192.0.2.9]) by c.example (8.9.3/8.9.3) with ESMTP id MAA01234 for <x@y.test>; Thu, 22 Aug 2002 12:36:16 +0100 (IST)',
  );
  assert.deepEqual(
    sendmail.clauses.map(({ name, value }) => `${name}=${value}`),
    ['from=a.example', 'by=c.example', 'with=ESMTP', 'id=MAA01234', 'for=<x@y.test>'],
  );
  assert.deepEqual(sendmail.clauses[0]?.comments, ['IDENT:root@b.example [192.0.2.9]']);
  assert.equal(receivedFromIp(sendmail), '192.0.2.9');
  assert.equal(sendmail.date, Date.UTC(2002, 7, 22, 11, 36, 16));
  const qmail = parseReceived('(qmail 1234 invoked by uid 500); 22 Aug 2002 11:36:16 -0000');
  assert.deepEqual(qmail.comments, ['qmail 1234 invoked by uid 500']);
  assert.equal(qmail.date, Date.UTC(2002, 7, 22, 11, 36, 16));
  const from = parseReceived('from by by from with with; yesterday');
  assert.deepEqual(
    from.clauses.map(({ name, value }) => `${name}=${value}`),
    ['from=by', 'by=from', 'with=with'],
  );
  assert.equal(from.date, undefined);
  assert.deepEqual(parseReceived('').clauses, []);
  assert.equal(receivedFromIp(parseReceived('from x (HELO y) (192.0.2.3) by z; ')), '192.0.2.3');
  assert.equal(receivedFromIp(parseReceived('from x ([IPv6:2001:DB8::1]) by z')), '2001:db8::1');
});

test('a field that was read is written so that it reads the same', () => {
  const field = parseReceived(`from a (b \\(c\\) [192.0.2.1]) by d (e) with SMTP id f; ${date}`);
  assert.deepEqual(parseReceived(writeReceived(field)), field);
});

test('the Received fields of real mail have a by clause and a date', (t) => {
  const path = requireSuite(t, 'spam/easy-ham-1');
  if (!path) return;
  let read = 0;
  const odd: string[] = [];
  for (const file of messageFiles(path).filter((_, at) => at % 10 === 0)) {
    for (const value of openMessage(memorySource(readMessage(file)), []).headers.all('received')) {
      const field = parseReceived(value);
      const known = field.clauses.some(({ name }) => name === 'by') || field.comments.length > 0;
      if (!known || field.date === undefined) odd.push(value);
      read++;
    }
  }
  assert.ok(read > 500);
  // Virus scanners of 2002 wrote dates of their own.
  assert.ok(odd.length < read / 50, odd.join('\n'));
});
