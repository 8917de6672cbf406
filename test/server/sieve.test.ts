/** A whole server with rules: a user uploads a script by ManageSieve, and mail of all ways meets it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { password, type TestServer, until } from '../kit/server.ts';
import { SieveClient } from '../kit/sieve-client.ts';
import { MailClient } from './mail-client.ts';
import { openServer, queueOf, traceOf } from './observe.ts';

const sieveConfig = {
  listeners: {
    smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' },
    lmtp: { protocol: 'lmtp', address: '127.0.0.1:0', pipeline: 'inbound' },
    submission: {
      ...{ protocol: 'submission', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
      pipeline: 'outbound',
    },
    sieve: { protocol: 'managesieve', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
  },
};

const server = await openServer({
  config: sieveConfig,
  inbound: [{ plugin: 'sieve', options: { programs: 'programs' } }],
  files: {
    'programs/mark': '#!/bin/sh\necho "X-Marked: for $USER"\nexec cat\n',
    'programs/collect': '#!/bin/sh\nexec cat >"$(dirname "$0")/../collected-$1"\n',
    'programs/fail': '#!/bin/sh\nexit 1\n',
  },
});
for (const name of ['mark', 'collect', 'fail']) chmodSync(join(server.directory, 'programs', name), 0o755);
after(() => server[Symbol.asyncDispose]());

async function activate(user: string, script: string): Promise<void> {
  const client = await SieveClient.login(server.ports.sieve!, `${user}@example.test`);
  await client.activate('main', script);
  client.close();
}

let sent = 0;

/** Answers the reply to the end of the data, and the Message-ID. */
async function send(
  to: string[],
  subject: string,
  options: { from?: string; protocol?: 'smtp' | 'lmtp'; header?: string; login?: string } = {},
) {
  const { from = 'ann@sender.test', protocol = 'smtp', header = '', login } = options;
  const id = `<${++sent}.${process.pid}@sender.test>`;
  const client = await MailClient.open(server.ports[login ? 'submission' : protocol]!, protocol);
  if (login) assert.match(await client.login(login, password), /^235/);
  const recipients = to.map((each) => `${each}@example.test`);
  await client.envelope({ from, to: recipients });
  const message = `${header}From: <${from}>\nTo: ${recipients.join()}\nSubject: ${subject}\nMessage-ID: ${id}\n\nbody\n`;
  const replies = await client.data(message, protocol === 'lmtp' ? to.length : 1);
  client.destroy();
  return { replies, id };
}

/** Names of the files in a folder of the user, new and seen alike. */
function folder(user: string, name = '', at: TestServer = server): string[] {
  const root = name === '' ? at.mailbox(user) : join(at.mailbox(user), `.${name}`);
  return ['new', 'cur'].flatMap((part) =>
    existsSync(join(root, part)) ? readdirSync(join(root, part)) : [],
  );
}

test('uploaded, sent, filed with flags; explain names the line', async () => {
  await activate(
    'alice',
    'require ["fileinto", "mailbox", "imap4flags"];\n\nif header :contains "subject" "report" {\n  fileinto :create :flags "\\\\Seen" "Work/Reports";\n}\n',
  );
  const { replies, id } = await send(['alice'], 'the report');
  assert.match(replies[0]!, /^250/);
  await until('the copy', () => folder('alice', 'Work.Reports').length === 1);
  assert.match(folder('alice', 'Work.Reports')[0]!, /:2,S$/);
  await traceOf(server, id);
  const { stdout } = await runCommand(['explain', id, '-c', server.configFile]);
  assert.match(stdout, /fileinto script=main line=4 mailbox=Work\/Reports/);
  await send(['alice'], 'something else');
  await until('the other', () => folder('alice').length === 1);
});

test('mail that one user submits to another meets the rules of the other', async () => {
  await activate('bob', 'require ["fileinto", "mailbox"]; fileinto :create "From-Alice";');
  const { replies } = await send(['bob'], 'hi', { from: 'alice@example.test', login: 'alice@example.test' });
  assert.match(replies[0]!, /^250/);
  await until('the copy', () => folder('bob', 'From-Alice').length === 1);
});

test('reject is an answer for each recipient over LMTP', async () => {
  await activate('carol', 'require "reject"; if header "subject" "spam" { reject "no, thank you"; }');
  await activate('bob', 'keep;');
  const { replies } = await send(['carol', 'bob'], 'spam', { protocol: 'lmtp' });
  assert.match(replies[0]!, /^550 5\.7\.1 no, thank you/);
  assert.match(replies[1]!, /^250/);
  const single = await send(['carol'], 'spam');
  assert.match(single.replies[0]!, /^550 5\.7\.1 no, thank you/);
});

