/** A route to a real Dovecot over LMTP: an answer for each recipient, edits, 30 MB, and mail that waits while it is away. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';
import { startDovecotLmtp } from '../kit/dovecot-lmtp.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import { assertLarge, sendLarge } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

test('Dovecot takes what we deliver by LMTP', async (t) => {
  const program = requireProgram(t, 'swaks');
  const dovecot = program && (await startDovecotLmtp(t));
  if (!program || !dovecot) return;
  const server = await startServer({
    config: { routes: [{ to: '@example.test', deliver: `lmtp:127.0.0.1:${dovecot.port}` }] },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const port = server.ports.smtp!;
  const send = (told: string, to: string | string[]) => {
    const message = `From: <ann@example.org>\nSubject: test\nX-Do: ${told}\n\nhello\n.dot\n`;
    return swaks(program, { port, to, message });
  };
  const queue = async () => (await runCommand(['queue', 'list', '--json', '-c', server.configFile])).stdout;

  assert.match((await send('add', ['alice@example.test', 'bob@example.test'])).reply, /^250 /);
  await until('both copies', () => ['alice', 'bob'].every((user) => dovecot.messages(user).length === 1));
  const text = readFileSync(dovecot.messages('alice')[0]!, 'latin1').replaceAll('\r\n', '\n');
  assert.match(text, /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end\n\nhello\n\.dot\n/m);

  await t.test('one of two is nobody there: the other has the mail', async () => {
    assert.match((await send('', ['nobody@example.test', 'bob@example.test'])).reply, /^250 /);
    await until("bob's second", () => dovecot.messages('bob').length === 2);
    await until('the end of the other', () => /"?5\.1\.1/.test(server.output()));
  });

  await t.test('30 MB', async () => {
    await sendLarge(port, 'alice@example.test');
    await until('it', () => dovecot.messages('alice').length === 2);
    const sizes = dovecot.messages('alice').map((path) => readFileSync(path, 'latin1'));
    assertLarge(sizes.find((each) => each.length > 1_000_000)!);
  });

  await t.test('Dovecot is away: the mail waits here', async () => {
    await dovecot.stop();
    assert.match((await send('', 'bob@example.test')).reply, /^250 /);
    await until('it to wait', async () => /bob@example\.test/.test(await queue()));
    assert.equal(dovecot.messages('bob').length, 2);
  });
});
