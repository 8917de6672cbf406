/** Postfix with us as its LMTP server, its pipe(8) transport and its mailbox_command. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mdaLines } from '../../src/cli/init/mta-lines.ts';
import { launcher } from '../kit/command.ts';
import { type Postfix, startPostfix } from '../kit/postfix.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import {
  assertLarge,
  assertUtf8,
  killStartedWith,
  sendLarge,
  sendUtf8,
  untilItHangs,
} from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');
const deliver = (config: string) => `${process.execPath} ${launcher} deliver -c ${config}`;

const send = (
  t: TestContext,
  { port }: Postfix,
  word: string,
  to: string | string[] = 'alice@example.test',
) => {
  const message = `From: <ann@example.org>\nSubject: test\nX-Do: ${word}\n\nhello\n`;
  return swaks(requireProgram(t, 'swaks')!, { port, to, message });
};

/** Until its log says so; else with all that it said. */
async function logs(postfix: Postfix, pattern: RegExp): Promise<void> {
  await until(String(pattern), () => pattern.test(postfix.log())).catch((error: Error) => {
    throw new Error(`${error.message}\n${postfix.log().slice(-3000)}`);
  });
}

test('LMTP to us is the delivery of Postfix, with an answer for each recipient', async (t) => {
  const server = await startServer({ inbound: [{ plugin }] });
  t.after(() => server.stop());
  const postfix = await startPostfix(t, {
    main: {
      virtual_transport: `lmtp:inet:127.0.0.1:${server.ports.lmtp}`,
      virtual_mailbox_maps: 'static:all',
    },
  });
  if (!postfix) return;
  await send(t, postfix, 'add', ['alice@example.test', 'bob@example.test', 'nobody@example.test']);
  await until('both copies', () => ['alice', 'bob'].every((user) => server.messages(user).length === 1));
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^X-Added: at the end$/m);
  await logs(postfix, /to=<nobody@example\.test>.*dsn=5\.1\.1.*no such user here/);
  await send(t, postfix, 'tempfail');
  await logs(postfix, /to=<alice@example\.test>.*dsn=4\.7\.1.*come back later/);
  assert.equal(server.messages('alice').length, 1);
  const fresh = freshOf(() => server.messages('bob'));
  await sendUtf8(postfix.port, 'bob@example.test');
  assertUtf8(await fresh());
  await sendLarge(postfix.port, 'bob@example.test');
  assertLarge(await fresh());
  for (const word of ['discard', 'quarantine']) {
    await send(t, postfix, word, 'bob@example.test');
  }
  await send(t, postfix, 'reject', 'bob@example.test');
  await logs(postfix, /to=<bob@example\.test>.*dsn=5\.7\.1, status=bounced.*100% refused/);
  await send(t, postfix, 'hang', 'bob@example.test');
  await untilItHangs(server);
  await server.kill();
  await logs(postfix, /to=<bob@example\.test>.*status=deferred.*(?:lost connection|refused)/);
  assert.equal(server.messages('bob').length, 3);
});

/** The text of the message that came since the last call. */
function freshOf(mails: () => string[]): () => Promise<string> {
  const seen = new Set(mails());
  return async () => {
    const fresh = () => mails().filter((path) => !seen.has(path));
    await until('a message', () => fresh().length > 0);
    const [path] = fresh();
    seen.add(path!);
    return readFileSync(path!, 'latin1');
  };
}

