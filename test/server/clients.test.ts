/** Mail programs as they come, against the whole server: each hands over a message, and it lies in the mailbox. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createTransport } from 'nodemailer';
import { selfSigned } from '../../src/cli/certificate.ts';
import { requireProgram } from '../kit/require.ts';
import { password, until } from '../kit/server.ts';
import { inboxOf, openServer, type WholeServer } from './observe.ts';

const run = promisify(execFile);
const user = 'alice@example.test';
const listener = (protocol: string, tls: string) => ({
  ...{ protocol, tls, address: '127.0.0.1:0' },
  pipeline: protocol === 'submission' ? 'outbound' : 'inbound',
});
const pair = selfSigned({ names: ['localhost', '127.0.0.1'], days: 2, now: Date.now() });

let server: WholeServer;
/** Path of the certificate, for clients that check it. */
let certificate: string;
before(async () => {
  server = await openServer({
    config: {
      listeners: {
        smtp: listener('smtp', 'starttls'),
        submission: listener('submission', 'starttls'),
        submissions: listener('submission', 'implicit'),
        lmtp: listener('lmtp', 'none'),
      },
      tls: { certFile: 'cert.pem', keyFile: 'key.pem' },
    },
    files: { 'cert.pem': pair.certificate, 'key.pem': pair.key },
  });
  certificate = join(server.directory, 'cert.pem');
});
after(() => server[Symbol.asyncDispose]());

/** The message that has the subject, once it is in the mailbox of bob. */
async function delivered(subject: string): Promise<string> {
  const find = () => inboxOf(server, 'bob').find((message) => message.includes(`Subject: ${subject}\n`));
  await until(`"${subject}" in the mailbox`, () => find() !== undefined);
  return find()!.toString();
}

const swaksCases: readonly { name: string; port: string; options: readonly string[]; with: RegExp }[] = [
  { name: 'plain SMTP', port: 'smtp', options: [], with: /with ESMTP\s/ },
  { name: 'STARTTLS', port: 'smtp', options: ['-tls'], with: /with ESMTPS\s/ },
  {
    name: 'STARTTLS and AUTH PLAIN',
    port: 'submission',
    options: ['-tls', '--auth', 'PLAIN'],
    with: /with ESMTPSA\s/,
  },
  {
    name: 'STARTTLS and AUTH LOGIN',
    port: 'submission',
    options: ['-tls', '--auth', 'LOGIN'],
    with: /with ESMTPSA\s/,
  },
  {
    name: 'TLS from the start',
    port: 'submissions',
    options: ['-tlsc', '--auth', 'PLAIN'],
    with: /with ESMTPSA\s/,
  },
  { name: 'LMTP', port: 'lmtp', options: ['--protocol', 'LMTP'], with: /with LMTP\s/ },
];
for (const { name, port, options, with: protocol } of swaksCases) {
  test(`swaks: ${name}`, async (t) => {
    const program = requireProgram(t, 'swaks');
    if (program === undefined) return;
    const login = options.includes('--auth') ? ['--auth-user', user, '--auth-password', password] : [];
    const from = login.length > 0 ? user : 'stranger@client.example';
    const to = ['--server', '127.0.0.1', '--port', String(server.ports[port]), '--to', 'bob@example.test'];
    const header = ['--helo', 'client.example', '--header', `Subject: swaks ${name}`];
    await run(program, [...to, '--from', from, ...header, ...options, ...login]);
    assert.match(await delivered(`swaks ${name}`), protocol);
  });
}

test('swaks: a wrong password is refused, and so is a password in clear', async (t) => {
  const program = requireProgram(t, 'swaks');
  if (program === undefined) return;
  const to = ['--server', '127.0.0.1', '--port', String(server.ports.submission), '--to', 'bob@example.test'];
  const login = ['--from', user, '--auth', 'PLAIN', '--auth-user', user, '--auth-password'];
  const wrong = await run(program, [...to, '-tls', ...login, 'wrong']).catch((error) => error);
  assert.match(wrong.stdout, /535 5\.7\.8/);
  // Exit code 28: the server offers no authentication.
  const clear = await run(program, [...to, ...login, password]).catch((error) => error);
  assert.equal(clear.code, 28, clear.stdout);
});

