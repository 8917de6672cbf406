/** The SMTP client against servers that follow a script: what it says, in which order, and how it takes bad answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { OperationalError } from '../../../core/base/errors.ts';
import { SmtpClient, type SmtpClientOptions } from '../../../core/net/smtp-client.ts';
import { dotStuff } from '../../../core/net/smtp-data.ts';
import { type Script, type ScriptedServer, scriptedPair, serveScript } from '../../kit/scripted-smtp.ts';

interface Server extends ScriptedServer {
  readonly options: SmtpClientOptions;
}

const pair = scriptedPair;

async function serve(
  t: TestContext,
  script: Script,
  options: Partial<SmtpClientOptions> = {},
): Promise<Server> {
  const server = await serveScript(t, script, { implicitTls: options.tls === 'implicit' });
  const to = { host: '127.0.0.1', port: server.port };
  const timeouts = { replyMs: 500, dataReplyMs: 500, dataStartMs: 500 };
  return Object.assign(server, { options: { to, name: 'client.test', timeouts, ...options } });
}

const envelope = { sender: 'a@x.test', recipients: ['b@y.test', 'c@y.test'] };
const content = Buffer.from('Subject: hi\r\n\r\n.dot\r\nend\r\n');
const message = { length: content.length, chunks: [content] };

test('a whole transaction, its envelope in one write', async (t) => {
  const server = await serve(t, {});
  const client = await SmtpClient.connect(server.options);
  const writesBefore = server.writes;
  const outcome = await client.send({ ...envelope, parameters: ['BODY=8BITMIME'] }, message);
  assert.equal(outcome.accepted, true);
  assert.deepEqual(outcome.recipients, [
    { code: 250, enhanced: '2.0.0', text: 'queued' },
    { code: 250, enhanced: '2.0.0', text: 'queued' },
  ]);
  await client.quit();
  assert.deepEqual(server.heard, [
    'EHLO client.test',
    `MAIL FROM:<a@x.test> SIZE=${content.length} BODY=8BITMIME`,
    'RCPT TO:<b@y.test>',
    'RCPT TO:<c@y.test>',
    'DATA',
    'Subject: hi\r\n\r\n..dot\r\nend',
    'QUIT',
  ]);
  assert.ok(server.writes - writesBefore <= 4, `${server.writes - writesBefore} writes`);
});

test('without PIPELINING each command waits for its answer', async (t) => {
  const server = await serve(t, { EHLO: '250 me', MAIL: '550 5.7.1 not you' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.equal(outcome.mailFrom.code, 550);
  assert.equal(outcome.accepted, false);
  assert.ok(!server.heard.includes('DATA'));
  client.destroy();
});

test('a refused recipient keeps its own answer', async (t) => {
  const server = await serve(t, { RCPT: ['250 ok', '550 5.1.1 no such user'] });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.deepEqual(
    outcome.recipients.map(({ code, enhanced }) => [code, enhanced]),
    [
      [250, '2.0.0'],
      [550, '5.1.1'],
    ],
  );
  assert.equal(outcome.accepted, true);
  client.destroy();
});

test('LMTP answers once per accepted recipient', async (t) => {
  const server = await serve(
    t,
    {
      LHLO: '250-me\r\n250 PIPELINING',
      RCPT: ['250 ok', '550 5.1.1 no', '250 ok'],
      data: ['250 2.0.0 first', '452 4.2.2 full'],
    },
    { protocol: 'lmtp' },
  );
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(
    { sender: '', recipients: ['b@y.test', 'c@y.test', 'd@y.test'] },
    message,
  );
  assert.deepEqual(
    outcome.recipients.map(({ code }) => code),
    [250, 550, 452],
  );
  assert.equal(outcome.accepted, true);
  assert.equal(server.heard[0], 'LHLO client.test');
  client.destroy();
});

test('DATA refused: nothing was sent', async (t) => {
  const server = await serve(t, { DATA: '451 4.3.0 later' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.deepEqual(
    outcome.recipients.map(({ code }) => code),
    [451, 451],
  );
  assert.equal(outcome.accepted, false);
  assert.ok(!server.heard.some((line) => line.includes('Subject')));
  client.destroy();
});

test('a server without EHLO gets HELO', async (t) => {
  const server = await serve(t, { EHLO: '502 5.5.1 what', HELO: '250 me' });
  const client = await SmtpClient.connect(server.options);
  assert.equal(client.extensions.size, 0);
  client.destroy();
});

test('STARTTLS, the name checked, EHLO again, then AUTH', async (t) => {
  const server = await serve(
    t,
    {
      EHLO: ['250-me\r\n250 STARTTLS', '250-me\r\n250 AUTH PLAIN'],
      STARTTLS: '220 go',
      AUTH: '235 2.7.0 welcome',
    },
    { tls: 'starttls', ca: pair.certificate, serverName: 'localhost', auth: { user: 'u', password: 'p' } },
  );
  const client = await SmtpClient.connect(server.options);
  assert.match(client.tls ?? '', /^TLSv1/);
  assert.deepEqual(server.heard, [
    'EHLO client.test',
    'STARTTLS',
    'EHLO client.test',
    `AUTH PLAIN ${Buffer.from('\0u\0p').toString('base64')}`,
  ]);
  assert.ok(!client.extensions.has('STARTTLS'));
  client.destroy();
});

test('implicit TLS', async (t) => {
  const server = await serve(t, {}, { tls: 'implicit', ca: pair.certificate });
  const client = await SmtpClient.connect(server.options);
  assert.match(client.tls ?? '', /^TLSv1/);
  client.destroy();
});

const failures: readonly {
  name: string;
  script: Script;
  options?: Partial<SmtpClientOptions>;
  code: string;
  temporary: boolean;
}[] = [
  { name: 'a greeting of 554', script: { greeting: '554 5.3.2 no' }, code: 'smtp-refused', temporary: false },
  {
    name: 'a greeting of 421',
    script: { greeting: '421 4.3.2 busy' },
    code: 'smtp-refused',
    temporary: true,
  },
  {
    name: 'a greeting that is no SMTP',
    script: { greeting: 'SSH-2.0' },
    code: 'smtp-protocol',
    temporary: true,
  },
  { name: 'silence', script: { greeting: undefined }, code: 'smtp-timeout', temporary: true },
  { name: 'the end of the connection', script: { EHLO: 'close' }, code: 'smtp-lost', temporary: true },
  {
    name: 'an endless reply',
    script: { EHLO: `250-${'x'.repeat(300_000)}` },
    code: 'smtp-protocol',
    temporary: true,
  },
  {
    name: 'a wrong password',
    script: { AUTH: '535 5.7.8 no' },
    options: { auth: { user: 'u', password: 'p' }, plaintextAuth: true },
    code: 'smtp-refused',
    temporary: false,
  },
  {
    name: 'a password without TLS',
    script: {},
    options: { auth: { user: 'u', password: 'p' } },
    code: 'smtp-tls',
    temporary: false,
  },
  { name: 'no STARTTLS', script: {}, options: { tls: 'starttls' }, code: 'smtp-tls', temporary: true },
  {
    name: 'a certificate nobody vouches for',
    script: { EHLO: '250 STARTTLS\r\n250 STARTTLS' },
    options: { tls: 'implicit' },
    code: 'smtp-tls',
    temporary: true,
  },
  {
    name: 'a certificate of another name',
    script: {},
    options: { tls: 'implicit', ca: pair.certificate, serverName: 'other.test' },
    code: 'smtp-tls',
    temporary: true,
  },
  {
    name: 'a reply smuggled in before the TLS handshake',
    script: { EHLO: '250-me\r\n250 STARTTLS', STARTTLS: '220 go\r\n250 ok' },
    options: { tls: 'starttls', ca: pair.certificate },
    code: 'smtp-protocol',
    temporary: true,
  },
];
for (const { name, script, options, code, temporary } of failures) {
  test(`connect rejects: ${name}`, async (t) => {
    const server = await serve(t, script, options);
    await assert.rejects(SmtpClient.connect(server.options), { name: 'OperationalError', code, temporary });
  });
}

test('a port where nobody listens', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await assert.rejects(SmtpClient.connect({ to: { host: '127.0.0.1', port }, name: 'x' }), {
    code: 'smtp-connect',
  });
});

test('an address with a line break is no way to say more commands', async (t) => {
  const server = await serve(t, {});
  const client = await SmtpClient.connect(server.options);
  await assert.rejects(
    client.send({ sender: 'a@x.test>\r\nRSET\r\nMAIL FROM:<b@x.test', recipients: ['c@y.test'] }, message),
    { code: 'smtp-protocol' },
  );
  assert.ok(!server.heard.includes('RSET'));
  client.destroy();
});

test('dots are stuffed the same however the message is cut', async () => {
  const octets = fc.array(fc.constantFrom('.', '\r\n', '\r', '\n', 'a', '..'), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(octets, fc.array(fc.nat(30), { maxLength: 5 }), async (pieces, cuts) => {
      const text = pieces.join('');
      const edges = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
      const chunks = edges.slice(1).map((end, index) => Buffer.from(text.slice(edges[index], end)));
      let sent = '';
      for await (const chunk of dotStuff(chunks)) sent += Buffer.from(chunk).toString();
      const stuffed = `\r\n${text}`.replace(/\r\n\./g, '\r\n..').slice(2);
      assert.equal(sent, `${stuffed}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`);
    }),
  );
});

const chunking = '250-me\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME';

test('with CHUNKING the message goes as one BDAT, dots as they are', async (t) => {
  const server = await serve(t, { EHLO: chunking });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send({ ...envelope, body: 'binarymime' }, message);
  assert.equal(outcome.accepted, true);
  assert.deepEqual(server.heard.slice(1), [
    'MAIL FROM:<a@x.test> BODY=BINARYMIME',
    'RCPT TO:<b@y.test>',
    'RCPT TO:<c@y.test>',
    `BDAT ${content.length} LAST`,
    content.toString(),
  ]);
  client.destroy();
});

test('a message that is not as long as was said is cut off, not sent', async (t) => {
  for (const length of [content.length - 1, content.length + 1]) {
    const server = await serve(t, { EHLO: chunking });
    const client = await SmtpClient.connect(server.options);
    await assert.rejects(client.send(envelope, { length, chunks: [content] }), { code: 'smtp-message' });
    assert.equal(client.usable, false);
    assert.ok(!server.heard.includes(content.toString()));
  }
});

test('a source that fails in the middle never ends the data', async (t) => {
  const server = await serve(t, {});
  const client = await SmtpClient.connect(server.options);
  async function* broken() {
    yield content;
    throw new OperationalError('spool-unreadable', 'gone', { temporary: true });
  }
  await assert.rejects(client.send(envelope, { chunks: broken() }), { code: 'spool-unreadable' });
  assert.ok(!server.heard.some((line) => line.includes('Subject')));
});

test('what the envelope asks for is said where the server offers it, and only there', async (t) => {
  const asked = {
    sender: 'a@x.test',
    recipients: [
      { address: 'b@y.test', notify: ['success', 'failure'], orcpt: 'rfc822;b+c@y.test' },
      { address: 'd@bücher.test' },
    ],
    body: '8bitmime',
    ret: 'hdrs',
    envid: 'a=b',
    requireTls: true,
  } as const;
  const full = '250-me\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 REQUIRETLS';
  const server = await serve(t, { EHLO: full });
  const client = await SmtpClient.connect(server.options);
  await client.send(asked, { chunks: [content] });
  assert.deepEqual(server.heard.slice(1, 4), [
    'MAIL FROM:<a@x.test> BODY=8BITMIME REQUIRETLS RET=HDRS ENVID=a+3Db',
    'RCPT TO:<b@y.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@y.test',
    'RCPT TO:<d@xn--bcher-kva.test>',
  ]);
  client.destroy();
  const plain = await serve(t, { EHLO: '250 me' });
  const other = await SmtpClient.connect(plain.options);
  await other.send({ ...asked, requireTls: false }, { chunks: [content] });
  assert.deepEqual(plain.heard.slice(1, 4), [
    'MAIL FROM:<a@x.test>',
    'RCPT TO:<b@y.test>',
    'RCPT TO:<d@xn--bcher-kva.test>',
  ]);
  other.destroy();
});

const unfits = [
  { name: 'too large', envelope, enhanced: '5.3.4', octets: 2000 },
  { name: 'REQUIRETLS', envelope: { ...envelope, requireTls: true }, enhanced: '5.7.30', octets: 10 },
  { name: 'a UTF-8 header', envelope: { ...envelope, smtputf8: true }, enhanced: '5.6.7', octets: 10 },
  {
    name: 'a UTF-8 mailbox',
    envelope: { ...envelope, sender: 'jürgen@x.test' },
    enhanced: '5.6.7',
    octets: 10,
  },
  {
    name: 'BINARYMIME',
    envelope: { ...envelope, body: 'binarymime' as const },
    enhanced: '5.6.1',
    octets: 10,
  },
];
for (const { name, envelope: unfitting, enhanced, octets } of unfits) {
  test(`a server that cannot carry it is not given it: ${name}`, async (t) => {
    const server = await serve(t, {});
    const client = await SmtpClient.connect(server.options);
    const outcome = await client.send(unfitting, { length: octets, chunks: [content] });
    assert.deepEqual(
      outcome.recipients.map((reply) => [Math.floor(reply.code / 100), reply.enhanced]),
      [
        [5, enhanced],
        [5, enhanced],
      ],
    );
    assert.equal(server.heard.length, 1);
    client.destroy();
  });
}

const lies: readonly { name: string; script: Script; code: string; protocol?: 'lmtp' }[] = [
  { name: '250 in place of 354', script: { DATA: '250 ok' }, code: 'smtp-protocol' },
  { name: '354 after the data', script: { data: '354 more' }, code: 'smtp-protocol' },
  { name: '354 to RCPT', script: { RCPT: '354 go' }, code: 'smtp-protocol' },
  { name: 'the end of the connection after the data', script: { data: 'close' }, code: 'smtp-lost' },
  { name: 'silence after the data', script: { data: [] }, code: 'smtp-timeout' },
  { name: '421 and the end at MAIL', script: { MAIL: '421 4.3.2 bye', RCPT: 'close' }, code: 'smtp-refused' },
];
for (const { name, script, code } of lies) {
  test(`nothing counts as delivered after ${name}`, async (t) => {
    const server = await serve(t, script);
    const client = await SmtpClient.connect(server.options);
    await assert.rejects(client.send(envelope, message), { name: 'OperationalError', code, temporary: true });
    assert.equal(client.usable, false);
    client.destroy();
  });
}

test('LMTP: answers that never came are not known, those that came are certain', async (t) => {
  const script = { LHLO: '250 me', data: ['250 2.0.0 first', 'close'] };
  const server = await serve(t, script, { protocol: 'lmtp' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.deepEqual(
    outcome.recipients.map(({ code }) => code),
    [250, 451],
  );
});

test('a server that refuses and closes within the data is heard', async (t) => {
  const server = await serve(t, { DATA: '354 go\r\n552 5.3.4 too much', EHLO: '250 me' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.equal(outcome.recipients[0]?.code, 552);
  client.destroy();
});

test('a refusal stands although the server does not answer RSET', async (t) => {
  const server = await serve(t, { MAIL: '550 5.7.1 no', RSET: 'close' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.equal(outcome.mailFrom.code, 550);
  assert.equal(client.usable, false);
});

test('a server without PIPELINING that refuses the sender is asked nothing more', async (t) => {
  const server = await serve(t, { EHLO: '250 me', MAIL: '550 5.7.1 no' });
  const client = await SmtpClient.connect(server.options);
  await client.send(envelope, message);
  assert.deepEqual(server.heard.slice(1), ['MAIL FROM:<a@x.test>', 'RSET']);
  client.destroy();
});

test('MAILMAX of LIMITS ends a connection', async (t) => {
  const server = await serve(t, { EHLO: '250-me\r\n250 LIMITS MAILMAX=2 RCPTMAX=10' });
  const client = await SmtpClient.connect(server.options);
  assert.deepEqual(client.limits, { mailMax: 2, rcptMax: 10 });
  await client.send(envelope, message);
  assert.equal(client.usable, true);
  await client.send(envelope, message);
  assert.equal(client.usable, false);
  client.destroy();
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const logins: readonly {
  name: string;
  script: Script;
  said: string[];
  options: Partial<SmtpClientOptions>;
}[] = [
  {
    name: 'LOGIN',
    script: { EHLO: '250-me\r\n250 AUTH=LOGIN', AUTH: '334 VXNlcm5hbWU6', dQ: '334 UGFzc3dvcmQ6' },
    said: ['AUTH LOGIN', base64('u')],
    options: { auth: { user: 'u', password: 'p' }, plaintextAuth: true },
  },
  {
    // RFC 2195 section 2.
    name: 'CRAM-MD5, without TLS',
    script: {
      EHLO: '250-me\r\n250 AUTH PLAIN CRAM-MD5',
      AUTH: `334 ${base64('<1896.697170952@postoffice.reston.mci.net>')}`,
    },
    said: ['AUTH CRAM-MD5', base64('tim b913a602c7eda7a495b4e6e7334d3890')],
    options: { auth: { user: 'tim', password: 'tanstaaftanstaaf' } },
  },
  {
    name: 'OAUTHBEARER',
    script: { EHLO: '250-me\r\n250 AUTH XOAUTH2 OAUTHBEARER', AUTH: '235 2.7.0 in' },
    said: [`AUTH OAUTHBEARER ${base64('n,a=u,\x01auth=Bearer token\x01\x01')}`],
    options: { auth: { user: 'u', accessToken: 'token' }, plaintextAuth: true },
  },
];
for (const { name, script, said, options } of logins) {
  test(`AUTH by ${name}`, async (t) => {
    const words = { [base64('u')]: '334 UGFzc3dvcmQ6', [base64('p').toUpperCase()]: '235 in' };
    const answer = { [said.at(-1)!.toUpperCase()]: '235 in', [base64('u').toUpperCase()]: '334 go' };
    const server = await serve(t, { ...script, ...words, ...answer }, options);
    const client = await SmtpClient.connect(server.options);
    assert.deepEqual(server.heard.slice(1, 1 + said.length), said);
    client.destroy();
  });
}

test('a peer can be judged by another rule than that of the roots', async (t) => {
  const seen: string[] = [];
  const verifyPeer: SmtpClientOptions['verifyPeer'] = ({ chain, distrust }) => {
    seen.push(String(distrust), chain[0]!.fingerprint256);
    if (seen.length > 2) throw new OperationalError('smtp-tls', 'not this one', { temporary: true });
  };
  const server = await serve(t, {}, { tls: 'implicit', verifyPeer });
  const client = await SmtpClient.connect(server.options);
  client.destroy();
  assert.match(seen[0]!, /SELF_SIGNED/);
  await assert.rejects(SmtpClient.connect(server.options), { code: 'smtp-tls', message: 'not this one' });
});

test('XFORWARD tells what the server wants to know', async (t) => {
  const server = await serve(t, { EHLO: '250-me\r\n250 XFORWARD NAME ADDR', XFORWARD: '250 ok' });
  const client = await SmtpClient.connect(server.options);
  await client.forwardClient('XFORWARD', { NAME: 'a b', ADDR: '192.0.2.1', HELO: 'x' });
  assert.equal(server.heard[1], 'XFORWARD NAME=a+20b ADDR=192.0.2.1');
  client.destroy();
});
