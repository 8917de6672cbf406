/** IMAP as people's programs speak it: curl, mbsync, offlineimap, fetchmail, getmail, mutt, Python's imaplib, imapflow. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ImapFlow } from 'imapflow';
import { collect } from '../kit/command.ts';
import { certificate } from '../kit/door.ts';
import { getmailSetUp } from '../kit/getmail.ts';
import { type ImapClient, type ImapServer, openImapServer, plainMessages } from '../kit/imap-client.ts';
import { requireProgram } from '../kit/require.ts';

const user = 'alice@example.test';
const password = 'secret';

/** The campaign syncs as many as a person's mailbox has. */
const isCampaign = process.env.MAILFILTER_CAMPAIGN === '1';
const syncedMessages = isCampaign ? 10_000 : 500;
const programTimeoutMs = isCampaign ? 15 * 60_000 : 60_000;

interface Place {
  readonly server: ImapServer;
  readonly client: ImapClient;
  /** For the program's own files. */
  readonly home: string;
  run(program: string, args: readonly string[], input?: string): Promise<string>;
}

/** Alice's INBOX with so many messages, and a home for a program. */
async function open(
  t: TestContext,
  count: number,
  tls: 'none' | 'starttls' | 'implicit' = 'none',
): Promise<Place> {
  const server = await openImapServer(t, { listener: { tls, authWithoutTls: tls === 'none' } });
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-client-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const folder = join(server.mailRoot, user, 'new');
  mkdirSync(folder, { recursive: true });
  for (const [at, message] of plainMessages(count).entries())
    writeFileSync(join(folder, `${1000 + at}.M${at}.host`), message);
  const client = tls === 'none' ? await server.client() : (undefined as unknown as ImapClient);
  return {
    server,
    client,
    home,
    async run(program, args, input = '') {
      const env = { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8' };
      const child = spawn(program, args, { cwd: home, env, timeout: programTimeoutMs });
      const { code, stdout, stderr } = await collect(child, input);
      assert.equal(code, 0, `${program} ${args.join(' ')}: ${code}\n${stdout}\n${stderr}`);
      return stdout;
    },
  };
}

function messagesIn(folder: string): string[] {
  return ['cur', 'new'].flatMap((part) =>
    readdirSync(join(folder, part)).map((name) => join(folder, part, name)),
  );
}

test('curl lists, reads, searches, stores and appends over imaps', async (t) => {
  const program = requireProgram(t, 'curl');
  if (!program) return;
  const { server, home, run } = await open(t, 3, 'implicit');
  const base = [
    '-sS',
    '--cacert',
    certificate().certFile,
    '--resolve',
    `mx.example.test:${server.port}:127.0.0.1`,
    '-u',
    `${user}:${password}`,
  ];
  const url = `imaps://mx.example.test:${server.port}`;
  const curl = (...args: string[]) => run(program, [...base, ...args]);
  assert.match(await curl(`${url}/`), /\* LIST \(\\HasNoChildren\) "\/" INBOX/);
  assert.equal(await curl(`${url}/INBOX;MAILINDEX=2`), plainMessages(2)[1]!.replaceAll('\n', '\r\n'));
  assert.match(await curl(`${url}/INBOX;UID=3;SECTION=HEADER.FIELDS%20(SUBJECT)`), /^Subject: m3\r\n/);
  assert.match(await curl(`${url}/INBOX?SUBJECT%20m2`), /\* SEARCH 2\r\n/);
  writeFileSync(join(home, 'new.eml'), 'Subject: from curl\r\n\r\nhello\r\n');
  await curl('-T', join(home, 'new.eml'), `${url}/INBOX`);
  await curl('-X', 'STORE 1 +FLAGS \\Deleted', `${url}/INBOX`);
  assert.match(await curl('-X', 'EXPUNGE', `${url}/INBOX`), /\* 1 EXPUNGE/);
  assert.match(await curl('-X', 'FETCH 3 BODY[HEADER]', `${url}/INBOX`), /FETCH/);
});

test('curl logs in after STARTTLS', async (t) => {
  const program = requireProgram(t, 'curl');
  if (!program) return;
  const { server, run } = await open(t, 1, 'starttls');
  const args = [
    '-sS',
    '--ssl-reqd',
    '--cacert',
    certificate().certFile,
    '--resolve',
    `mx.example.test:${server.port}:127.0.0.1`,
  ];
  const url = `imap://mx.example.test:${server.port}/INBOX;MAILINDEX=1`;
  assert.match(await run(program, [...args, '-u', `${user}:${password}`, url]), /^Subject: m1\r\n/);
});

test('mbsync: a two-way sync, changed on both sides, ends equal', async (t) => {
  const program = requireProgram(t, 'mbsync');
  if (!program) return;
  const { server, client, home, run } = await open(t, syncedMessages);
  const near = join(home, 'mail');
  mkdirSync(near);
  writeFileSync(
    join(home, 'mbsyncrc'),
    [
      // A busy disk holds up mbsync itself for longer than it would wait for the server.
      'FSync no\n',
      `IMAPAccount a\nHost 127.0.0.1\nPort ${server.port}\nUser ${user}\nPass ${password}\nSSLType None\nAuthMechs LOGIN\nTimeout 300\n`,
      'IMAPStore far\nAccount a\n',
      `MaildirStore near\nPath ${near}/\nInbox ${near}/INBOX\nSubFolders Verbatim\n`,
      'Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nRemove Both\nSyncState *\n',
    ].join('\n'),
  );
  const sync = () => run(program, ['-c', join(home, 'mbsyncrc'), 'c']);
  await client.ok('CREATE Work/Sub');
  await client.ok('SELECT INBOX');
  await client.ok('COPY 1:10 Work/Sub');
  await sync();
  await client.ok('STORE 1:50 +FLAGS.SILENT (\\Seen \\Flagged)');
  await client.ok('STORE 60:80 +FLAGS.SILENT (\\Deleted)');
  await client.ok('EXPUNGE');
  await client.append('INBOX', 'Subject: far\n\nnew on the far side\n');
  // By UID, as the far side counts: names that mbsync gives sort otherwise.
  const uid = (path: string) => Number(/,U=(\d+)/.exec(path)?.[1]);
  const local = messagesIn(join(near, 'INBOX')).sort((one, other) => uid(one) - uid(other));
  for (const path of local.slice(100, 130)) unlinkSync(path);
  for (const path of local.slice(140, 170)) {
    renameSync(path, path.includes(':2,') ? `${path}R` : `${path.replace('/new/', '/cur/')}:2,R`);
  }
  writeFileSync(join(near, 'INBOX', 'new', '2000.near.host'), 'Subject: near\n\nnew on the near side\n');
  await sync();
  await sync();
  const status = await client.ok('STATUS INBOX (MESSAGES)');
  const expected = syncedMessages - 21 - 30 + 2;
  assert.equal(messagesIn(join(near, 'INBOX')).length, expected);
  assert.match(status, new RegExp(`MESSAGES ${expected}\\)`));
  assert.equal(messagesIn(join(near, 'Work', 'Sub')).length, 10);
  const flags = async (name: string) =>
    (await client.ok(`SEARCH ${name}`))
      .match(/^\* SEARCH(.*)$/m)![1]!
      .trim()
      .split(' ').length;
  const nearFlags = (letter: string) =>
    messagesIn(join(near, 'INBOX')).filter((path) => path.split(':2,')[1]?.includes(letter)).length;
  assert.equal(await flags('FLAGGED'), nearFlags('F'));
  assert.equal(await flags('ANSWERED'), nearFlags('R'));
});

test('offlineimap syncs', async (t) => {
  const program = requireProgram(t, 'offlineimap');
  if (!program) return;
  const { server, client, home, run } = await open(t, 20);
  await client.ok('CREATE Work');
  writeFileSync(
    join(home, 'rc'),
    `[general]\naccounts = a\nmaxsyncaccounts = 1\n[Account a]\nlocalrepository = l\nremoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = ${home}/mail\n[Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = ${server.port}\nremoteuser = ${user}\nremotepass = ${password}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\n`,
  );
  const sync = () => run(program, ['-c', join(home, 'rc'), '-o', '-u', 'quiet']);
  await sync();
  assert.equal(messagesIn(join(home, 'mail', 'INBOX')).length, 20);
  const [first] = messagesIn(join(home, 'mail', 'INBOX'));
  unlinkSync(first!);
  writeFileSync(join(home, 'mail', 'Work', 'new', '1.near.host'), 'Subject: near\n\nx\n');
  await sync();
  assert.match(await client.ok('STATUS INBOX (MESSAGES)'), /MESSAGES 19\)/);
  assert.match(await client.ok('STATUS Work (MESSAGES)'), /MESSAGES 1\)/);
});

