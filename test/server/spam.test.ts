/** Spam filtering as it comes: the installation of `npm start`, taught with one command, files spam into Junk; before, nothing. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureDemo } from '../../src/cli/demo-installation.ts';
import { runCommand } from '../kit/command.ts';
import { messageFiles, readMessage } from '../kit/message-source.ts';
import { requireSuite } from '../kit/require.ts';
import { messagesIn, startServer, until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';

/** Messages of each kind that are taught, and further ones that are sent. */
const [taught, sent] = [150, 10];

test('npm start: after `mailfilter learn` on samples, spam lands in Junk and ham in INBOX', async (t) => {
  const corpus = requireSuite(t, 'spam');
  if (corpus === undefined) return;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-spam-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { configFile } = await ensureDemo(directory);
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(/127\.0\.0\.1:2\d{3}/g, '127.0.0.1:0'));
  const server = await startServer({ directory });
  t.after(() => server.kill());
  const spam = messageFiles(join(corpus, 'spam-1'));
  const ham = messageFiles(join(corpus, 'easy-ham-1'));
  const inbox = () => messagesIn(server.mailbox('alice'));
  const junk = () => messagesIn(join(server.mailbox('alice'), '.Junk'));
  const send = async (file: string) => {
    const message = readMessage(file)
      .toString('latin1')
      .replace(/^From .*\r\n/, '');
    const [reply = ''] = await sendOne(server.ports.smtp!, { to: ['alice@example.test'], message });
    assert.match(reply, /^250/, file);
    return /queued as (\w+)/.exec(reply)?.[1] ?? '';
  };

  await send(spam.at(-1)!);
  await until('spam in INBOX, for nothing was taught', () => inbox().length === 1);
  assert.doesNotMatch(readFileSync(inbox()[0]!, 'latin1'), /^X-Spam-/m);

  // A Maildir and an mbox: each in one command.
  const maildir = join(directory, 'samples');
  for (const folder of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, folder), { recursive: true });
  for (const [index, file] of spam.slice(0, taught).entries()) {
    copyFileSync(file, join(maildir, index % 2 === 0 ? 'cur' : 'new', `${index}.sample:2,S`));
  }
  const mbox = join(directory, 'samples.mbox');
  const texts = ham.slice(0, taught).map((file) => readFileSync(file, 'latin1').replace(/\n*$/, '\n\n'));
  writeFileSync(mbox, texts.join(''), 'latin1');
  for (const [kind, path] of [
    ['spam', maildir],
    ['ham', mbox],
  ] as const) {
    const { code, stdout, stderr } = await runCommand(['learn', kind, path, '-c', configFile]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^${taught} messages: \\d+ learnt as ${kind}`));
  }

  for (const file of [...ham.slice(-sent), ...spam.slice(-sent, -1)]) await send(file);
  const id = await send(spam.at(-1)!);
  await until('all of them', () => inbox().length + junk().length === 1 + 2 * sent);
  // The newest of each kind, three hundred lessons: some spam is still not sure enough, ham never looks like spam.
  assert.ok(junk().length >= 0.7 * sent, `${junk().length} of ${sent} in Junk`);
  for (const path of junk()) assert.match(readFileSync(path, 'latin1'), /^X-Spam-Status: Yes, .*BAYES_9/m);
  const folders = inbox().map((path) => readFileSync(path, 'latin1'));
  assert.equal(
    folders.filter((text) => /^X-Spam-Status: No, .*BAYES_(?:00|05|20|40|50)/m.test(text)).length,
    sent,
  );

  const { stdout } = await runCommand(['explain', id, '-c', configFile]);
  assert.match(stdout, /message +bayes +[\d.]+ +score 5(?:\.5)?; judged probability=\d.* by=\S+ \d\.\d\d, /);
  assert.match(stdout, /message +policy .* sum score=5(?:\.5)? spam=true/);
  assert.match(stdout, /deliver +policy .* keepIn Junk/);
});
