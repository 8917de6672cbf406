/** Scores, policy and Sieve together in a server: spam goes to Junk, unless the user's script has its own place for it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { serveZone } from '../kit/dns-server.ts';
import { rule } from '../kit/json-rule.ts';
import { requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import { sendOne } from './mail-client.ts';

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

const script = `require ["fileinto", "mailbox", "imap4flags", "spamtestplus", "relational", "comparator-i;ascii-numeric"];
if address :is "to" "bob@example.test" {
  if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "Unscored"; }
  elsif spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { fileinto :create "Likely"; }
  stop;
}
if header :contains "subject" "mine" { fileinto :create "Mine"; stop; }
if header :contains "subject" "stay" { keep; stop; }
addflag "$seen-by-script";
`;

/** Careful.test asks by DMARC that what fails be set apart; plain.test asks for nothing. */
const fates: readonly [from: string, subject: string, folder: '' | '.Junk' | '.Mine'][] = [
  ['ceo@plain.test', 'hello', ''],
  ['ceo@plain.test', 'cheap', '.Junk'],
  ['ceo@plain.test', 'cheap, and mine', '.Mine'],
  ['ceo@plain.test', 'cheap, and to stay', ''],
  ['ceo@careful.test', 'hello', '.Junk'],
  ['ceo@careful.test', 'cheap', '.Junk'],
  ['ceo@careful.test', 'mine', '.Mine'],
  ['ceo@careful.test', 'to stay', ''],
];

test('DMARC, scores and a script: what no rule files goes to Junk, flags and all; rules have the last word', async (t) => {
  const dns = await serveZone({ '_dmarc.careful.test': { TXT: ['v=DMARC1; p=quarantine'] } });
  t.after(() => dns.close());
  const [cheap] = inbound;
  const server = await startServer({
    inbound: [
      'spf',
      'dkim-verify',
      'dmarc',
      { plugin: 'bayes', options: { minimum: 1 } },
      cheap,
      'policy',
      { plugin: 'sieve', options: { default: 'default.sieve' } },
    ],
    config: { dns: { servers: [dns.address] }, trustedNetworks: [] },
    files: { 'default.sieve': script },
  });
  t.after(() => server.stop());
  const send = async (from: string, to: string, subject: string, body = 'hello') => {
    const message = `From: <${from}>\nTo: <${to}>\nSubject: ${subject}\n\n${body}\n`;
    const [reply] = await sendOne(server.ports.smtp!, { from: 'eve@evil.test', to: [to], message });
    assert.match(reply!, /^250 /);
  };
  const alice = server.mailbox('alice');
  for (const [from, subject, folder] of fates) {
    const before = filesIn(join(alice, folder)).length;
    await send(from, 'alice@example.test', subject);
    await until(
      `"${subject}" of ${from} in "${folder}"`,
      () => filesIn(join(alice, folder)).length === before + 1,
    );
  }
  assert.equal(fates.length, ['', '.Junk', '.Mine'].flatMap((folder) => filesIn(join(alice, folder))).length);
  // The first keyword of a folder is the letter a.
  for (const file of filesIn(join(alice, '.Junk'))) assert.match(file, /:2,a$/);

  const bob = server.mailbox('bob');
  await send('ceo@plain.test', 'bob@example.test', 'casino', 'jackpot lottery winner');
  await until('no score: nothing was taught', () => filesIn(join(bob, '.Unscored')).length === 1);
  for (const [kind, input] of [
    ['spam', 'From: <ceo@plain.test>\nSubject: casino\n\njackpot lottery winner\n'],
    ['ham', 'From: <ceo@plain.test>\nSubject: plan\n\nmeeting agenda review\n'],
  ] as const) {
    assert.equal((await runCommand(['learn', kind, '-c', server.configFile], { input })).code, 0);
  }
  await send('ceo@plain.test', 'bob@example.test', 'casino', 'jackpot lottery winner');
  await until('what spamtest calls likely spam', () => filesIn(join(bob, '.Likely')).length === 1);
  await send('ceo@plain.test', 'bob@example.test', 'plan', 'meeting agenda review');
  await until('ham in INBOX', () => filesIn(bob).length === 1);
});
