/** Programs that send through a sendmail send through ours: git, mutt, mail, PHP, cron's command line. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { collect, launcher } from '../kit/command.ts';
import { requirePeer, requireProgram } from '../kit/require.ts';
import { serveScript } from '../kit/scripted-smtp.ts';

const committer = Object.fromEntries(
  ['COMMITTER', 'AUTHOR'].flatMap((who) => [
    [`GIT_${who}_NAME`, 'Ann'],
    [`GIT_${who}_EMAIL`, 'ann@host.test'],
  ]),
);

/** A machine with our sendmail as a null client, and the relay that it sends to. */
async function machine(t: TestContext) {
  const relay = await serveScript(t, {});
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-programs-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const sendmail = join(home, 'sendmail');
  symlinkSync(launcher, sendmail);
  const config = join(home, 'mailfilter.json');
  const route = { to: '*', from: 'authenticated', relay: `127.0.0.1:${relay.port}?tls=none` };
  writeFileSync(config, JSON.stringify({ hostname: 'host.test', dataDirectory: 'data', routes: [route] }));
  const run = async (program: string, args: readonly string[], input = '') => {
    const env = { ...process.env, HOME: home, MAILFILTER_CONFIG: config, LANG: 'C.UTF-8', ...committer };
    const { code, stdout, stderr } = await collect(spawn(program, args, { cwd: home, env }), input);
    assert.equal(code, 0, `${program}: ${stdout}${stderr}`);
    const message = relay.heard.find((text) => text.includes('\r\n\r\n')) ?? '';
    return { message, rcpt: relay.heard.filter((line) => line.startsWith('RCPT')) };
  };
  return { sendmail, home, run };
}

test('git send-email', async (t) => {
  const git = requireProgram(t, 'git');
  if (!git || !requirePeer(t, 'git send-email', existsSync('/usr/lib/git-core/git-send-email'))) return;
  const { sendmail, home, run } = await machine(t);
  const patch = join(home, '0001.patch');
  writeFileSync(
    patch,
    'From 1234 Mon Sep 17 00:00:00 2001\nFrom: Ann <ann@host.test>\nSubject: [PATCH] x\n\nbody\n---\n',
  );
  const args = [
    'send-email',
    `--smtp-server=${sendmail}`,
    '--from=Ann <ann@host.test>',
    '--to=list@far.test',
    '--confirm=never',
    patch,
  ];
  const { message, rcpt } = await run(git, args);
  assert.deepEqual(rcpt, ['RCPT TO:<list@far.test>', 'RCPT TO:<ann@host.test>']);
  assert.match(message, /^Subject: \[PATCH\] x\r$/m);
});

test('mutt', async (t) => {
  const mutt = requireProgram(t, 'mutt');
  if (!mutt) return;
  const { sendmail, run } = await machine(t);
  const settings = `set sendmail="${sendmail} -oem -oi" from="ann@host.test" use_envelope_from copy=no`;
  const { message, rcpt } = await run(
    mutt,
    ['-n', '-e', settings, '-s', 'grüße', 'x@far.test', '-c', 'y@far.test'],
    'hello\n.\n',
  );
  assert.deepEqual(rcpt, ['RCPT TO:<x@far.test>', 'RCPT TO:<y@far.test>']);
  assert.match(message, /^From: .*<?ann@host\.test>?\r$/m);
  assert.match(message, /\r\n\r\nhello\r\n\.\.$/);
});

test('mail of bsd-mailx', async (t) => {
  const mail = requireProgram(t, 'mail');
  if (!mail) return;
  const { sendmail, home, run } = await machine(t);
  writeFileSync(join(home, '.mailrc'), `set sendmail=${sendmail}\n`);
  const { message, rcpt } = await run(
    mail,
    ['-s', 'daily report', '-c', 'y@far.test', 'x@far.test'],
    'all is well\n',
  );
  assert.deepEqual(rcpt.sort(), ['RCPT TO:<x@far.test>', 'RCPT TO:<y@far.test>']);
  assert.match(message, /^Subject: daily report\r$/m);
  assert.match(message, /\r\n\r\nall is well/);
});

test('PHP', async (t) => {
  const php = requireProgram(t, 'php');
  if (!php) return;
  const { sendmail, run } = await machine(t);
  const script =
    "exit(mail('x@far.test', 'hi', 'body', 'From: shop@host.test', '-fshop@host.test') ? 0 : 1);";
  const { message, rcpt } = await run(php, ['-d', `sendmail_path=${sendmail} -t -i`, '-r', script]);
  assert.deepEqual(rcpt, ['RCPT TO:<x@far.test>']);
  assert.match(message, /^From: shop@host\.test\r$/m);
  assert.match(message, /\r\n\r\nbody$/);
});

test("cron's command line, and that of smartmontools", async (t) => {
  const { sendmail, run } = await machine(t);
  const input =
    'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> true\nAuto-Submitted: auto-generated\n\nout\n';
  const args = ['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'root'];
  const { message, rcpt } = await run(sendmail, args, input);
  assert.deepEqual(rcpt, ['RCPT TO:<root@host.test>']);
  assert.match(message, /^Subject: Cron <root@host> true\r$/m);
});

/** As they are written in the sources of these packages of Debian. */
const packages: readonly {
  name: string;
  args: readonly string[];
  input: string;
  want: string;
  field: RegExp;
}[] = [
  {
    name: 'unattended-upgrades',
    args: ['-oi', '-t'],
    input:
      'To: admin@far.test\nAuto-Submitted: auto-generated\nSubject: upgraded\n\nAll upgrades installed\n.\nend\n',
    want: 'admin@far.test',
    field: /^Auto-Submitted: auto-generated\r$[\s\S]*\r\n\.\.\r\nend$/m,
  },
  {
    name: 'mdadm',
    args: ['-t'],
    input: 'From: mdadm monitoring <root>\nTo: root\nSubject: DegradedArray event\n\nFaithfully yours\n',
    want: 'root@host.test',
    field: /^Subject: DegradedArray event\r$/m,
  },
  {
    name: 'at',
    args: ['-i', 'ann'],
    input: 'Subject: Output from your job        7\nTo: ann\n\nout\n',
    want: 'ann@host.test',
    field: /^To: ann\r$/m,
  },
  {
    name: 'anacron',
    args: ['-FAnacron', '-odi', 'root'],
    input: 'To: root\nSubject: Anacron job "cron.daily"\n\nout\n',
    want: 'root@host.test',
    field: /^From: Anacron <.*@host\.test>\r$/m,
  },
];
for (const { name, args, input, want, field } of packages) {
  test(`the command line of ${name}`, async (t) => {
    const { sendmail, run } = await machine(t);
    const { message, rcpt } = await run(sendmail, args, input);
    assert.deepEqual(rcpt, [`RCPT TO:<${want}>`]);
    assert.match(message, field);
  });
}
