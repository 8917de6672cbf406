/** POP3: conversations, the exclusive lock, deletion at QUIT alone, dots, and what is told to whom. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pop3 } from '../../../src/access/pop3/protocol.ts';
import { firstLines, multiline } from '../../../src/access/pop3/text.ts';
import { openUsers } from '../../../src/users/file.ts';
import type { Users } from '../../../src/users/users.ts';
import { openAccessDoor } from '../../kit/access-door.ts';
import { memoryLog } from '../../kit/door.ts';
import { LineClient } from '../../kit/line-client.ts';

/** A door whose alice has these messages, LF line ends. */
async function openPop3(
  t: TestContext,
  messages: readonly string[],
  tls: 'none' | 'starttls' = 'none',
  users?: Users,
) {
  const mailRoot = mkdtempSync(join(tmpdir(), 'mailfilter-pop3-'));
  t.after(() => rmSync(mailRoot, { recursive: true, force: true }));
  const inbox = join(mailRoot, 'alice@example.test');
  for (const folder of ['cur', 'new', 'tmp']) mkdirSync(join(inbox, folder), { recursive: true });
  for (const [at, message] of messages.entries())
    writeFileSync(join(inbox, 'new', `${1000 + at}.M${at}.host`), message);
  const listener = { protocol: 'pop3', tls, authWithoutTls: tls === 'none' } as const;
  const { port } = await openAccessDoor(t, { protocol: pop3, listener, mailRoot, ...(users && { users }) });
  const stored = () => [...readdirSync(join(inbox, 'new')), ...readdirSync(join(inbox, 'cur'))].sort();
  return { port, stored, talk: (script: string) => talk(port, script) };
}

/** Sends all lines at once; resolves with everything the server says until it closes. */
async function talk(port: number, script: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(script.replaceAll('\n', '\r\n'));
  let heard = '';
  for await (const chunk of socket) heard += chunk;
  return heard.replaceAll('\r\n', '\n');
}

const login = 'USER alice@example.test\nPASS secret\n';

test('a pipelined session reads, marks and removes', async (t) => {
  const { talk: say, stored } = await openPop3(t, [
    'Subject: one\n\nbody\n',
    'Subject: two\n\n.dot\n..\nlast',
  ]);
  const heard = await say(`${login}STAT\nLIST\nLIST 2\nRETR 2\nTOP 2 1\nDELE 1\nLIST\nRETR 1\nNOOP\nQUIT\n`);
  assert.match(heard, /\+OK 2 messages\n\+OK 2 \d+\n\+OK 2 messages\n1 22\n2 \d+\n\.\n\+OK 2 \d+\n/);
  assert.match(heard, /octets\nSubject: two\n\n\.\.dot\n\.\.\.\nlast\n\.\n/);
  assert.match(heard, /begin of it\nSubject: two\n\n\.\.dot\n\.\n/);
  assert.match(
    heard,
    /\+OK marked\n\+OK 1 messages\n2 \d+\n\.\n-ERR there is no such message\n\+OK still here\n\+OK bye\n$/,
  );
  assert.equal(stored().length, 1);
  assert.match(stored()[0]!, /^1001\..*:2,S$/, 'what was read is seen');
});

test('without QUIT nothing is removed, and RSET takes marks back', async (t) => {
  const { port, talk: say, stored } = await openPop3(t, ['Subject: one\n\nbody\n']);
  const socket = connect(port, '127.0.0.1');
  socket.write(`${login}DELE 1\n`.replaceAll('\n', '\r\n'));
  await new Promise<void>((resolve) => {
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
      if (heard.includes('marked')) resolve();
    });
  });
  socket.destroy();
  await say(`${login}DELE 1\nRSET\nQUIT\n`);
  assert.equal(stored().length, 1);
});

test('one session at a time has the mailbox', async (t) => {
  const { port, talk: say } = await openPop3(t, ['Subject: one\n\nbody\n']);
  const first = connect(port, '127.0.0.1');
  first.write(login.replaceAll('\n', '\r\n'));
  await new Promise<void>((resolve) => {
    first.on('data', (chunk: Buffer) => chunk.includes('1 messages') && resolve());
  });
  assert.match(await say(`${login}QUIT\n`), /-ERR \[IN-USE\] /);
  first.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.match(await say(`${login}QUIT\n`), /\+OK 1 messages/);
});

