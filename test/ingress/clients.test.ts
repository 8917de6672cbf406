/** Real clients against the doors: nodemailer, swaks, Postfix's smtp-source, and OpenSMTPD's dialogues. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createTransport } from 'nodemailer';
import { type DoorInit, openDoor } from '../kit/door.ts';
import { requireProgram, requireSuite } from '../kit/require.ts';

const run = promisify(execFile);
const submission: DoorInit = { listener: { protocol: 'submission', tls: 'starttls' } };

test('nodemailer: STARTTLS, AUTH, SMTPUTF8 and DSN', async (t) => {
  const { port, flow } = await openDoor(t, submission);
  const transport = createTransport({
    ...{ host: '127.0.0.1', port, requireTLS: true, tls: { rejectUnauthorized: false } },
    auth: { user: 'alice@example.test', pass: 'secret' },
  });
  t.after(() => transport.close());
  await transport.sendMail({
    envelope: { from: 'alice@example.test', to: ['dörte@d.test'] },
    dsn: { id: 'e+1', return: 'headers', notify: ['failure', 'delay'], recipient: 'dorte@d.test' },
    raw: 'Subject: one\n\n.dot\n..dots\n',
  });
  const [message] = flow.messages;
  assert.equal(message!.user, 'alice@example.test');
  assert.equal(message!.tls?.protocol, 'TLSv1.3');
  assert.equal(message!.bytes.toString(), 'Subject: one\r\n\r\n.dot\r\n..dots\r\n');
  assert.deepEqual(message!.mailFrom, {
    ...{ sender: 'alice@example.test', body: message!.mailFrom.body, smtputf8: true, requireTls: false },
    ...{ ret: 'hdrs', envid: 'e+1' },
  });
  assert.deepEqual(message!.rcptTo, [
    { address: 'dörte@d.test', notify: ['failure', 'delay'], orcpt: 'rfc822;dorte@d.test' },
  ]);
});

test('nodemailer: a wrong password is refused', async (t) => {
  const { port } = await openDoor(t, submission);
  const transport = createTransport({
    ...{ host: '127.0.0.1', port, requireTLS: true, tls: { rejectUnauthorized: false } },
    auth: { user: 'alice@example.test', pass: 'wrong' },
  });
  t.after(() => transport.close());
  const error = await transport.verify().then(
    () => undefined,
    (error: Error & { responseCode?: number }) => error,
  );
  assert.equal(error?.responseCode, 535);
});

test('nodemailer: LMTP, one answer per recipient', async (t) => {
  const replies = [
    { code: 250, enhanced: '2.0.0', text: 'stored' },
    { code: 452, enhanced: '4.2.2', text: 'full' },
  ];
  const { port } = await openDoor(t, { listener: { protocol: 'lmtp' }, answers: { message: () => replies } });
  const transport = createTransport({ ...{ host: '127.0.0.1', port, lmtp: true, ignoreTLS: true } });
  t.after(() => transport.close());
  const envelope = { from: 'a@b.test', to: ['c@d.test', 'e@d.test'] };
  const sent = await transport.sendMail({ envelope, raw: 'Subject: one\r\n\r\n' });
  assert.deepEqual(sent.accepted, ['c@d.test']);
  assert.deepEqual(sent.rejected, ['e@d.test']);
});

async function swaks(t: TestContext, ...options: string[]): Promise<string | undefined> {
  const program = requireProgram(t, 'swaks');
  if (program === undefined) return undefined;
  const { stdout } = await run(program, [
    '--from',
    'a@b.test',
    '--to',
    'c@d.test',
    '--helo',
    'c',
    ...options,
  ]);
  return stdout;
}

for (const [name, init, options] of [
  ['STARTTLS and AUTH PLAIN', submission, ['-tls', '--auth', 'PLAIN']],
  ['STARTTLS and AUTH LOGIN', submission, ['-tls', '--auth', 'LOGIN']],
  [
    'TLS from the start',
    { listener: { protocol: 'submission', tls: 'implicit' } },
    ['-tlsc', '--auth', 'PLAIN'],
  ],
  ['pipelined', {}, ['--pipeline']],
  ['LMTP', { listener: { protocol: 'lmtp' } }, ['--protocol', 'LMTP']],
  [
    'XCLIENT',
    { config: { xclientFrom: ['127.0.0.1'] } },
    ['--xclient-addr', '192.0.2.7', '--xclient-name', 'x.test'],
  ],
  ['PROXY version 1', { config: { proxyFrom: ['127.0.0.1'] } }, [...proxyOptions('1')]],
  ['PROXY version 2', { config: { proxyFrom: ['127.0.0.1'] } }, [...proxyOptions('2')]],
] as [string, DoorInit, string[]][]) {
  test(`swaks: ${name}`, async (t) => {
    const { port, flow } = await openDoor(t, init);
    const login = options.includes('--auth')
      ? ['--auth-user', 'alice@example.test', '--auth-password', 'secret']
      : [];
    const output = await swaks(t, '--server', '127.0.0.1', '--port', String(port), ...options, ...login);
    if (output === undefined) return;
    assert.equal(flow.messages.length, 1, output);
    if (login.length > 0) assert.equal(flow.messages[0]!.user, 'alice@example.test');
    const forwarded = /XCLIENT|PROXY/.test(name);
    assert.equal(flow.messages[0]!.connection.remoteIp, forwarded ? '192.0.2.7' : '127.0.0.1');
  });
}

function proxyOptions(version: string): string[] {
  const source = ['--proxy-source', '192.0.2.7', '--proxy-source-port', '4711'];
  const target = ['--proxy-dest', '198.51.100.9', '--proxy-dest-port', '25'];
  return [
    '--proxy-version',
    version,
    '--proxy-family',
    version === '1' ? 'TCP4' : 'AF_INET',
    ...source,
    ...target,
  ];
}

test('smtp-source: many sessions, connections reused and not', async (t) => {
  const program = requireProgram(t, 'smtp-source');
  if (program === undefined) return;
  const { port, flow } = await openDoor(t);
  const options = ['-s', '10', '-m', '100', '-l', '10240', '-f', 'a@b.test', '-t', 'c@d.test'];
  await run(program, [...options, '-d', `127.0.0.1:${port}`]);
  await run(program, [...options, `127.0.0.1:${port}`]);
  assert.equal(flow.messages.length, 200);
  assert.ok(flow.messages.every(({ bytes }) => bytes.length > 10_240 && bytes.length < 11_000));
});

/**
 * What these dialogues ask for and we refuse. Two break the grammar of RFC 5321 section 4.1.2: `<@>` is no null path, and
 * a source route starts with "@" (`<whatever:a@a>` has none). The third has a line break inside its RCPT, which makes
 * two commands of it, and both are malformed.
 */
const stricter = ['name "mailfrom.at-sign"', 'name "mailfrom.src-route"', 'test.smtp0 #8 '];

test("OpenSMTPD's dialogues", async (t) => {
  const runner = requireSuite(t, 'smtp/smtpscript.py');
  const folder = requireSuite(t, 'smtp/opensmtpd');
  const python = requireProgram(t, 'python3');
  if (runner === undefined || folder === undefined || python === undefined) return;
  const { port } = await openDoor(t);
  const files = ['test.mailfrom', 'test.smtp0', 'test.smtp1'].map((name) => `${folder}/${name}`);
  const { stdout } = await run(python, [runner, '127.0.0.1', String(port), ...files]);
  const failed = stdout.split('\n').filter((line) => line.startsWith('FAIL'));
  const unexpected = failed.filter((line) => !stricter.some((name) => line.includes(name)));
  assert.deepEqual(unexpected, [], stdout);
  assert.equal(failed.length, stricter.length, stdout);
});
