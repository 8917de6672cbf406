/** The whole way with the authentication plugins: in by SMTP, judged, forwarded under our name, sealed, signed, and the bounce home. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { verifyArc } from '../../core/auth/arc/verify.ts';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../core/auth/dkim/sign.ts';
import { verifyDkim } from '../../core/auth/dkim/verify.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { memoryDns, type ZoneData } from '../../core/net/dns-zone.ts';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import { serveZone } from '../kit/dns-server.ts';
import { memorySource } from '../kit/message-source.ts';
import { type ScriptedServer, serveScript } from '../kit/scripted-smtp.ts';
import { messagesIn, password, startServer, type TestServer, until } from '../kit/server.ts';

const ourKey = makeSigningKey('rsa');
const theirKey = makeSigningKey('ed25519');
const zone: ZoneData = {
  'remote.test': { MX: [{ exchange: 'mx.remote.test', preference: 10 }] },
  'mx.remote.test': { A: ['127.0.0.2'] },
  'sender.test': { TXT: ['v=spf1 ip4:127.0.0.1 -all'], MX: [{ exchange: 'mx.remote.test', preference: 10 }] },
  's._domainkey.sender.test': { TXT: [keyRecord(theirKey)] },
  '_dmarc.sender.test': { TXT: ['v=DMARC1; p=reject'] },
  '_dmarc.careful.test': { TXT: ['v=DMARC1; p=quarantine'] },
  's1._domainkey.example.test': { TXT: [keyRecord(ourKey)] },
  '_dmarc.example.test': { TXT: ['v=DMARC1; p=none'] },
};

interface World {
  readonly server: TestServer;
  /** The host that takes what we send. */
  readonly mx: ScriptedServer;
}

async function world(t: TestContext): Promise<World> {
  const mx = await serveScript(t, { EHLO: '250 hi' }, { host: '127.0.0.2' });
  const dns = await serveZone(zone);
  t.after(() => dns.close());
  const key = { domain: 'example.test', selector: 's1', keyFile: 's1.pem' };
  const srs = { plugin: 'srs', options: { secretFile: 'srs.secret' } };
  const server = await startServer({
    files: {
      's1.pem': ourKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      'srs.secret': 'secret\n',
      'default.sieve':
        'require "vacation"; if header "Subject" "are you there" { vacation :subject "away" "On Monday."; }',
    },
    config: {
      dns: { servers: [dns.address] },
      // A test's clients come from loopback: nobody is trusted for that.
      trustedNetworks: [],
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: 'mx' },
        { to: '*', reject: '550 5.7.1 relaying denied' },
      ],
      outbound: { port: mx.port, connectTimeoutSeconds: 2 },
      queue: { retrySeconds: [1] },
      sendPipeline: 'outbound',
      pipelines: {
        inbound: [
          srs,
          { plugin: 'aliases', options: { table: { 'friend@example.test': 'friend@remote.test' } } },
          'spf',
          'dkim-verify',
          'arc',
          'dmarc',
          { plugin: 'sieve', options: { default: 'default.sieve' } },
        ],
        outbound: [srs, { plugin: 'arc-seal', options: key }, { plugin: 'dkim-sign', options: key }],
      },
    },
  });
  t.after(() => server.stop());
  return { server, mx };
}

async function send(server: TestServer, listener: string, sender: string, to: string, content: string) {
  const auth =
    listener === 'submission' ? { auth: { user: 'alice@example.test', password }, plaintextAuth: true } : {};
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port: server.ports[listener]! },
    name: 'mail.sender.test',
    ...auth,
  });
  const bytes = Buffer.from(content, 'latin1');
  try {
    return await client.send({ sender, recipients: [to] }, { length: bytes.length, chunks: [bytes] });
  } finally {
    client.destroy();
  }
}

const open = (text: string) => openMessage(memorySource(text), []);
const mail = (from: string, subject = 'hello') =>
  `From: ${from}\r\nTo: friend@example.test\r\nSubject: ${subject}\r\n\r\nHello.\r\n`;

async function signedBySender(text: string): Promise<string> {
  const key = { domain: 'sender.test', selector: 's', key: theirKey };
  const [value] = await signDkim(open(text), [key], {
    now: Date.now(),
    signedNames: ['From', 'To', 'Subject'],
    oversignedNames: ['From'],
    headerCanonicalization: 'relaxed',
    bodyCanonicalization: 'relaxed',
  });
  return `DKIM-Signature: ${value}\r\n${text}`;
}

/** What the other host was given, as it will look at it: dots unstuffed. */
async function received({ mx }: World, subject = 'hello'): Promise<string> {
  const find = () => mx.heard.find((line) => line.includes(`Subject: ${subject}\r\n`));
  await until('the message at the next host', () => find() !== undefined);
  return `${find()!
    .replace(/\r\n\.$/, '')
    .replace(/\r\n\.\./g, '\r\n.')}\r\n`;
}

