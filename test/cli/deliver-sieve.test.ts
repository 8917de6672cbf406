/** The MDA with a Sieve script in the user's home: folders, refusals, answers once, and what it remembers between processes. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { messagesIn } from '../kit/server.ts';

function user(t: TestContext, script: string) {
  const home = mkdtempSync(join(tmpdir(), 'mailfilter-mda-sieve-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, 'Maildir'));
  writeFileSync(join(home, '.dovecot.sieve'), script);
  const settings = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    mailbox: { path: '{home}/Maildir' },
    pipelines: { inbound: ['sieve'] },
  };
  writeFileSync(join(home, 'mda.json'), JSON.stringify(settings));
  const deliver = (message: string) =>
    runCommand(['deliver', '-c', join(home, 'mda.json'), '-f', 'ann@sender.test'], {
      cwd: home,
      input: message,
      env: { HOME: home, MAIL: '', RECIPIENT: 'me@mx.example.test' },
    });
  const count = (folder: string) => messagesIn(join(home, 'Maildir', folder)).length;
  return { home, deliver, count };
}

const letter = 'From: ann@sender.test\nTo: me@mx.example.test\nSubject: hello\nMessage-ID: <1@x>\n\nbody\n';

test('fileinto, discard and reject', async (t) => {
  const { deliver, count } = user(
    t,
    `require ["fileinto", "mailbox", "reject"];
    if header "subject" "hello" { fileinto :create "Work"; }
    elsif header "subject" "junk" { discard; }
    elsif header "subject" "no" { reject "not me"; }`,
  );
  assert.equal((await deliver(letter)).code, 0);
  assert.equal((await deliver(letter.replace('hello', 'junk'))).code, 0);
  const refused = await deliver(letter.replace('hello', 'no'));
  assert.equal(refused.code, 77);
  assert.match(refused.stderr, /^5\.7\.1 not me/);
  assert.equal((await deliver(letter.replace('hello', 'other'))).code, 0);
  assert.deepEqual([count('.Work'), count('')], [1, 1]);
});

test('duplicates are known to the next process', async (t) => {
  const { deliver, count } = user(t, 'require "duplicate"; if duplicate { discard; }');
  for (const id of ['1', '1', '2']) await deliver(letter.replace('<1@x>', `<${id}@x>`));
  assert.equal(count(''), 2);
});

test('a script that is broken keeps the mail, and says so beside it', async (t) => {
  const { home, deliver, count } = user(t, 'fileinto "x";');
  const { code, stderr } = await deliver(letter);
  assert.equal(code, 0, stderr);
  assert.equal(count(''), 1);
  assert.match(readFileSync(join(home, '.dovecot.sieve.log'), 'utf8'), /line 1, column 1/);
});