test('nodemailer: STARTTLS with a checked certificate, many recipients, an attachment', async () => {
  const transport = createTransport({
    ...{ host: '127.0.0.1', port: server.ports.submission!, requireTLS: true },
    tls: { ca: pair.certificate, servername: 'localhost' },
    auth: { user, pass: password },
  });
  const sent = await transport.sendMail({
    ...{ from: user, to: ['bob@example.test', 'carol@example.test'], subject: 'nodemailer' },
    text: '.dots\n..and lines\nFrom here on',
    attachments: [{ filename: 'a.bin', content: Buffer.alloc(100_000, 7) }],
  });
  transport.close();
  assert.deepEqual(sent.rejected, []);
  assert.match(await delivered('nodemailer'), /^\.dots\n\.\.and lines\nFrom here on$/m);
});

test('curl: SMTPS, with a checked certificate', async (t) => {
  const program = requireProgram(t, 'curl');
  if (program === undefined) return;
  const file = join(server.directory, 'curl.eml');
  writeFileSync(file, `From: <${user}>\r\nSubject: curl\r\n\r\n.\r\nafter a dot\r\n`);
  const url = `smtps://localhost:${server.ports.submissions}`;
  const envelope = ['--mail-from', user, '--mail-rcpt', 'bob@example.test', '--upload-file', file];
  await run(program, [
    '-sS',
    url,
    '--cacert',
    certificate,
    '-4',
    '--user',
    `${user}:${password}`,
    ...envelope,
  ]);
  assert.match(await delivered('curl'), /\n\n\.\nafter a dot\n$/);
});

/** Sends over the three kinds of connection, in one process. */
const smtplib = `
import smtplib, ssl, sys
from email.message import EmailMessage
ca, user, password, starttls, implicit, lmtp = sys.argv[1:]
def message(subject):
    m = EmailMessage()
    m['From'], m['To'], m['Subject'] = user, 'bob@example.test', subject
    m.set_content('Grüße\\n.\\n')
    return m
context = ssl.create_default_context(cafile=ca)
with smtplib.SMTP('localhost', int(starttls)) as c:
    c.starttls(context=context); c.login(user, password); c.send_message(message('smtplib STARTTLS'))
with smtplib.SMTP_SSL('localhost', int(implicit), context=context) as c:
    c.login(user, password); c.send_message(message('smtplib TLS'))
with smtplib.LMTP('localhost', int(lmtp)) as c:
    refused = c.send_message(message('smtplib LMTP'), 'a@client.example', ['bob@example.test', 'nobody@example.test'])
    assert list(refused) == ['nobody@example.test'] and refused['nobody@example.test'][0] == 550, refused
`;

test('Python’s smtplib: STARTTLS, TLS and LMTP', async (t) => {
  const program = requireProgram(t, 'python3');
  if (program === undefined) return;
  const { submission, submissions, lmtp } = server.ports;
  const ports = [submission, submissions, lmtp].map(String);
  await run(program, ['-c', smtplib, certificate, user, password, ...ports]);
  for (const way of ['STARTTLS', 'TLS', 'LMTP']) assert.match(await delivered(`smtplib ${way}`), /\n\.\n/);
});

test('smtp-source: a hundred messages over ten sessions', async (t) => {
  const program = requireProgram(t, 'smtp-source');
  if (program === undefined) return;
  const options = [
    '-s',
    '10',
    '-m',
    '100',
    '-l',
    '5000',
    '-f',
    'a@client.example',
    '-t',
    'carol@example.test',
  ];
  const before = new Set(server.messages('carol'));
  const arrived = () => server.messages('carol').filter((path) => !before.has(path));
  await run(program, [...options, '-d', `127.0.0.1:${server.ports.smtp}`]);
  await until('a hundred messages', () => arrived().length === 100);
  for (const path of arrived()) assert.ok(readFileSync(path).length > 5000, path);
});