const dns = memoryDns(zone);
const signatures = async (text: string) =>
  (await verifyDkim(open(text), dns, { now: Date.now() })).map(({ domain, result }) => `${domain} ${result}`);

test('a forwarded message leaves under our name, sealed with what we found; its bounce comes home', async (t) => {
  const place = await world(t);
  const outcome = await send(
    place.server,
    'smtp',
    'ann@sender.test',
    'friend@example.test',
    await signedBySender(mail('ann@sender.test')),
  );
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  const text = await received(place);
  const from = place.mx.heard.find((line) => line.startsWith('MAIL FROM'))!;
  const sender = /<(SRS0=.{4}=..=sender\.test=ann@example\.test)>/.exec(from)?.[1];
  assert.ok(sender, from);
  assert.match(text, /^Authentication-Results: mx\.example\.test;\r\n\tspf=pass/m);
  assert.match(text, /dmarc=pass header\.from=sender\.test/);
  const chain = await verifyArc(open(text), dns, { now: Date.now() });
  assert.equal(chain.result, 'pass', chain.reason);
  assert.ok(chain.firstResults.some(({ method, result }) => method === 'dmarc' && result === 'pass'));
  // The sender's own signature is as it was; ours would say that we answer for it.
  assert.deepEqual(await signatures(text), ['sender.test pass']);
  const bounce = 'From: mailer-daemon@remote.test\r\nSubject: hello, undelivered\r\n\r\nSorry.\r\n';
  const back = await send(place.server, 'smtp', '', sender, bounce);
  assert.equal(back.accepted, true, JSON.stringify(back));
  await until('the bounce', () =>
    place.mx.heard.some((line) => line.startsWith('RCPT TO:<ann@sender.test>')),
  );
});

test('a user is signed for; what a stranger forges is neither taken from a domain that says no, nor signed', async (t) => {
  const place = await world(t);
  const outcome = await send(
    place.server,
    'submission',
    'alice@example.test',
    'x@remote.test',
    mail('alice@example.test'),
  );
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  assert.deepEqual(await signatures(await received(place)), ['example.test pass']);
  assert.ok(place.mx.heard.some((line) => line.startsWith('MAIL FROM:<alice@example.test>')));
  const refused = await send(
    place.server,
    'smtp',
    'eve@evil.test',
    'friend@example.test',
    mail('ann@sender.test'),
  );
  assert.match(JSON.stringify(refused), /refused by the DMARC policy of sender\.test/);
  const forged = await send(
    place.server,
    'smtp',
    'eve@evil.test',
    'friend@example.test',
    mail('alice@example.test', 'forged'),
  );
  assert.equal(forged.accepted, true, JSON.stringify(forged));
  const text = await received(place, 'forged');
  assert.deepEqual(await signatures(text), []);
});

test('what the server writes itself is signed: a vacation answer', async (t) => {
  const place = await world(t);
  const text = await signedBySender(
    'From: ann@sender.test\r\nTo: alice@example.test\r\nSubject: are you there\r\n\r\nHello.\r\n',
  );
  const outcome = await send(place.server, 'smtp', 'ann@sender.test', 'alice@example.test', text);
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  const answer = await received(place, 'away');
  assert.match(answer, /^Auto-Submitted: auto-replied/m);
  assert.deepEqual(await signatures(answer), ['example.test pass']);
  assert.ok(place.mx.heard.some((line) => line.startsWith('MAIL FROM:<>')));
});

test('mail that is to be quarantined lands in Junk, with the results on top', async (t) => {
  const { server } = await world(t);
  const outcome = await send(server, 'smtp', 'eve@evil.test', 'alice@example.test', mail('ceo@careful.test'));
  assert.equal(outcome.accepted, true, JSON.stringify(outcome));
  const junk = () => messagesIn(join(server.mailbox('alice'), '.Junk'));
  await until('the copy in Junk', () => junk().length === 1);
  assert.match(
    readFileSync(junk()[0]!, 'latin1'),
    /dmarc=fail header\.from=careful\.test policy\.dmarc=quarantine/,
  );
  assert.deepEqual(server.messages('alice'), []);
});

test('results forged in our name are taken out', async (t) => {
  const { server } = await world(t);
  const forged = `Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\r\n${mail('ceo@bank.test')}`;
  await send(server, 'smtp', 'eve@evil.test', 'alice@example.test', forged);
  await until('the copy', () => server.messages('alice').length === 1);
  const text = readFileSync(server.messages('alice')[0]!, 'latin1');
  assert.equal(text.match(/^Authentication-Results:/gm)?.length, 1);
  assert.doesNotMatch(text, /dmarc=pass/);
});