test('fetchmail takes mail and removes it', async (t) => {
  const program = requireProgram(t, 'fetchmail');
  if (!program) return;
  const { server, client, home, run } = await open(t, 5);
  const rc = join(home, 'fetchmailrc');
  writeFileSync(
    rc,
    `poll 127.0.0.1 service ${server.port} proto imap auth password username "${user}" password "${password}" mda "cat >> ${home}/got" sslproto ''\n`,
    { mode: 0o700 },
  );
  await run(program, ['-f', rc, '-s', '--nosyslog', '--pidfile', join(home, 'pid')]);
  assert.equal(readFileSync(join(home, 'got'), 'latin1').match(/^Subject: m\d/gm)?.length, 5);
  assert.match(await client.ok('STATUS INBOX (MESSAGES)'), /MESSAGES 0\)/);
});

test('getmail takes mail', async (t) => {
  const program = requireProgram(t, 'getmail');
  if (!program) return;
  const { server, home, run } = await open(t, 5);
  const { args, maildir } = getmailSetUp(home, [
    'type = SimpleIMAPRetriever',
    'server = 127.0.0.1',
    `port = ${server.port}`,
    `username = ${user}`,
    `password = ${password}`,
    'mailboxes = ("INBOX",)',
  ]);
  await run(program, args);
  assert.equal(messagesIn(maildir).length, 5);
});

