/** The MDA by hand: where mail goes, what every failure is called, and that nothing is lost. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CommandResult, collect, launcher, runCommand } from '../kit/command.ts';
import { rule } from '../kit/json-rule.ts';
import { requirePeer } from '../kit/require.ts';
import { messagesIn, startServer } from '../kit/server.ts';

const message = 'Subject: hello\n\nbody\n';

function newHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-deliver-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

function deliver(
  home: string,
  args: readonly string[] = [],
  input: string | Buffer = message,
  env = {},
): Promise<CommandResult> {
  return runCommand(['deliver', ...args], { cwd: home, input, env: { HOME: home, MAIL: '', ...env } });
}

function configIn(home: string, settings: Record<string, unknown>): string[] {
  const file = join(home, 'mda.json');
  const base = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    mailbox: { format: 'maildir', path: '{home}/Maildir' },
  };
  writeFileSync(file, JSON.stringify({ ...base, ...settings }));
  return ['-c', file];
}

const stored = (home: string, folder = 'Maildir') =>
  messagesIn(join(home, folder)).map((path) => readFileSync(path, 'latin1'));

test('to ~/Maildir where there is one, with the fields of final delivery', async (t) => {
  const home = newHome(t);
  mkdirSync(join(home, 'Maildir'));
  const { code, stdout, stderr } = await deliver(home, ['-f', 'ann@x.test']);
  assert.deepEqual([code, stdout, stderr], [0, '', '']);
  const [text] = stored(home);
  assert.match(text!, /^Return-Path: <ann@x\.test>\nDelivered-To: \S+@\S+\nSubject: hello\n\nbody\n$/);
  assert.equal(statSync(messagesIn(join(home, 'Maildir'))[0]!).mode & 0o777, 0o600);
});

const places = [
  { name: '$MAIL is a file', mail: 'box', mbox: 'box' },
  { name: '$MAIL ends with a slash', mail: 'Mail/', maildir: 'Mail' },
];
for (const { name, mail, mbox, maildir } of places) {
  test(`where to: ${name}`, async (t) => {
    const home = newHome(t);
    assert.equal((await deliver(home, [], message, { MAIL: join(home, mail) })).code, 0);
    if (maildir) assert.equal(stored(home, maildir).length, 1);
    if (mbox)
      assert.match(
        readFileSync(join(home, mbox), 'latin1'),
        /^From MAILER-DAEMON .*\n(?:.*\n)*Subject: hello\n\nbody\n\n$/,
      );
  });
}

const senders = [
  {
    name: '-f before all',
    args: ['-f', '<a@x.test>'],
    env: { SENDER: 'b@x.test', RECIPIENT: 'me@x.test' },
    want: 'a@x.test',
  },
  { name: 'the null sender', args: ['-f', '<>'], env: {}, want: '' },
  {
    name: 'the environment of local(8)',
    args: [],
    env: { SENDER: 'b@x.test', RECIPIENT: 'me@x.test' },
    want: 'b@x.test',
  },
  { name: 'the From_ line', args: [], env: {}, want: 'c@x.test' },
];
for (const { name, args, env, want } of senders) {
  test(`sender: ${name}; the From_ line is no part of the message`, async (t) => {
    const home = newHome(t);
    mkdirSync(join(home, 'Maildir'));
    const input = `From c@x.test  Sat Nov 21 09:00:00 2026\nReturn-Path: <old@x.test>\nDelivered-To: me@x.test\n${message}`;
    assert.equal((await deliver(home, args, input, env)).code, 0);
    const [text] = stored(home);
    assert.ok(text!.startsWith(`Return-Path: <${want}>\n`), text);
    assert.equal(text!.match(/^Return-Path/gm)?.length, 1);
    assert.ok(!text!.includes('\nFrom '));
    if ('RECIPIENT' in env) assert.equal(text!.match(/^Delivered-To: me@x\.test$/gm)?.length, 1);
  });
}

test('bytes of any kind come through: 8 bit, CRLF, a long line, no end of line', async (t) => {
  const home = newHome(t);
  mkdirSync(join(home, 'Maildir'));
  const odd = Buffer.concat([
    Buffer.from('Subject: x\r\n\r\n\xe4\x00', 'latin1'),
    Buffer.alloc(200_000, 'x'),
    Buffer.from('\r\nend'),
  ]);
  assert.equal((await deliver(home, [], odd)).code, 0);
  assert.ok(stored(home)[0]!.endsWith(odd.toString('latin1').replaceAll('\r\n', '\n')));
});

test('30 MB go through a file of their own, and nothing is left of it', async (t) => {
  const home = newHome(t);
  mkdirSync(join(home, 'Maildir'));
  mkdirSync(join(home, 'tmp'));
  const large = Buffer.concat([Buffer.from(message), Buffer.alloc(30 << 20, 'a line of text\n')]);
  assert.equal((await deliver(home, [], large, { TMPDIR: join(home, 'tmp') })).code, 0);
  assert.equal(stored(home)[0]!.endsWith(large.subarray(-(1 << 20)).toString('latin1')), true);
  assert.deepEqual(
    readdirSync(join(home, 'tmp')).filter((name) => !name.startsWith('mailfilter-compiled-')),
    [],
  );
});

const onHello = (action: unknown) => [
  { plugin: 'header-rules', options: { rules: [rule({ header: 'Subject', contains: 'hello' }, action)] } },
];
const verdicts = [
  {
    name: 'edited',
    action: { add: 'X-Seen', value: 'yes' },
    code: 0,
    said: /^$/,
    has: 'X-Seen: yes',
  },
  { name: 'rejected', action: { reject: 'no hellos' }, code: 77, said: /^5\.7\.1 .*no hellos/ },
  { name: 'tempfailed', action: { tempfail: 'not now' }, code: 75, said: /^4\.\d\.\d .*not now/ },
  { name: 'discarded', action: { discard: 'x' }, code: 0, said: /^$/ },
  {
    name: 'quarantined, for which there is no place',
    action: { quarantine: 'odd' },
    code: 75,
    said: /^4\.7\.0 no quarantine here: odd/,
  },
];
for (const { name, action, code, said, has } of verdicts) {
  test(`with a pipeline: ${name}`, async (t) => {
    const home = newHome(t);
    const result = await deliver(home, configIn(home, { pipelines: { inbound: onHello(action) } }));
    assert.deepEqual([result.code, result.stdout], [code, ''], result.stderr);
    assert.match(result.stderr, said);
    const texts = stored(home);
    assert.equal(texts.length, has ? 1 : 0);
    if (has) assert.ok(texts[0]!.includes(has), texts[0]);
  });
}

const failures: {
  name: string;
  args?: (home: string) => string[];
  env?: (home: string) => Record<string, string>;
  input?: string;
  code: number;
  said: RegExp;
}[] = [
  { name: 'an unknown option', args: () => ['-q'], code: 64, said: /'-q'/ },
  {
    name: 'an option of procmail without its rcfile',
    args: () => ['-m'],
    code: 64,
    said: /-m needs an rcfile/,
  },
  {
    name: 'no such user',
    args: () => ['-d', 'nobody-of-this-name'],
    code: 67,
    said: /^5\.1\.1 no user nobody-of-this-name/,
  },
  { name: 'no such config', args: () => ['-c', 'missing.json'], code: 75, said: /^4\.3\.0 .*missing\.json/ },
  {
    name: 'a broken config',
    args: (home) => configIn(home, { nonsense: 1 }),
    code: 75,
    said: /^4\.3\.0 .*nonsense/,
  },
  {
    name: 'a plugin that is not there',
    args: (home) => configIn(home, { pipelines: { inbound: ['./missing.ts'] } }),
    code: 75,
    said: /^4\.3\.0 .*missing\.ts/,
  },
  {
    name: 'too large',
    args: (home) => configIn(home, { limits: { messageBytesMax: 1024 } }),
    input: 'x'.repeat(2000),
    code: 69,
    said: /^5\.3\.4/,
  },
  {
    name: 'a mailbox that is no folder',
    args: (home) => {
      writeFileSync(join(home, 'Maildir'), '');
      return configIn(home, {});
    },
    code: 75,
    said: /^4\.3\.0 EEXIST/,
  },
  {
    name: 'a disk that is full',
    args: () => [],
    env: () => ({ MAIL: '/dev/full' }),
    code: 75,
    said: /^4\.3\.0/,
  },
  {
    name: 'nothing on standard input',
    args: () => [],
    input: '',
    code: 75,
    said: /^4\.6\.0 there is no message/,
  },
  {
    name: 'a user of a server that does not run',
    args: (home) => [
      '-d',
      'alice@example.test',
      ...configIn(home, { domains: ['example.test'], users: { file: 'users.json' }, mailbox: {} }),
    ],
    code: 75,
    said: /^4\.3\.2 no server takes mail/,
  },
];
for (const { name, args = () => [], env = () => ({}), input = message, code, said } of failures) {
  test(`failure: ${name}`, async (t) => {
    const home = newHome(t);
    writeFileSync(join(home, 'users.json'), '{ "version": 1, "users": {} }', { mode: 0o600 });
    const result = await deliver(home, args(home), input, env(home));
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, said);
    assert.equal(result.stderr.trim().split('\n').length, 1, 'one line, which an MTA quotes');
  });
}

test('root delivers for a user as that user', async (t) => {
  if (!requirePeer(t, 'root', process.getuid?.() === 0)) return;
  const home = newHome(t);
  const { uid, gid } = statSync('/var/cache/man', { throwIfNoEntry: false }) ?? { uid: 65534, gid: 65534 };
  const user = uid === 65534 ? 'nobody' : 'man';
  chownSync(home, uid, gid);
  const config = configIn(home, { mailbox: { format: 'maildir', path: join(home, '{user}{home}') } });
  const { code, stderr } = await deliver(home, ['-d', user, ...config]);
  assert.equal(code, 0, stderr);
  const folder = join(home, user);
  assert.deepEqual([existsSync(folder), statSync(folder).uid], [true, uid]);
});

test('nobody but root delivers for others: the mail stays with the MTA', async (t) => {
  if (!requirePeer(t, 'root', process.getuid?.() === 0)) return;
  const child = spawn(process.execPath, [launcher, 'deliver', '-d', 'root'], {
    uid: 65_534,
    gid: 65_534,
    cwd: '/',
  });
  const { code, stderr } = await collect(child, message);
  assert.deepEqual([code, stderr], [75, '4.3.5 only root may deliver for another user (root)\n']);
});

test('for a user of the running server', async (t) => {
  const server = await startServer({ inbound: onHello({ add: 'X-Server', value: 'yes' }) });
  t.after(() => server.stop());
  const home = newHome(t);
  const to = (user: string) => deliver(home, ['-c', server.configFile, '-d', user, '-f', 'ann@x.test']);
  assert.deepEqual(await to('alice@example.test'), { code: 0, stdout: '', stderr: '' });
  assert.match(
    readFileSync(server.messages('alice')[0]!, 'latin1'),
    /^Return-Path: <ann@x\.test>[\s\S]*^X-Server: yes$/m,
  );
  assert.equal((await to('bob-is-no-system-user')).code, 67);
  const unknown = await to('nobody@example.test');
  assert.deepEqual([unknown.code, unknown.stderr], [67, '5.1.1 no such user here\n']);
  assert.equal((await to('somebody@elsewhere.test')).code, 77);
  assert.equal(statSync(join(server.directory, 'data/run/deliver.sock')).mode & 0o777, 0o660);
});

test('for a user of the running server the octets are the same by the short way and the long one', async (t) => {
  const server = await startServer();
  t.after(() => server.stop());
  const home = newHome(t);
  const commented = join(server.directory, 'commented.json');
  // What a comment is in, the short way leaves to the long one.
  writeFileSync(commented, `// as it is\n${readFileSync(server.configFile, 'utf8')}`);
  const body = `.dot\n..two\n${'x'.repeat(3000)}\nbare\rcr \xe9\n${'line\n'.repeat(40_000)}.\nend`;
  const mail = Buffer.from(`From ann@x.test Sat Nov 21 12:00:00 2026\r\nSubject: ways\n\n${body}`, 'latin1');
  for (const file of [server.configFile, commented]) {
    const { code, stderr } = await deliver(home, ['-c', file, '-d', 'alice@example.test'], mail);
    assert.deepEqual([code, stderr], [0, '']);
  }
  const [one, two] = server.messages('alice').map((path) => readFileSync(path, 'latin1'));
  assert.match(one!, /^Return-Path: <ann@x\.test>/m);
  assert.equal(one!.slice(one!.indexOf('Subject:')), `Subject: ways\n\n${body.replace('\r', ' ')}`);
  assert.equal(two!.slice(two!.indexOf('Subject:')), one!.slice(one!.indexOf('Subject:')));
  const to = ['-c', server.configFile, '-d', 'alice@example.test'];
  assert.deepEqual(await deliver(home, to, ''), {
    code: 75,
    stdout: '',
    stderr: '4.6.0 there is no message\n',
  });
  assert.equal((await deliver(home, [...to, '-x'])).code, 64);
  await server.stop();
  const away = await deliver(home, to);
  assert.equal(away.code, 75);
  assert.match(away.stderr, /^4\.3\.2 no server takes mail at /);
});
