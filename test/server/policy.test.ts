/** Scores, policy and Sieve together in a server: spam goes to Junk, unless the user's script has its own place for it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rule } from '../kit/json-rule.ts';
import { requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

const inbound = [
  {
    plugin: 'content-rules',
    options: {
      rules: [
        rule({ header: 'Subject', contains: 'cheap' }, { score: 7, symbol: 'CHEAP' }),
        rule({ header: 'Subject', contains: 'awful' }, { score: 30, symbol: 'AWFUL' }),
      ],
    },
  },
  'policy',
  { plugin: 'sieve', options: { default: 'default.sieve' } },
];

function filesIn(folder: string): string[] {
  return ['new', 'cur'].flatMap((name) => {
    const path = join(folder, name);
    return existsSync(path) ? readdirSync(path).map((file) => join(path, file)) : [];
  });
}

test('spam goes to Junk, by score; a script sees the header and decides first', async (t) => {
  const program = requireProgram(t, 'swaks');
  if (!program) return;
  const script =
    'require ["fileinto", "mailbox", "spamtest", "relational", "comparator-i;ascii-numeric", "imap4flags"];\n' +
    'if allof (address :is "to" "bob@example.test", header :contains "X-Spam-Flag" "YES",\n' +
    '  spamtest :value "ge" :comparator "i;ascii-numeric" "5") { fileinto :create "Suspect"; }\n' +
    'if header :is "subject" "flag cheap" { addflag "$seen-by-script"; }\n';
  const server = await startServer({ inbound, files: { 'default.sieve': script } });
  t.after(() => server.stop());
  const send = (to: string, subject: string) =>
    swaks(program, {
      port: server.ports.smtp!,
      to,
      message: `From: <ann@example.org>\nTo: <${to}>\nSubject: ${subject}\nX-Spam-Flag: YES\n\nhello\n`,
    });
  const alice = server.mailbox('alice');
  assert.match((await send('alice@example.test', 'lunch')).reply, /^250 /);
  await until('ham in INBOX', () => filesIn(alice).length === 1);
  assert.doesNotMatch(readFileSync(filesIn(alice)[0]!, 'latin1'), /X-Spam-Flag/);
  assert.match((await send('alice@example.test', 'cheap')).reply, /^250 /);
  await until('spam in Junk', () => filesIn(join(alice, '.Junk')).length === 1);
  assert.match(readFileSync(filesIn(join(alice, '.Junk'))[0]!, 'latin1'), /^X-Spam-Flag: YES\r?$/m);
  assert.match((await send('alice@example.test', 'flag cheap')).reply, /^250 /);
  await until('spam that a script flagged', () => filesIn(join(alice, '.Junk')).length === 2);
  assert.match((await send('bob@example.test', 'cheap')).reply, /^250 /);
  await until(
    'spam where the script wants it',
    () => filesIn(join(server.mailbox('bob'), '.Suspect')).length === 1,
  );
  assert.equal(filesIn(join(server.mailbox('bob'), '.Junk')).length, 0);
  assert.match((await send('alice@example.test', 'awful')).reply, /^554 5\.7\.1 .*score 30\.0/);
  assert.equal(filesIn(alice).length, 1);
});