test('deliver is the pipe transport of Postfix, for users of the running server', async (t) => {
  const server = await startServer({ inbound: [{ plugin }] });
  t.after(() => server.stop());
  chmodSync(server.directory, 0o755);
  // As if the server ran as a user in nobody's group: that group may come to the socket, and to nothing else.
  const gid = Number(/^nobody:[^:]*:\d+:(\d+)/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
  for (const path of ['data', 'data/run', 'data/run/deliver.sock'])
    chownSync(join(server.directory, path), 0, gid);
  const postfix = await startPostfix(t, {
    main: {
      virtual_transport: 'mailfilter',
      mailfilter_destination_recipient_limit: '1',
      virtual_mailbox_maps: 'static:all',
    },
    master: [
      `mailfilter unix - n n - - pipe\n  flags=Rq user=nobody argv=${deliver(server.configFile)} -f \${sender} -d \${recipient}`,
    ],
  });
  if (!postfix) return;
  await send(t, postfix, 'add', ['alice@example.test', 'nobody@example.test']);
  await logs(postfix, /to=<alice@example\.test>.*status=sent/);
  assert.equal(server.messages('alice').length, 1);
  assert.match(
    readFileSync(server.messages('alice')[0]!, 'latin1'),
    /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end$/m,
  );
  await logs(postfix, /to=<nobody@example\.test>.*dsn=5\.1\.1.*no such user here/);
  await send(t, postfix, 'reject');
  await logs(postfix, /to=<alice@example\.test>.*dsn=5\.7\.1, status=bounced.*100% refused/);
  await send(t, postfix, 'hang');
  await killStartedWith(`deliver\0-c\0${server.configFile}`);
  await logs(postfix, /to=<alice@example\.test>.*dsn=4\.3\.0, status=deferred/);
  await server.stop();
  await send(t, postfix, 'add');
  await logs(postfix, /to=<alice@example\.test>.*dsn=4\.3\.2, status=deferred.*no server takes mail/);
});

test('deliver is the mailbox_command of Postfix, for system users', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'mail'));
  for (const path of [folder, join(folder, 'mail')]) chmodSync(path, 0o777);
  const config = join(folder, 'mda.json');
  const mailbox = { format: 'mbox', path: join(folder, 'mail/{user}{home}') };
  const settings = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    mailbox,
    pipelines: { inbound: [{ plugin }] },
  };
  writeFileSync(config, JSON.stringify(settings));
  const [line] = mdaLines(deliver(config)).find(({ mta }) => mta === 'Postfix')!.lines;
  const main = Object.fromEntries([line!.split(' = ') as [string, string]]);
  const postfix = await startPostfix(t, {
    main: { ...main, mydestination: '$myhostname', local_recipient_maps: '', mailbox_size_limit: '0' },
  });
  if (!postfix) return;
  const to = 'nobody@mta.example.test';
  const mbox = () =>
    readFileSync(join(folder, 'mail/nobody/nonexistent'), { encoding: 'latin1', flag: 'a+' });
  mkdirSync(join(folder, 'mail/nobody'));
  chmodSync(join(folder, 'mail/nobody'), 0o777);
  await send(t, postfix, 'add', to);
  await logs(postfix, /status=sent \(delivered to command/);
  assert.match(
    mbox(),
    /^From ann@example\.org .*\nReturn-Path: <ann@example\.org>\nDelivered-To: nobody@mta\.example\.test\n(?!Delivered-To)[\s\S]*^X-Added: at the end$/m,
  );
  await send(t, postfix, 'tempfail', to);
  await logs(postfix, /dsn=4\.7\.1, status=deferred.*come back later/);
  await send(t, postfix, 'reject', to);
  await logs(postfix, /dsn=5\.7\.1, status=bounced.*100% refused/);
  await send(t, postfix, 'hang', to);
  await killStartedWith(config);
  await logs(postfix, /dsn=4\.3\.0, status=deferred.*(?:signal 9|killed)/i);
  assert.equal(mbox().match(/^From /gm)?.length, 1);
});

test('deliver is the mailbox_command of Postfix in the place of procmail', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  const rcfile = join(folder, 'rc');
  const recipes = `MAILDIR=${folder}\n:0\n* ^X-Do: file\n$1-mail\n:0\n* ^X-Do: wait\n/nowhere/x\nEXITCODE=75\n:0\n/dev/null\n`;
  writeFileSync(rcfile, recipes, { mode: 0o644 });
  chmodSync(folder, 0o1777);
  const command = `${process.execPath} ${launcher} deliver -t -a "$EXTENSION" ${rcfile}`;
  const postfix = await startPostfix(t, {
    main: {
      mailbox_command: command,
      ...{
        mydestination: '$myhostname',
        local_recipient_maps: '',
        recipient_delimiter: '+',
        mailbox_size_limit: '0',
      },
    },
  });
  if (!postfix) return;
  await send(t, postfix, 'file', 'nobody+lists@mta.example.test');
  await logs(postfix, /status=sent \(delivered to command/);
  assert.match(readFileSync(join(folder, 'lists-mail'), 'latin1'), /^From ann@example\.org /);
  await send(t, postfix, 'wait', 'nobody@mta.example.test');
  await logs(postfix, /status=deferred/);
});
