/** IMAPSIEVE with a real IMAP client: mailboxes name scripts, and what users do by IMAP runs them. RFC 6785. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { password, until } from '../kit/server.ts';
import { SieveClient } from '../kit/sieve-client.ts';
import { openServer, queueOf } from './observe.ts';

const server = await openServer({
  config: {
    listeners: {
      smtp: { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' },
      imap: { protocol: 'imap', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
      sieve: { protocol: 'managesieve', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
    },
    mailbox: { format: 'maildir', path: 'mail/{domain}/{user}', sieve: { imap: true } },
  },
  inbound: ['sieve'],
});
after(() => server[Symbol.asyncDispose]());

const alice = 'alice@example.test';

/** Commands of Python's imaplib; answers what it printed. */
async function imap(commands: string): Promise<string> {
  const program = `
import imaplib, sys
imaplib.Commands['SETMETADATA'] = ('AUTH', 'SELECTED')
c = imaplib.IMAP4('127.0.0.1', ${server.ports.imap})
def ok(answer):
    if answer[0] != 'OK': sys.exit(repr(answer))
    return answer[1]
def message(subject):
    return ('From: ann@sender.test\\r\\nSubject: ' + subject + '\\r\\n\\r\\nbody\\r\\n').encode()
ok(c.login('${alice}', '${password}'))
${commands}
c.logout()
`;
  const { stdout } = await promisify(execFile)('python3', ['-c', program]);
  return stdout;
}

async function upload(name: string, script: string): Promise<void> {
  const client = await SieveClient.login(server.ports.sieve!, alice);
  const answer = await client.say(`PUTSCRIPT "${name}" {${Buffer.byteLength(script)}+}\r\n${script}`);
  assert.match(answer.at(-1)!, /^OK/);
  client.close();
}

function folder(user: string, name = ''): { name: string; text: string }[] {
  const root = name === '' ? server.mailbox(user) : join(server.mailbox(user), `.${name}`);
  return ['new', 'cur'].flatMap((part) =>
    existsSync(join(root, part))
      ? readdirSync(join(root, part)).map((each) => ({
          name: each,
          text: readFileSync(join(root, part, each), 'utf8'),
        }))
      : [],
  );
}

const annotate = (mailbox: string, script: string) =>
  `ok(c._simple_command('SETMETADATA', '"${mailbox}"', '(/shared/imapsieve/script "${script}")'))`;

test('a capability with the place of the scripts', async () => {
  assert.match(await imap(`print(c.capability())`), /IMAPSIEVE=sieve:\/\/mx\.example\.test/);
});

test('APPEND: filed elsewhere, the original marked; the folder decides which script', async () => {
  await upload(
    'inbound',
    `require ["imapsieve", "environment", "fileinto", "mailbox", "imap4flags", "variables", "editheader"];
     if not environment "imap.cause" "APPEND" { keep; stop; }
     if environment :matches "imap.mailbox" "*" { set "at" "\${1}"; }
     if header :contains "Subject" "invoice" { fileinto :create "\${at}/Invoices"; }
     elsif header "Subject" "note" { addheader "X-Seen-By" "\${at}"; keep; }
     elsif header "Subject" "flag" { addflag "$work"; keep; }`,
  );
  await imap(`
ok(c.create('Work')); ok(c.create('Other'))
${annotate('Work', 'inbound')}
for subject in ('an invoice', 'note', 'flag', 'plain'):
    ok(c.append('Work', '(\\\\Seen)', None, message(subject)))
ok(c.append('Other', None, None, message('an invoice')))
`);
  const subjects = (name: string) =>
    folder('alice', name).map(({ text }) => /^Subject: (.*)$/m.exec(text)![1]);
  await until('the invoice', () => subjects('Work.Invoices').length === 1);
  const named = (subject: string) => folder('alice', 'Work').filter(({ text }) => text.includes(subject));
  await until('the mark', () => /T$/.test(named('an invoice')[0]!.name));
  await until('the header', () => named('Subject: note')[0]?.text.startsWith('X-Seen-By: Work') === true);
  await until('the keyword', () => /S[a-z]$/.test(named('Subject: flag')[0]!.name));
  assert.match(named('Subject: plain')[0]!.name, /:2,S$/);
  assert.equal(named('Subject: note').length, 1);
  assert.deepEqual(subjects('Other'), ['an invoice']);
});

test('COPY and MOVE, FLAG with what was changed; what goes out is sent once', async () => {
  await upload(
    'watch',
    `require ["imapsieve", "environment", "copy", "enotify", "imap4flags"];
     if environment "imap.cause" "COPY" { redirect :copy "bob@example.test"; }
     elsif allof (environment "imap.cause" "FLAG", environment :contains "imap.changedflags" "Flagged") {
       addflag "$noticed"; keep;
     }`,
  );
  await imap(`
ok(c.create('Watched'))
${annotate('Watched', 'watch')}
ok(c.append('INBOX', None, None, message('copied')))
ok(c.append('INBOX', None, None, message('moved')))
ok(c.select('INBOX'))
ok(c.copy('1', 'Watched'))
ok(c._simple_command('MOVE', '2', 'Watched'))
`);
  const bob = () => folder('bob').map(({ text }) => /^Subject: (.*)$/m.exec(text)![1]);
  await until('both redirects', () => bob().length === 2);
  await until('an idle queue', () => queueOf(server).length === 0);
  assert.deepEqual(bob().sort(), ['copied', 'moved']);
  await imap(
    `ok(c.select('Watched')); ok(c.store('1', '+FLAGS', '(\\\\Flagged)')); ok(c.store('2', '+FLAGS', '(\\\\Seen)'))`,
  );
  const flags = () => folder('alice', 'Watched').map(({ name }) => /:2,(.*)$/.exec(name)?.[1] ?? '');
  await until('the keyword', () => flags().some((each) => /^F[a-z]$/.test(each)));
  assert.deepEqual(flags().sort()[1], 'S');
});

test('a script that is not there, or cannot run at such an event, changes nothing and is told', async () => {
  await upload('refuses', 'require "reject"; reject "no";');
  await imap(`
ok(c.create('A')); ok(c.create('B'))
${annotate('A', 'refuses')}
${annotate('B', 'nowhere')}
ok(c.append('A', None, None, message('a'))); ok(c.append('B', None, None, message('b')))
`);
  const log = join(server.directory, 'data', 'sieve', 'example.test', 'alice', '.dovecot.sieve.log');
  const told = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  await until('both notes', () => /"reject" cannot be used/.test(told()) && /"nowhere"/.test(told()));
  assert.equal(folder('alice', 'A').length + folder('alice', 'B').length, 2);
});

test('fileinto :mailboxid finds the folder that was renamed', async () => {
  const id = (
    await imap(`
ok(c.create('Before'))
print(ok(c._simple_command('STATUS', 'Before', '(MAILBOXID)')) and c.untagged_responses['STATUS'][-1].decode())
ok(c.rename('Before', 'Afterwards'))`)
  ).match(/MAILBOXID \(([^)]+)\)/)![1]!;
  await upload(
    'by-id',
    `require ["imapsieve", "fileinto", "mailboxid"];
     if mailboxidexists "${id}" { fileinto :mailboxid "${id}" "Before"; }`,
  );
  await imap(`
ok(c.create('Entry'))
${annotate('Entry', 'by-id')}
ok(c.append('Entry', None, None, message('to the renamed one')))`);
  await until('the copy', () => folder('alice', 'Afterwards').length === 1);
});