test('unique ids stay over sessions and removals', async (t) => {
  const { talk: say } = await openPop3(t, ['a: 1\n\n1\n', 'a: 2\n\n2\n', 'a: 3\n\n3\n']);
  const ids = (heard: string) => [...heard.matchAll(/^\d ([0-9a-f]{16})$/gm)].map((match) => match[1]!);
  const before = ids(await say(`${login}UIDL\nDELE 2\nQUIT\n`));
  assert.equal(new Set(before).size, 3);
  assert.deepEqual(ids(await say(`${login}UIDL\nQUIT\n`)), [before[0], before[2]]);
});

test('logins: wrong ones, in clear, over SASL', async (t) => {
  const { talk: say } = await openPop3(t, []);
  assert.match(
    await say('USER alice@example.test\nPASS wrong\nQUIT\n'),
    /-ERR \[AUTH\] authentication failed\n/,
  );
  const plain = Buffer.from('\0alice@example.test\0secret').toString('base64');
  assert.match(await say(`AUTH PLAIN ${plain}\nSTAT\nQUIT\n`), /\+OK 0 messages\n\+OK 0 0\n/);
  assert.match(await say(`AUTH PLAIN\n${plain}\nQUIT\n`), /\+ \n\+OK 0 messages\n/);
  assert.match(
    await say('AUTH PLAIN\n*\nSTAT\nQUIT\n'),
    /-ERR authentication cancelled\n-ERR log in first\n/,
  );
});

test('APOP: the greeting bears a timestamp where a user has a secret for it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-apop-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'users.json');
  const apop = 'a secret of sixteen or more';
  const users = { 'alice@example.test': { password: '', apop }, 'bob@example.test': { password: '' } };
  writeFileSync(file, JSON.stringify({ version: 1, users }));
  const opened = await openUsers({ file, separator: '+', log: memoryLog().log });
  t.after(() => opened.close());
  const { port } = await openPop3(t, [], 'none', opened);
  const login = async (name: string, secret: string) => {
    const client = new LineClient(connect(port, '127.0.0.1'));
    t.after(() => client.destroy());
    const timestamp = /<\w+@mx\.example\.test>$/.exec((await client.line(30_000))!)![0];
    const digest = createHash('md5')
      .update(timestamp + secret)
      .digest('hex');
    client.send(`APOP ${name} ${digest}\r\n`);
    return (await client.line(30_000))!;
  };
  assert.match(await login('alice@example.test', apop), /^\+OK 0 messages/);
  assert.match(await login('alice@example.test', 'another'), /^-ERR \[AUTH\]/);
  assert.match(await login('bob@example.test', apop), /^-ERR \[AUTH\]/);
  const { talk: say } = await openPop3(t, []);
  assert.match(await say('APOP alice@example.test 00\nQUIT\n'), /ready\n-ERR APOP is not offered here\n/);
});

test('without TLS no password is taken, and CAPA says so', async (t) => {
  const { talk: say } = await openPop3(t, [], 'starttls');
  const heard = await say(`CAPA\n${login}QUIT\n`);
  assert.match(heard, /\nSTLS\n/);
  assert.doesNotMatch(heard, /\n(?:USER|SASL[^\n]*)\n/);
  assert.match(heard, /-ERR \[SYS\/PERM\] authentication needs TLS here\n/);
});

test('lines and errors are bounded', async (t) => {
  const { talk: say } = await openPop3(t, []);
  assert.match(await say(`${'x'.repeat(20_000)}\n`), /-ERR line too long\n$/);
  assert.equal((await say('NONSENSE\n'.repeat(200))).match(/-ERR/g)?.length, 20);
});

test('dots that begin a line are doubled, and the first lines are the header and so many more', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', '.\r\n'],
    ['.', '..\r\n.\r\n'],
    ['a\r\n.b\r\n..\r\n', 'a\r\n..b\r\n...\r\n.\r\n'],
    ['a.b\r\n', 'a.b\r\n.\r\n'],
  ];
  for (const [input, want] of cases) assert.equal(multiline(Buffer.from(input)).toString(), want);
  const message = Buffer.from('h: 1\r\n\r\none\r\ntwo\r\n');
  assert.equal(firstLines(message, 0).toString(), 'h: 1\r\n\r\n');
  assert.equal(firstLines(message, 1).toString(), 'h: 1\r\n\r\none\r\n');
  assert.equal(firstLines(message, 9).toString(), message.toString());
});