test('refused for one of several recipients: a known sender gets the MDN that the rules wrote', async () => {
  await activate('carol', 'require "reject"; reject "bitte nicht, schöne Grüße";');
  await activate('bob', 'keep;');
  await activate('alice', 'require ["fileinto", "mailbox"]; fileinto :create "Reports";');
  const { replies } = await send(['carol', 'bob'], 'to two', {
    from: 'alice@example.test',
    login: 'alice@example.test',
  });
  assert.match(replies[0]!, /^250/);
  await until('the MDN', () => folder('alice', 'Reports').length === 1);
  const path = ['new', 'cur']
    .map((part) => join(server.mailbox('alice'), '.Reports', part, folder('alice', 'Reports')[0]!))
    .find(existsSync);
  const text = readFileSync(path!, 'utf8');
  assert.match(text, /^Subject: Rejected: to two$/m);
  assert.match(text, /report-type=disposition-notification/);
  assert.match(text, /bitte nicht, schöne Grüße/);
});

test('programs of the site: filter before the copy, pipe after it, and what fails leaves the mail', async () => {
  const before = folder('carol').length;
  await activate(
    'carol',
    `require ["vnd.dovecot.filter", "vnd.dovecot.pipe", "copy"];
     filter "mark"; pipe :copy "collect" ["first"]; pipe "fail";`,
  );
  const { replies, id } = await send(['carol'], 'for programs');
  assert.match(replies[0]!, /^250/);
  await until('the implicit keep', () => folder('carol').length === before + 1);
  await until('an idle queue', () => queueOf(server).length === 0);
  const collected = readFileSync(join(server.directory, 'collected-first'), 'utf8');
  assert.match(collected, /^X-Marked: for carol@example\.test\n/m);
  assert.ok(collected.includes(id));
  assert.ok(!collected.includes('\r'));
  // The program that failed had the message to itself: it is kept, as it came.
  const kept = folder('carol').map((name) => {
    const [path] = ['new', 'cur'].map((part) => join(server.mailbox('carol'), part, name)).filter(existsSync);
    return readFileSync(path!, 'utf8');
  });
  assert.equal(kept.filter((text) => text.includes(id)).length, 1);
});

test('a redirect to another user, who may redirect back: no loop, nothing lost', async () => {
  await activate('alice', 'redirect "bob@example.test";');
  await activate('bob', 'redirect "alice@example.test";');
  const before = folder('alice').length;
  const { replies, id } = await send(['alice'], 'round and round');
  assert.match(replies[0]!, /^250/);
  await until('one copy', () => folder('alice').length === before + 1);
  await until('an idle queue', () => queueOf(server).length === 0);
  const texts = folder('alice').map((name) => {
    const [root] = ['new', 'cur'].map((part) => join(server.mailbox('alice'), part, name)).filter(existsSync);
    return readFileSync(root!, 'utf8');
  });
  assert.equal(texts.filter((text) => text.includes(id)).length, 1);
});

test('a vacation answer goes out once, to a sender who may be answered', async () => {
  await activate('alice', 'require "vacation"; vacation :subject "away" "back on monday";');
  await activate('bob', 'keep;');
  const answers = () => folder('bob').length;
  const before = answers();
  const options = { from: 'bob@example.test', login: 'bob@example.test' };
  for (let n = 0; n < 3; n += 1) await send(['alice'], `question ${n}`, options);
  await until('an answer', () => answers() === before + 1);
  await until('an idle queue', () => queueOf(server).length === 0);
  await send(['alice'], 'auto', { ...options, header: 'Auto-Submitted: auto-generated\n' });
  await until('an idle queue', () => queueOf(server).length === 0);
  assert.equal(answers(), before + 1);
});

test('a script that somebody broke on disk keeps the mail; the reason lies beside it', async () => {
  await activate('carol', 'keep;');
  const home = join(server.directory, 'data', 'sieve', 'example.test', 'carol');
  writeFileSync(join(home, 'main.sieve'), 'fileinto "no require";');
  const before = folder('carol').length;
  const { replies } = await send(['carol'], 'hello');
  assert.match(replies[0]!, /^250/);
  await until('the copy', () => folder('carol').length === before + 1);
  assert.match(
    readFileSync(join(home, '.dovecot.sieve.log'), 'utf8'),
    /main: line 1, column 1: .*the message was kept/,
  );
});

test('a duplicate is dropped at once, and the key survives a restart', async (t) => {
  await activate('carol', 'require "duplicate"; if duplicate :header "X-Key" { discard; }');
  const before = folder('carol').length;
  for (const key of ['k1', 'k1', 'k2']) await send(['carol'], 'x', { header: `X-Key: ${key}\n` });
  await until('two copies', () => folder('carol').length === before + 2);
  t.diagnostic('kill -9 of the mta');
  const mta = server.pidOf('mta');
  process.kill(mta, 'SIGKILL');
  await until('another mta', () => ![mta, 0].includes(server.pidOf('mta')));
  const port = () =>
    (
      JSON.parse(readFileSync(join(server.directory, 'data/run/listeners.json'), 'utf8')) as {
        name: string;
        port: number;
      }[]
    ).find(({ name }) => name === 'smtp')!.port;
  const old = server.ports.smtp;
  await until('its port', () => port() !== old);
  Object.assign(server.ports, { smtp: port() });
  await send(['carol'], 'x', { header: 'X-Key: k1\n' });
  await send(['carol'], 'x', { header: 'X-Key: k3\n' });
  await until('one more copy', () => folder('carol').length === before + 3);
  assert.equal(folder('carol').length, before + 3);
});
