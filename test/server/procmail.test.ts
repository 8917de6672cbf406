/** A whole server with rcfiles of procmail: mail comes by SMTP, is filed, and its story names the recipe. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { until } from '../kit/server.ts';
import { MailClient } from './mail-client.ts';
import { openServer, traceOf } from './observe.ts';

const server = await openServer({
  config: {
    listeners: {
      smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' },
    },
  },
  inbound: [{ plugin: 'procmail', options: { programs: 'programs' } }],
  files: {
    'programs/mark': '#!/bin/sh\necho "X-Marked: yes"\nexec cat\n',
    'programs/collect': '#!/bin/sh\nexec cat >"$(dirname "$0")/../collected"\n',
    'programs/fail': '#!/bin/sh\ncat >/dev/null\nexit 1\n',
  },
});
for (const name of ['mark', 'collect', 'fail']) chmodSync(join(server.directory, 'programs', name), 0o755);
after(() => server[Symbol.asyncDispose]());

function install(user: string, rcfile: string, files: Readonly<Record<string, string>> = {}): void {
  const folder = join(server.directory, 'data/procmail/example.test', user);
  for (const [name, text] of Object.entries({ '.procmailrc': rcfile, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

let sent = 0;

/** Answers the reply to the end of the data, and the Message-ID. */
async function send(
  user: string,
  subject: string,
  { to = user, messageId = `${++sent}.${process.pid}` } = {},
) {
  const id = `<${messageId}@sender.test>`;
  const client = await MailClient.open(server.ports.smtp!, 'smtp');
  await client.envelope({ from: 'ann@sender.test', to: [`${to}@example.test`] });
  const message = `From: <ann@sender.test>\nTo: ${to}@example.test\nSubject: ${subject}\nMessage-ID: ${id}\n\nbody\n`;
  const [reply] = await client.data(message, 1);
  client.destroy();
  return { reply: reply!, id };
}

/** Texts of the messages in a folder of the user. */
function folder(user: string, name = ''): string[] {
  const root = name === '' ? server.mailbox(user) : join(server.mailbox(user), `.${name}`);
  return ['new', 'cur'].flatMap((part) => {
    const path = join(root, part);
    return existsSync(path) ? readdirSync(path).map((file) => readFileSync(join(path, file), 'utf8')) : [];
  });
}

test('filed by the rcfile, whose folders are those of the mailbox; explain names the line of the recipe', async () => {
  install(
    'alice',
    'MAILDIR=$HOME/Mail\nDEFAULT=$MAILDIR/inbox\n\n:0 c:\n* ^Subject:.*report\nWork/Reports\n',
  );
  const { reply, id } = await send('alice', 'the report');
  assert.match(reply, /^250/);
  await until(
    'both copies',
    () => folder('alice', 'Work.Reports').length === 1 && folder('alice').length === 1,
  );
  assert.match(folder('alice', 'Work.Reports')[0]!, /^Subject: the report$/m);
  await traceOf(server, id);
  const { stdout } = await runCommand(['explain', id, '-c', server.configFile]);
  assert.match(stdout, /store line=6 mailbox=Work\/Reports/);
  assert.match(stdout, /store at=DEFAULT mailbox=INBOX/);
});

test('files that an rcfile includes lie beside it, and nowhere else', async () => {
  install(
    'bob',
    'INCLUDERC=$HOME/.procmail/lists.rc\nINCLUDERC=/etc/passwd\nINCLUDERC=../alice/.procmailrc\n',
    {
      '.procmail/lists.rc': ':0\n* ^Subject:.*\\[\\/[a-z]+\nlists/$MATCH/\n',
    },
  );
  await send('bob', '[dev] hello');
  await until('the copy', () => folder('bob', 'lists.dev').length === 1);
});

test('$1 is what stands behind the plus', async () => {
  install('carol', ':0\n* $1 ?? .\nplus/$1/\nARG=$1\n:0\n* ARG ?? .\nplus/$ARG/\n');
  await send('carol', 'hi', { to: 'carol+shop' });
  await until('the copy', () => folder('carol', 'plus.shop').length === 1);
});

test('/dev/null discards, EXITCODE refuses', async () => {
  install(
    'bob',
    ':0\n* ^Subject: spam\n/dev/null\n\n:0\n* ^Subject: no\n{\nEXITCODE=67\n:0\n/dev/null\n}\n\n:0\ndave/\n',
  );
  assert.match((await send('bob', 'spam')).reply, /^250/);
  assert.match((await send('bob', 'no')).reply, /^550 5\.1\.1/);
  assert.match((await send('bob', 'yes')).reply, /^250/);
  await until('the third', () => folder('bob', 'dave').length === 1);
  assert.match(folder('bob', 'dave')[0]!, /^Subject: yes$/m);
});

test('programs that the operator named: filters before, deliveries after the local copy', async () => {
  install(
    'bob',
    ':0 fhw\n* ^Subject: mark\n| mark\n\n:0 c\n* ^Subject: collect\n| collect\n\n:0\n* ? fail\nnever/\n\n:0 w\n* ^Subject: fail\n| fail\n\n:0\n* ^Subject: sh\n| /bin/sh -c true\n\n:0\nerin/\n',
  );
  for (const subject of ['mark', 'collect', 'fail', 'sh'])
    assert.match((await send('bob', subject)).reply, /^250/);
  await until('four copies', () => folder('bob', 'erin').length === 4);
  const marked = folder('bob', 'erin').filter((text) => /^X-Marked: yes$/m.test(text));
  assert.deepEqual(
    marked.map((text) => /^Subject: (.*)$/m.exec(text)?.[1]),
    ['mark'],
  );
  await until('the program', () => existsSync(join(server.directory, 'collected')));
  await until('its input', () =>
    readFileSync(join(server.directory, 'collected'), 'utf8').includes('Subject: collect'),
  );
});

test('formail -D is answered by the server itself', async () => {
  install('bob', ':0 Wh: msgid.lock\n| formail -D 8192 msgid.cache\n\n:0\nfrank/\n');
  await send('bob', 'first', { messageId: 'twice' });
  await until('the first', () => folder('bob', 'frank').length === 1);
  await send('bob', 'again', { messageId: 'twice' });
  await send('bob', 'other');
  await until('the other', () => folder('bob', 'frank').length === 2);
  assert.ok(!folder('bob', 'frank').some((text) => /^Subject: again$/m.test(text)));
});

test('what no folder can be, and a broken rcfile, keep the mail', async () => {
  install('carol', ':0\n* ^Subject: out\n/etc/x\n\n:0\n* (((\n../x/\n}}} "\n');
  await send('carol', 'out');
  await until('the copy', () => folder('carol').length === 1);
});
