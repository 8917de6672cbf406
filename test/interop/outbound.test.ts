/** Mail of ours arrives at Postfix, Exim and OpenSMTPD: signed, over TLS that DANE vouches for, forwarded with SRS; what they refuse comes back. */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { selfSigned } from '../../src/cli/certificate.ts';
import { startExim } from '../kit/exim.ts';
import { freePort } from '../kit/free-port.ts';
import { startOpenSmtpd } from '../kit/opensmtpd.ts';
import { startOutgoing } from '../kit/outgoing.ts';
import { startPostfix } from '../kit/postfix.ts';
import { messagesIn, until } from '../kit/server.ts';

const zone: ZoneData = {
  'example.test': { MX: [{ exchange: 'mx.example.test', preference: 10 }] },
  'mx.example.test': { A: ['127.0.0.1'] },
};
const pair = selfSigned({ names: ['mx.example.test'], days: 2, now: Date.now() });

test('Postfix: submitted with a password, signed, over TLS by DANE; a bad recipient comes back; a forward has SRS', async (t) => {
  const postfix = await startPostfix(t, {
    main: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: '$config_directory/cert.pem',
      smtpd_tls_key_file: '$config_directory/key.pem',
      smtpd_tls_loglevel: '1',
      smtpd_tls_received_header: 'yes',
    },
    files: { 'cert.pem': pair.certificate, 'key.pem': pair.key },
  });
  if (!postfix) return;
  const spki = new X509Certificate(pair.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const data = createHash('sha256').update(spki).digest();
  const { privateKey } = generateKeyPairSync('ed25519');
  const { submit, receive, inbox } = await startOutgoing(t, {
    zone: {
      ...zone,
      [`_${postfix.port}._tcp.mx.example.test`]: { TLSA: [{ usage: 3, selector: 1, matchingType: 1, data }] },
    },
    secure: () => true,
    port: postfix.port,
    files: {
      'dkim.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      'srs.secret': 'a secret for forwarding\n',
    },
    config: {
      pipelines: {
        inbound: [],
        outbound: [
          { plugin: 'srs', options: { secretFile: 'srs.secret' } },
          { plugin: 'dkim-sign', options: { domain: 'ours.test', selector: 's1', keyFile: 'dkim.pem' } },
        ],
      },
    },
  });
  await submit(['bob@example.test', 'nobody@example.test']);
  await until(`mail for bob\n${postfix.log()}`, () => postfix.messages('bob').length === 1);
  const [text] = postfix.messages('bob');
  assert.match(text!, /^DKIM-Signature: v=1; .*d=ours\.test; s=s1/m);
  assert.match(text!, /^Return-Path: <ann@ours\.test>$/m);
  assert.match(text!, /using TLSv1\.3 with cipher/);
  assert.match(text!, /\n\nbody\n\.dot\n$/);
  await until('the bounce', () => inbox('ann').length === 1);
  const bounce = readFileSync(inbox('ann')[0]!, 'utf8');
  assert.match(bounce, /^Final-Recipient: rfc822; nobody@example\.test$/m);
  assert.match(bounce, /550 5\.1\.1 <nobody@example\.test>: Recipient address rejected/);
  assert.match(bounce, /^Remote-MTA: dns; mx\.example\.test \[127\.0\.0\.1\]$/m);
  await receive('carol@far.test', 'fwd@ours.test', 'From: carol@far.test\r\nSubject: round\r\n\r\nx\r\n');
  await until(`the forward\n${postfix.log()}`, () => postfix.messages('alice').length === 1);
  assert.match(
    postfix.messages('alice')[0]!,
    /^Return-Path: <SRS0=[^=]+=[^=]+=far\.test=carol@ours\.test>$/m,
  );
});

test('Postfix, whose key is not that of the TLSA record, gets nothing', async (t) => {
  const postfix = await startPostfix(t, {
    main: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: '$config_directory/cert.pem',
      smtpd_tls_key_file: '$config_directory/key.pem',
    },
    files: { 'cert.pem': pair.certificate, 'key.pem': pair.key },
  });
  if (!postfix) return;
  const data = createHash('sha256').update('another key').digest();
  const { submit, server } = await startOutgoing(t, {
    zone: {
      ...zone,
      [`_${postfix.port}._tcp.mx.example.test`]: { TLSA: [{ usage: 3, selector: 1, matchingType: 1, data }] },
    },
    secure: () => true,
    port: postfix.port,
  });
  await submit(['bob@example.test']);
  await until('a refusal', () => /DANE: the certificate matches no TLSA record/.test(server.output()));
  assert.deepEqual(postfix.messages('bob'), []);
});

test('Postfix without 8BITMIME: gets the mail in 7 bits, with the same text', async (t) => {
  const postfix = await startPostfix(t, { main: { smtpd_discard_ehlo_keywords: '8bitmime' } });
  if (!postfix) return;
  const { submit } = await startOutgoing(t, { zone, port: postfix.port });
  const text = [
    'From: ann@ours.test',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=x',
    'Content-Transfer-Encoding: 8bit',
    '',
    '--x',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    'Grüße an alle, '.repeat(20),
    '.dot',
    '--x--',
    '',
  ].join('\r\n');
  await submit(['bob@example.test'], text);
  await until(`mail for bob\n${postfix.log()}`, () => postfix.messages('bob').length === 1);
  const [arrived] = postfix.messages('bob');
  assert.match(arrived!, /^[\0-\x7f]*$/);
  assert.match(arrived!, /^Content-Transfer-Encoding: 7bit$/m);
  const parsed = await simpleParser(arrived!);
  assert.equal(parsed.text, (await simpleParser(text)).text);
  assert.match(parsed.text!, /Grüße/);
});

test('Exim takes our mail, several recipients in one transaction', async (t) => {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-exim-mail-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o777);
  const transport = [
    'local_delivery:',
    '  driver = appendfile',
    `  directory = ${folder}/$local_part_data`,
    '  maildir_format',
    '  create_directory',
    '  user = Debian-exim',
  ];
  const routers = [
    'mailboxes:',
    '  driver = accept',
    '  domains = example.test',
    '  local_parts = alice : bob',
    '  transport = local_delivery',
  ];
  const exim = await startExim(t, { ports: [port], routers, transports: transport });
  if (!exim) return;
  const { submit } = await startOutgoing(t, { zone, port });
  await submit(['alice@example.test', 'bob@example.test']);
  for (const user of ['alice', 'bob']) {
    await until(`mail for ${user}\n${exim.log()}`, () => messagesIn(join(folder, user)).length === 1);
    assert.match(readFileSync(messagesIn(join(folder, user))[0]!, 'utf8'), /\n\nbody\n\.dot\n$/);
  }
  assert.equal(exim.log().match(/<= ann@ours\.test/g)?.length, 1);
});

test('OpenSMTPD takes our mail', async (t) => {
  const smtpd = await startOpenSmtpd(t);
  if (!smtpd) return;
  const { submit } = await startOutgoing(t, { zone, port: smtpd.port });
  await submit(['alice@example.test']);
  await until(`mail\n${smtpd.log()}`, () => smtpd.messages().length === 1, 20_000);
  assert.match(smtpd.messages()[0]!, /\n\nbody\n\.dot\n/);
});
