/** `mailfilter sendmail` as programs call it: into the maildrop with and without a server, and straight to a relay without one. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { readOptions } from '../../src/cli/sendmail/options.ts';
import { prepare } from '../../src/cli/sendmail/prepare.ts';
import { collect, launcher, runCommand } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';

let server: TestServer;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

const send = (args: readonly string[], input: string, config = server.configFile) =>
  runCommand(['sendmail', ...args], { input, env: { MAILFILTER_CONFIG: config } });

async function arrives(user: string, work: () => Promise<unknown>): Promise<string> {
  const before = new Set(server.messages(user));
  await work();
  await until(`mail for ${user}`, () => server.messages(user).length > before.size);
  return readFileSync(server.messages(user).find((path) => !before.has(path))!, 'utf8');
}

test('recipients of the header and of the line, Bcc hidden, what is missing added', async () => {
  const input = 'To: alice@example.test\nBcc: bob@example.test\nSubject: hi\n\nline\n.\nmore\n';
  let bobs = '';
  const alices = await arrives('alice', async () => {
    bobs = await arrives('bob', async () => {
      const { code, stderr } = await send(['-ti', '-f', 'carol@example.test', '-F', 'Carol "C" X'], input);
      assert.equal(code, 0, stderr);
    });
  });
  for (const text of [alices, bobs]) {
    assert.match(text, /^Return-Path: <carol@example\.test>$/m);
    assert.match(text, /^From: "Carol \\"C\\" X" <carol@example\.test>$/m);
    assert.match(text, /^Date: /m);
    assert.match(text, /^Message-ID: </m);
    assert.doesNotMatch(text, /^Bcc/m);
    assert.match(text, /\n\nline\n\.\nmore\n$/);
  }
});

test('without -i a dot ends the message; without a header there is one', async () => {
  const text = await arrives('alice', () => send(['alice'], 'just a line\n.\nnot this\n'));
  assert.match(text, /\n\njust a line\n$/);
  assert.match(text, /^From: .*@example\.test$/m);
});

test('called by its old names', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-names-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['sendmail', 'mailq', 'newaliases']) symlinkSync(launcher, join(folder, name));
  const call = (name: string, args: string[], input = '') => {
    const env = { ...process.env, MAILFILTER_CONFIG: server.configFile };
    return collect(spawn(process.execPath, [join(folder, name), ...args], { env }), input);
  };
  await arrives('alice', () =>
    call('sendmail', ['-oi', '-fbob@example.test', 'alice@example.test'], 'Subject: x\n\nx\n'),
  );
  assert.equal((await call('mailq', [])).stdout, 'Mail queue is empty\n');
  assert.equal((await call('newaliases', [])).code, 0);
});

test('-bs speaks SMTP', async () => {
  const dialogue = [
    'EHLO me',
    'MAIL FROM:<bob@example.test>',
    'RCPT TO:<alice@example.test>',
    'DATA',
    'Subject: spoken',
    '',
    '..dot',
    '.',
    'MAIL FROM:<x>',
    'QUIT',
    '',
  ].join('\r\n');
  const text = await arrives('alice', async () => {
    const { stdout } = await send(['-bs'], dialogue);
    const codes = stdout
      .split('\r\n')
      .filter((line) => /^\d{3} /.test(line))
      .map((line) => line.slice(0, 3));
    assert.deepEqual(codes, ['220', '250', '250', '250', '354', '250', '501', '221']);
  });
  assert.match(text, /^Subject: spoken$/m);
  assert.match(text, /\n\.dot\n$/);
});

test('nobody there: the sender reads it', async () => {
  const text = await arrives('bob', () =>
    send(['-f', 'bob@example.test', 'nobody@example.test', 'not an address'], 'Subject: lost\n\nx\n'),
  );
  assert.match(text, /Final-Recipient: rfc822; nobody@example\.test/);
  assert.match(text, /550 5\.1\.1/);
  assert.match(text, /^Subject: lost$/m);
});

const refusals: readonly { name: string; args: string[]; code: number }[] = [
  { name: 'no recipient', args: [], code: 64 },
  { name: 'the daemon', args: ['-bd'], code: 64 },
  { name: 'a wrong NOTIFY', args: ['-N', 'never,success', 'alice'], code: 64 },
];
for (const { name, args, code } of refusals) {
  test(`refused: ${name}`, async () => {
    assert.equal((await send(args, 'x\n')).code, code);
  });
}

test('mail waits in the maildrop while no server runs, safe from others', async () => {
  const own = await startServer();
  const maildrop = join(own.directory, 'data/maildrop');
  await own.stop();
  assert.equal(statSync(maildrop).mode & 0o7777, 0o1733);
  assert.equal(statSync(join(own.directory, 'data')).mode & 0o7777, 0o711);
  const { code } = await send(
    ['-f', 'bob@example.test', 'alice@example.test'],
    'Subject: later\n\nx\n',
    own.configFile,
  );
  assert.equal(code, 0);
  const [name] = readdirSync(maildrop);
  // What is not complete, has a second name, or is no envelope is not taken for mail.
  writeFileSync(
    join(maildrop, 'part.drop'),
    '{"version":1,"recipients":["alice@example.test"]}\nSubject: part\n\n',
  );
  writeFileSync(
    join(maildrop, 'linked.drop'),
    '{"version":1,"recipients":["alice@example.test"]}\nSubject: linked\n\n',
    { mode: 0o744 },
  );
  linkSync(join(maildrop, 'linked.drop'), join(own.directory, 'second-name'));
  writeFileSync(join(maildrop, 'broken.drop'), 'no envelope\n', { mode: 0o744 });
  for (const each of ['linked.drop', 'broken.drop']) chmodSync(join(maildrop, each), 0o744);
  assert.match(name!, /\.drop$/);
  const again = await startServer({ directory: own.directory });
  await until('the message', () => again.messages('alice').length === 1);
  assert.match(readFileSync(again.messages('alice')[0]!, 'utf8'), /^Subject: later$/m);
  await until('a tidy folder', () => readdirSync(maildrop).join() === 'part.drop');
  assert.equal(again.messages('alice').length, 1);
  await again.stop();
});

test('a server that dies after it took mail from the maildrop, and before the file is gone, brings nothing twice', async (t) => {
  const far = await serveScript(t, {});
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-dies-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const flag = join(directory, 'die');
  const preload = join(directory, 'preload.mjs');
  writeFileSync(
    preload,
    `import files from 'node:fs/promises';
import { existsSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { unlink } = files;
files.unlink = async (path) => {
  if (String(path).endsWith('.drop') && existsSync('${flag}')) {
    rmSync('${flag}');
    process.kill(process.pid, 'SIGKILL');
  }
  return unlink(path);
};
syncBuiltinESMExports();
`,
  );
  const own = await startServer({
    env: { NODE_OPTIONS: `--import ${preload}` },
    config: {
      routes: [
        { to: '@example.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: `127.0.0.1:${far.port}?tls=none` },
      ],
    },
  });
  t.after(() => own.stop());
  writeFileSync(flag, '');
  const text = 'Subject: once\n\nx\n';
  const sender = ['-f', 'bob@example.test'];
  const { code } = await send([...sender, 'alice@example.test', 'x@far.test'], text, own.configFile);
  assert.equal(code, 0);
  const maildrop = join(own.directory, 'data/maildrop');
  await until('the death', () => !existsSync(flag));
  await until('a tidy folder', () => readdirSync(maildrop).length === 0);
  await send([...sender, 'alice@example.test', 'x@far.test'], text.replace('once', 'later'), own.configFile);
  const heard = (word: string) => far.heard.filter((line) => line.includes(`Subject: ${word}`)).length;
  await until('what came later', () => heard('later') === 1 && own.messages('alice').length >= 2);
  assert.equal(own.messages('alice').length, 2);
  // On its way out it may have been on the wire when the server died, which is no matter of the maildrop.
  assert.ok(heard('once') >= 1 && heard('once') <= 2, `${heard('once')}`);
});

function nullClient(t: TestContext, port: number, more: object = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-null-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const config = {
    hostname: 'laptop.test',
    dataDirectory: 'data',
    routes: [{ to: '*', from: 'authenticated', relay: `127.0.0.1:${port}?tls=none` }],
    ...more,
  };
  writeFileSync(join(directory, 'mailfilter.json'), JSON.stringify(config));
  return join(directory, 'mailfilter.json');
}

test('a null client sends through its relay, keeps what it cannot send, and tries again with -q', async (t) => {
  const port = await freePort();
  const config = nullClient(t, port);
  const kept = await send(['-f', 'me@laptop.test', 'x@far.test'], 'Subject: kept\n\nx\n', config);
  assert.deepEqual([kept.code, kept.stderr], [0, '']);
  const relay = await serveScript(t, { RCPT: ['250 ok', '550 5.1.1 nobody', '250 ok'] }, { port });
  assert.equal((await send(['-q'], '', config)).code, 0);
  assert.ok(relay.heard.some((line) => line.includes('Subject: kept')));
  assert.equal((await send(['-q'], '', config)).code, 0);
  assert.equal(relay.heard.filter((line) => line.includes('Subject: kept')).length, 1);
  const refused = await send(['-f', 'me@laptop.test', 'y@far.test'], 'Subject: no\n\nx\n', config);
  assert.equal(refused.code, 69);
  assert.match(refused.stderr, /<y@far\.test>: 550 5\.1\.1 nobody/);
  const sent = await send(['-i', 'root'], 'Subject: cron\nBcc: z\n\nout\n', config);
  assert.equal(sent.code, 0);
  assert.ok(relay.heard.includes('RCPT TO:<root@laptop.test>'));
  const message = relay.heard.find((line) => line.includes('Subject: cron'))!;
  assert.match(message, /^Date: /m);
  assert.doesNotMatch(message, /^Bcc/m);
});

test('a null client returns what is refused later, or waits too long, and shows what waits', async (t) => {
  const port = await freePort();
  const config = nullClient(t, port, { queue: { expireSeconds: 3600 } });
  const list = async () => (await send(['-bp'], '', config)).stdout;
  assert.equal(await list(), 'Mail queue is empty\n');
  await send(['-f', 'me@laptop.test', 'x@far.test', 'y@far.test'], 'Subject: first\n\nx\n', config);
  assert.match(await list(), /me@laptop\.test\n +x@far\.test\n +y@far\.test\n/);
  const relay = await serveScript(
    t,
    { EHLO: '250 me', RCPT: ['451 4.7.1 later', '550 5.1.1 nobody', '250 ok'] },
    { port },
  );
  // The bounce of y goes to the relay at once; x waits on.
  assert.equal((await send(['-q'], '', config)).code, 0);
  const bounces = () => relay.heard.filter((line) => line.includes('Undelivered mail'));
  assert.equal(bounces().length, 1);
  assert.ok(relay.heard.includes('RCPT TO:<me@laptop.test>'));
  assert.match(bounces()[0]!, /Final-Recipient: rfc822; y@far\.test[\s\S]*550 5\.1\.1 nobody/);
  assert.match(await list(), /me@laptop\.test\n +x@far\.test\n\n/);
  // An hour later it is over for x.
  const folder = join(config, '../data/maildrop');
  const [name = ''] = readdirSync(folder).filter((each) => each.endsWith('.drop'));
  const text = readFileSync(join(folder, name), 'utf8');
  const aged = text.replace(/"since":(\d+)/, (_, since) => `"since":${Number(since) - 3_601_000}`);
  assert.notEqual(aged, text);
  writeFileSync(join(folder, name), aged);
  relay.answers.RCPT = ['451 4.7.1 not today', '250 ok'];
  assert.equal((await send(['-q'], '', config)).code, 0);
  assert.match(bounces()[1]!, /Final-Recipient: rfc822; x@far\.test[\s\S]*451 4\.7\.1 not today/);
  assert.equal(await list(), 'Mail queue is empty\n');
});

test('a full disk: whom a kept message reached, or whose failure was told, is left out all the same', async (t) => {
  const port = await freePort();
  const config = nullClient(t, port);
  const to = ['x@far.test', 'y@far.test', 'z@far.test'];
  await send(['-f', 'me@laptop.test', ...to], 'Subject: full\n\nbody\n', config);
  const folder = join(config, '../data/maildrop');
  const [name = ''] = readdirSync(folder).filter((each) => each.endsWith('.drop'));
  const before = readFileSync(join(folder, name), 'utf8');
  const preload = join(config, '../full.mjs');
  writeFileSync(
    preload,
    `import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
const { open } = files;
files.open = async (path, flags, mode) => {
  if (flags === 'wx') throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  return open(path, flags, mode);
};
syncBuiltinESMExports();
`,
  );
  const env = { MAILFILTER_CONFIG: config, NODE_OPTIONS: `--import ${preload}` };
  const sendAgain = () => runCommand(['sendmail', '-q'], { env });
  // To x, y and z; then to the bounce; then to y again.
  const relay = await serveScript(
    t,
    { EHLO: '250 me', RCPT: ['250 ok', '451 4.7.1 later', '550 5.1.1 nobody', '250 ok', '250 ok'] },
    { port },
  );
  const full = await sendAgain();
  assert.equal(full.code, 0);
  assert.match(full.stderr, /ENOSPC/);
  assert.deepEqual(
    readdirSync(folder).filter((each) => each.endsWith('.drop')),
    [name],
  );
  const after = readFileSync(join(folder, name), 'utf8');
  assert.equal(after.length, before.length);
  const [line = '', ...message] = after.split('\n');
  const [lineBefore = '', ...messageBefore] = before.split('\n');
  assert.deepEqual(message, messageBefore);
  assert.deepEqual(JSON.parse(line), { ...JSON.parse(lineBefore), recipients: ['y@far.test'] });
  const again = await sendAgain();
  assert.deepEqual([again.code, again.stderr], [0, '']);
  const asked = relay.heard.filter((each) => each.startsWith('RCPT'));
  const addresses = asked.map((each) => /<(.*?)>/.exec(each)?.[1]);
  assert.deepEqual(addresses, [...to, 'me@laptop.test', 'y@far.test']);
  assert.ok(!existsSync(join(folder, name)));
});

test('two runs of a null client send what waits once', async (t) => {
  const port = await freePort();
  const config = nullClient(t, port);
  await send(['-f', 'me@laptop.test', 'x@far.test'], 'Subject: once\n\nx\n', config);
  const relay = await serveScript(t, {}, { port });
  const runs = await Promise.all([send(['-q'], '', config), send(['-q'], '', config)]);
  assert.deepEqual(
    runs.map(({ code }) => code),
    [0, 0],
  );
  assert.equal(relay.heard.filter((line) => line.includes('Subject: once')).length, 1);
});

test('-bs of a null client: what a relay refuses is refused, not put off', async (t) => {
  const port = await freePort();
  const config = nullClient(t, port);
  const dialogue = (to: string) =>
    `EHLO me\r\nMAIL FROM:<me@laptop.test>\r\nRCPT TO:<${to}>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n`;
  const kept = await send(['-bs'], dialogue('x@far.test'), config);
  assert.match(kept.stdout, /^354 .*\r\n250 /m, 'no relay: it is kept');
  await serveScript(t, { RCPT: ['550 5.1.1 nobody', '250 ok'] }, { port });
  const refused = await send(['-bs'], dialogue('y@far.test'), config);
  assert.match(refused.stdout, /^354 .*\r\n554 /m);
  const sent = await send(['-bs'], dialogue('z@far.test'), config);
  assert.match(sent.stdout, /^354 .*\r\n250 /m);
});

const options: readonly { argv: string[]; want: Partial<ReturnType<typeof readOptions>> }[] = [
  { argv: ['-t', '-oi', '-oem'], want: { fromHeader: true, dotEnds: false, recipients: [] } },
  { argv: ['-i', '-f', 'a@b', '--', '-x'], want: { sender: 'a@b', recipients: ['-x'] } },
  { argv: ['-r<>', 'x'], want: { sender: '', recipients: ['x'] } },
  { argv: ['-bp'], want: { mode: 'p' } },
  { argv: ['-q30m'], want: { mode: 'q' } },
  { argv: ['-O', 'DeliveryMode=b', '-v', 'x'], want: { verbose: true, recipients: ['x'] } },
  {
    argv: ['-N', 'success,delay', '-R', 'hdrs', '-V', 'id', 'x'],
    want: { notify: ['success', 'delay'], ret: 'hdrs', envid: 'id' },
  },
  { argv: ['-B8BITMIME', '-odi', '-L', 'tag', 'x'], want: { body: '8bitmime', recipients: ['x'] } },
  { argv: ['-FAnn Example', '-d0.1', '-em', 'x'], want: { fullName: 'Ann Example', recipients: ['x'] } },
];
for (const { argv, want } of options) {
  test(`options: ${argv.join(' ')}`, () => {
    const found = readOptions(argv);
    for (const [key, value] of Object.entries(want))
      assert.deepEqual(found[key as keyof typeof found], value, key);
  });
}

const texts: readonly { name: string; input: string; want: string }[] = [
  {
    name: 'line ends of both kinds',
    input: 'From: a\r\nA: b\n\nx\r\ny',
    want: 'From: a\r\nA: b\r\n\r\nx\r\ny\r\n',
  },
  { name: 'a body without a header', input: 'hello\nyou\n', want: 'From: me@x\r\n\r\nhello\r\nyou\r\n' },
  {
    name: 'a header without an empty line',
    input: 'Subject: a\nhello\n',
    want: 'From: me@x\r\nSubject: a\r\n\r\nhello\r\n',
  },
  { name: 'the line of a mailbox', input: 'From x Thu\nFrom: a\n\nx\n', want: 'From: a\r\n\r\nx\r\n' },
  { name: 'nothing', input: '', want: 'From: me@x\r\n\r\n' },
];
for (const { name, input, want } of texts) {
  test(`made ready: ${name}`, () => {
    const { message } = prepare(Buffer.from(input), readOptions(['-i', 'x']), 'me@x');
    assert.equal(message.toString(), want);
  });
}

test('addresses are taken from groups, lists and Resent fields', () => {
  const input = 'To: Ann <ann@x>, list: bob@x, carl@x;\nCc: root\n\n';
  const found = prepare(Buffer.from(input), readOptions(['-t', 'Dora <dora@x>, ann@x']), 'me@x');
  assert.deepEqual([...found.recipients].sort(), ['ann@x', 'bob@x', 'carl@x', 'dora@x', 'root']);
  const resent = prepare(Buffer.from(`Resent-To: eve@x\n${input}`), readOptions(['-t']), 'me@x');
  assert.deepEqual(resent.recipients, ['eve@x']);
});
