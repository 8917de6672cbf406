/** plugins/milter and the real libmilter: lists of macros, refused recipients, ESMTP arguments both ways, skip. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LineClient } from '../kit/line-client.ts';
import { projectRoot, requirePeer } from '../kit/require.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { startServer, until } from '../kit/server.ts';

interface Witness {
  readonly socket: string;
  /** What it was told: an event and its facts. */
  told(): unknown[][];
}

async function startWitness(t: TestContext): Promise<Witness | undefined> {
  const present = existsSync('/usr/lib/python3/dist-packages/Milter/__init__.py');
  if (!requirePeer(t, 'python3-milter', present)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-libmilter-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, 'milter.sock');
  const script = join(projectRoot, 'test/interop/libmilter-witness.py');
  const child = spawn('/usr/bin/python3', [script, `local:${socket}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  await until('libmilter to listen', () => {
    assert.equal(child.exitCode, null, 'it ended');
    return existsSync(socket);
  });
  const told = () =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line): unknown[] => JSON.parse(line));
  return { socket, told };
}

/** One command after the other; the last line of each answer. */
async function talk(port: number, lines: readonly string[]): Promise<string[]> {
  const client = LineClient.toPort(port);
  const answers = [(await client.reply()).at(-1)!];
  for (const line of lines) {
    client.send(`${line}\r\n`);
    answers.push((await client.reply(30_000)).at(-1)!);
  }
  client.destroy();
  return answers;
}

test('libmilter is told what it asks for, and everything it changes takes effect', async (t) => {
  const witness = await startWitness(t);
  if (!witness) return;
  const next = await serveScript(t, { EHLO: '250-me\r\n250-DSN\r\n250-8BITMIME\r\n250 SIZE 1000000' });
  const filter = {
    protocol: 'content-filter',
    address: '127.0.0.1:0',
    next: `127.0.0.1:${next.port}`,
    pipeline: 'inbound',
  };
  const smtp = { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline: 'inbound' };
  const server = await startServer({
    config: { listeners: { filter, smtp } },
    inbound: [{ plugin: 'milter', options: { address: `unix:${witness.socket}` } }],
  });
  t.after(() => server.stop());

  await t.test('a recipient who is turned away is told where that was asked for', async () => {
    const answers = await talk(server.ports.smtp!, [
      'EHLO client.example.org',
      'MAIL FROM:<ann@example.org>',
      'RCPT TO:<nobody@example.test>',
    ]);
    assert.match(answers.at(-1)!, /^550 5\.1\.1 /);
    const refused = { '{rcpt_mailer}': 'error', '{rcpt_addr}': '550 5.1.1 recipient refused' };
    assert.deepEqual(witness.told().at(-1), [
      'RCPT',
      '<nobody@example.test>',
      [],
      { ...refused, '{rcpt_host}': null },
    ]);
  });

  const before = witness.told().length;
  const answers = await talk(server.ports.filter!, [
    'EHLO client.example.org',
    'MAIL FROM:<ann@example.org> BODY=8BITMIME RET=FULL ENVID=qq+2B',
    'RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;info@example.test',
    'RCPT TO:<bob@example.test>',
    'DATA',
    `Subject:  old\r\nX-Second: two\r\n\r\n${'x'.repeat(70)}\r\n${'a long line\r\n'.repeat(20_000)}.`,
  ]);
  assert.match(answers.at(-1)!, /^250 /);

  await t.test('macros by its lists, ESMTP arguments, the body until it has enough', () => {
    const told = witness.told().slice(before);
    assert.deepEqual(told.slice(0, 3), [
      [
        'MAIL',
        '<ann@example.org>',
        ['BODY=8BITMIME', 'RET=FULL', 'ENVID=qq+2B'],
        { '{mail_addr}': 'ann@example.org', '{mail_host}': null, '{client_addr}': null },
      ],
      [
        'RCPT',
        '<alice@example.test>',
        ['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;info@example.test'],
        { '{rcpt_mailer}': 'esmtp', '{rcpt_addr}': 'alice@example.test', '{rcpt_host}': null },
      ],
      [
        'RCPT',
        '<bob@example.test>',
        [],
        { '{rcpt_mailer}': 'esmtp', '{rcpt_addr}': 'bob@example.test', '{rcpt_host}': null },
      ],
    ]);
    assert.deepEqual(told.slice(3, 5), [
      ['header', 'Subject', '  old'],
      ['header', 'X-Second', ' two'],
    ]);
    assert.equal(told.filter(([event]) => event === 'body').length, 1);
  });

  await t.test('sender, recipients and their arguments, fields and body', async () => {
    // The transaction that was begun before the edits was given up.
    const again = next.heard.slice(next.heard.lastIndexOf('RSET'));
    const mail = again.find((line) => line.startsWith('MAIL'))!;
    assert.match(mail, /^MAIL FROM:<changed@example\.org> /);
    assert.match(mail, / RET=HDRS ENVID=qq\+2B1/);
    const recipients = again.filter((line) => line.startsWith('RCPT'));
    assert.deepEqual(recipients, [
      'RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;info@example.test',
      'RCPT TO:<carol@example.test> NOTIFY=NEVER ORCPT=rfc822;c@example.test',
    ]);
    const message = next.heard.find((line) => line.includes('X-Second'))!;
    assert.match(
      message,
      /^X-First: one\r\nReceived: [\s\S]*\r\nSubject: +changed\r\nX-Second: two\r\n\r\nanother body$/,
    );
  });
});
