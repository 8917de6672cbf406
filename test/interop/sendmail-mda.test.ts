/** Sendmail with `deliver` as its local mailer, in the form that `init mda` gives it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { launcher } from '../kit/command.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startSendmail } from '../kit/sendmail.ts';
import { messagesIn, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import { assertLarge, killStartedWith, sendLarge } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

test('deliver is the local mailer of Sendmail', async (t) => {
  const program = requireProgram(t, 'swaks');
  if (!program) return;
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'mail'));
  for (const path of [folder, join(folder, 'mail')]) chmodSync(path, 0o777);
  const config = join(folder, 'mda.json');
  const mailbox = { format: 'maildir', path: join(folder, 'mail/{user}{home}') };
  const pipelines = { inbound: [{ plugin }] };
  writeFileSync(
    config,
    JSON.stringify({ hostname: 'mx.example.test', dataDirectory: 'data', mailbox, pipelines }),
  );
  const sendmail = await startSendmail(t, {
    localMailer: { path: process.execPath, arguments: `node ${launcher} deliver -c ${config} -f $g -d $u` },
  });
  if (!sendmail) return;
  const mails = () => messagesIn(join(folder, 'mail/nobody/nonexistent'));
  const send = (told: string) => {
    const message = `From: <ann@example.org>\nSubject: test\nX-Do: ${told}\n\nhello\n`;
    return swaks(program, { port: sendmail.port, to: 'nobody@example.test', message });
  };
  assert.match((await send('add')).reply, /^250 /);
  await until('mail', () => mails().length === 1, 20_000).catch(() => {
    throw new Error(sendmail.log());
  });
  assert.match(
    readFileSync(mails()[0]!, 'latin1'),
    /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end$/m,
  );
  await send('tempfail');
  await until('the message in the queue', () => sendmail.queued().length === 1);
  assert.equal(mails().length, 1);
  const first = mails();
  await sendLarge(sendmail.port, 'nobody@example.test');
  await until('30 MB', () => mails().length === 2);
  assertLarge(readFileSync(mails().find((path) => !first.includes(path))!, 'latin1'));
  await send('hang');
  await killStartedWith(config);
  await until('that one in the queue as well', () => sendmail.queued().length === 2);
  await send('reject');
  await until('a refusal', () => /100% refused/.test(sendmail.log()));
  assert.equal(mails().length, 2);
});
