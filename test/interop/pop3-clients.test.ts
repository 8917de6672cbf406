/** POP3 as people's programs speak it: curl, fetchmail, getmail, mpop, Python's poplib. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pop3 } from '../../src/access/pop3/protocol.ts';
import { openAccessDoor } from '../kit/access-door.ts';
import { collect } from '../kit/command.ts';
import { certificate } from '../kit/door.ts';
import { getmailSetUp } from '../kit/getmail.ts';
import { plainMessages } from '../kit/imap-client.ts';
import { requireProgram } from '../kit/require.ts';

const user = 'alice@example.test';
const password = 'secret';

async function open(t: TestContext, tls: 'none' | 'starttls' | 'implicit') {
  const mailRoot = mkdtempSync(join(tmpdir(), 'mailfilter-pop3-'));
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-client-'));
  for (const folder of [mailRoot, home]) t.after(() => rmSync(folder, { recursive: true, force: true }));
  const inbox = join(mailRoot, user);
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(inbox, part), { recursive: true });
  for (const [at, message] of plainMessages(3).entries())
    writeFileSync(join(inbox, 'new', `${1000 + at}.M${at}.host`), message);
  const listener = { protocol: 'pop3', tls, authWithoutTls: tls === 'none' } as const;
  const { port } = await openAccessDoor(t, { protocol: pop3, listener, mailRoot });
  const left = () => readdirSync(join(inbox, 'new')).length + readdirSync(join(inbox, 'cur')).length;
  const run = async (program: string, args: readonly string[], input = '') => {
    const env = { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8' };
    const { code, stdout, stderr } = await collect(
      spawn(program, args, { cwd: home, env, timeout: 60_000 }),
      input,
    );
    assert.equal(code, 0, `${program} ${args.join(' ')}: ${code}\n${stdout}\n${stderr}`);
    return stdout;
  };
  return { port, home, left, run };
}

for (const [scheme, tls] of [
  ['pop3s', 'implicit'],
  ['pop3', 'starttls'],
] as const) {
  test(`curl lists and reads over ${scheme} (${tls})`, async (t) => {
    const program = requireProgram(t, 'curl');
    if (!program) return;
    const { port, run } = await open(t, tls);
    const args = [
      '-sS',
      '--ssl-reqd',
      '--cacert',
      certificate().certFile,
      '--resolve',
      `mx.example.test:${port}:127.0.0.1`,
      '-u',
      `${user}:${password}`,
    ];
    const url = `${scheme}://mx.example.test:${port}`;
    assert.match(await run(program, [...args, `${url}/`]), /^1 \d+\r\n2 \d+\r\n3 \d+\r\n$/);
    assert.equal(await run(program, [...args, `${url}/2`]), plainMessages(2)[1]!.replaceAll('\n', '\r\n'));
  });
}

test('fetchmail takes mail and removes it', async (t) => {
  const program = requireProgram(t, 'fetchmail');
  if (!program) return;
  const { port, home, left, run } = await open(t, 'none');
  const rc = join(home, 'fetchmailrc');
  writeFileSync(
    rc,
    `poll 127.0.0.1 service ${port} proto pop3 auth password username "${user}" password "${password}" mda "cat >> ${home}/got" sslproto ''\n`,
    { mode: 0o700 },
  );
  await run(program, ['-f', rc, '-s', '--nosyslog', '--pidfile', join(home, 'pid')]);
  assert.equal(readFileSync(join(home, 'got'), 'latin1').match(/^Subject: m\d/gm)?.length, 3);
  assert.equal(left(), 0);
});

test('getmail leaves mail and takes each message once', async (t) => {
  const program = requireProgram(t, 'getmail');
  if (!program) return;
  const { port, home, left, run } = await open(t, 'none');
  const { args, maildir } = getmailSetUp(home, [
    'type = SimplePOP3Retriever',
    'server = 127.0.0.1',
    `port = ${port}`,
    `username = ${user}`,
    `password = ${password}`,
  ]);
  await run(program, args);
  await run(program, args);
  assert.equal(readdirSync(join(maildir, 'new')).length, 3);
  assert.equal(left(), 3);
});

test('mpop takes mail in a pipeline and removes it', async (t) => {
  const program = requireProgram(t, 'mpop');
  if (!program) return;
  const { port, home, left, run } = await open(t, 'none');
  const rc = join(home, 'mpoprc');
  writeFileSync(
    rc,
    `account a\nhost 127.0.0.1\nport ${port}\nuser ${user}\npassword ${password}\ntls off\nauth user\npipelining on\nkeep off\ndelivery mbox ${home}/got\nuidls_file ${home}/uidls\naccount default : a\n`,
    { mode: 0o600 },
  );
  await run(program, ['-C', rc, '-q']);
  assert.equal(readFileSync(join(home, 'got'), 'latin1').match(/^Subject: m\d/gm)?.length, 3);
  assert.equal(left(), 0);
});

test("Python's poplib", async (t) => {
  const program = requireProgram(t, 'python3');
  if (!program) return;
  const { port, left, run } = await open(t, 'none');
  const script = `
import poplib
m = poplib.POP3('127.0.0.1', ${port})
m.utf8()
m.user('${user}'); m.pass_('${password}')
assert m.stat()[0] == 3
assert 'TOP' in m.capa()
assert m.retr(1)[1][0] == b'Subject: m1'
assert m.top(2, 0)[1][-1] == b''
assert len({line.split()[1] for line in m.uidl()[1]}) == 3
m.dele(1); m.rset(); m.dele(2)
m.quit()
print('fine')
`;
  assert.equal(await run(program, ['-'], script), 'fine\n');
  assert.equal(left(), 2);
});