test('mutt saves messages to another mailbox', async (t) => {
  const program = requireProgram(t, 'mutt');
  if (!program) return;
  const { server, client, home, run } = await open(t, 4);
  await client.ok('CREATE Saved');
  const url = `imap://127.0.0.1:${server.port}`;
  writeFileSync(
    join(home, 'muttrc'),
    `set imap_user="${user}"\nset imap_pass="${password}"\nset ssl_starttls=no\nset ssl_force_tls=no\nset folder="${url}/"\nset spoolfile="${url}/INBOX"\nset confirmappend=no\nset delete=yes\nset move=no\nset quit=yes\nset header_cache=""\npush "<tag-pattern>~A<enter><tag-prefix><save-message>=Saved<enter><sync-mailbox><quit>"\n`,
  );
  // mutt wants a terminal.
  await run('script', ['-qec', `TERM=xterm ${program} -F ${join(home, 'muttrc')}`, '/dev/null']);
  assert.match(await client.ok('STATUS Saved (MESSAGES)'), /MESSAGES 4\)/);
  assert.match(await client.ok('STATUS INBOX (MESSAGES)'), /MESSAGES 0\)/);
});

test("Python's imaplib", async (t) => {
  const program = requireProgram(t, 'python3');
  if (!program) return;
  const { server, run } = await open(t, 3);
  const script = `
import imaplib
m = imaplib.IMAP4('127.0.0.1', ${server.port})
assert m.login('${user}', '${password}')[0] == 'OK'
assert m.enable('UTF8=ACCEPT')[0] == 'OK'
assert m.select()[1] == [b'3']
assert m.search(None, 'SUBJECT', '"m2"')[1] == [b'2']
typ, data = m.fetch('1:*', '(UID BODY.PEEK[TEXT])')
assert [d[1] for d in data if isinstance(d, tuple)] == [b'body 1\\r\\n', b'body 2\\r\\n', b'body 3\\r\\n'], data
assert m.append('INBOX', '(\\\\Seen)', '"21-Nov-2026 10:00:00 +0000"', b'Subject: \\xc3\\xa4\\r\\n\\r\\nx\\r\\n')[0] == 'OK'
assert m.uid('STORE', '4', '+FLAGS', '(\\\\Deleted)')[0] == 'OK'
assert m.expunge()[1] == [b'4']
assert m.sort('(REVERSE SUBJECT)', 'UTF-8', 'ALL')[1] == [b'3 2 1']
assert m.create('Box')[0] == 'OK' and m.rename('Box', 'Box2')[0] == 'OK' and m.delete('Box2')[0] == 'OK'
assert m.logout()[0] == 'BYE'
print('fine')
`;
  assert.equal(await run(program, ['-'], script), 'fine\n');
});

test('imapflow: compressed, in IDLE, it sees what comes, moves and downloads', async (t) => {
  const { server, client } = await open(t, 3);
  await client.ok('CREATE Done');
  const flow = new ImapFlow({
    host: '127.0.0.1',
    port: server.port,
    secure: false,
    auth: { user, pass: password },
    logger: false,
  });
  await flow.connect();
  t.after(() => flow.close());
  const lock = await flow.getMailboxLock('INBOX');
  const subjects: string[] = [];
  for await (const message of flow.fetch('1:*', {
    envelope: true,
    bodyStructure: true,
    flags: true,
    threadId: true,
  })) {
    subjects.push(message.envelope?.subject ?? '');
  }
  assert.deepEqual(subjects, ['m1', 'm2', 'm3']);
  const { content } = await flow.download('2');
  let text = '';
  for await (const chunk of content!) text += chunk;
  assert.equal(text, plainMessages(2)[1]!.replaceAll('\n', '\r\n'));
  assert.equal(((await flow.messageMove('1', 'Done')) || undefined)?.destination, 'Done');
  const exists = new Promise<number>((resolve) =>
    flow.once('exists', ({ count }: { count: number }) => resolve(count)),
  );
  void flow.idle();
  await client.append('INBOX', 'Subject: new\n\nx\n');
  assert.equal(await exists, 3);
  lock.release();
  const status = await flow.status('Done', { messages: true });
  assert.equal(status ? status.messages : 0, 1);
  await flow.logout();
});
