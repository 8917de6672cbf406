/** Real and odd messages come in by SMTP, are parsed by a plugin, and lie in the mailbox as they came but for trace fields and line ends. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../core/config/load.ts';
import { openTraces } from '../../src/cli/explain.ts';
import { messageFiles } from '../kit/message-source.ts';
import { projectRoot, requirePeer } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { MailClient } from './mail-client.ts';
import { campaign, idIn, openServer, type WholeServer } from './observe.ts';
import { storedForm, withoutReturnPath, withoutTrace } from './stored-form.ts';

const suites = join(projectRoot, '..', 'shared', 'suites');
const parse = fileURLToPath(new URL('plugins/parse.ts', import.meta.url));

/** Every n-th of the spam collection. */
const spamStep = campaign ? 1 : 15;

function corpus(): string[] {
  const spam = messageFiles(join(suites, 'spam')).filter((_, index) => index % spamStep === 0);
  return [...messageFiles(join(suites, 'mime')), ...spam];
}

interface Sent {
  readonly file: string;
  readonly id: string;
  readonly expected: string;
}

test('every message of the corpus, into Maildir', async (t) => {
  if (!requirePeer(t, '../shared/suites/mime', existsSync(join(suites, 'mime')))) return;
  await using server = await openServer({ inbound: [parse] });
  const mta = server.pidOf('mta');
  const sent = await sendAll(server, corpus());
  t.diagnostic(`${sent.length} messages`);
  const stored = new Map(server.messages('alice').map((path) => [idOfName(path), path]));
  for (const { file, id, expected } of sent) {
    const copy = readFileSync(stored.get(id)!, 'latin1');
    assert.equal(withoutTrace(copy, expected), expected, file);
  }
  assert.equal(stored.size, sent.length);
  await assertParsed(server, sent);
  assert.equal(server.pidOf('mta'), mta);
});

test('a sample of the corpus, into mbox', async (t) => {
  if (!requirePeer(t, '../shared/suites/mime', existsSync(join(suites, 'mime')))) return;
  await using server = await openServer({
    inbound: [parse],
    config: { mailbox: { format: 'mbox', path: 'mail/{domain}/{user}' } },
  });
  const sent = await sendAll(
    server,
    corpus().filter((_, index) => campaign || index % 4 === 0),
  );
  const path = server.mailbox('alice');
  await until('all copies in the mbox', () => splitMbox(readFileSync(path, 'latin1')).length >= sent.length);
  const messages = splitMbox(readFileSync(path, 'latin1'));
  assert.equal(messages.length, sent.length);
  const byId = new Map(messages.map((message) => [/\bid (\w+)/.exec(message)?.[1], message]));
  for (const { file, id, expected } of sent) {
    const without = withoutMboxFields(expected);
    assert.equal(withoutTrace(byId.get(id)!, without), without, file);
  }
});

/** Over a few sessions; each message has to be accepted. */
async function sendAll(server: WholeServer, files: readonly string[]): Promise<Sent[]> {
  const sent: Sent[] = [];
  const left = [...files];
  const run = async () => {
    const client = await MailClient.open(server.ports.smtp!);
    for (let file = left.pop(); file !== undefined; file = left.pop()) {
      const message = readFileSync(file);
      const [reply] = await client.send({ to: ['alice@example.test'], message });
      assert.match(reply ?? '', /^250 /, file);
      sent.push({ file, id: idIn(reply), expected: withoutReturnPath(storedForm(message)) });
    }
    await client.quit();
  };
  await Promise.all(Array.from({ length: 6 }, run));
  return sent;
}

/** The plugin answered for each message: parsed, or why not; never a failure. */
async function assertParsed(server: WholeServer, sent: readonly Sent[]): Promise<void> {
  const traces = openTraces(loadConfig(server.configFile));
  try {
    for (const { file, id } of sent) {
      await until(`a trace of ${file}`, () => traces.find(id) !== undefined);
      const entry = traces.find(id)!.entries.find(({ plugin }) => plugin === 'parse');
      assert.equal(entry?.failure, undefined, file);
      assert.notEqual(entry?.result, undefined, file);
    }
  } finally {
    traces.close();
  }
}

/** The transaction's id in the name of a copy: `seconds.ID_r1_0.host,S=..`. */
function idOfName(path: string): string {
  return /\/\d+\.(\w+?)_r1_0\./.exec(path)?.[1] ?? path;
}

/** mboxrd: a From_ line parts, one `>` is taken from quoted ones, an empty line ends each message. */
function splitMbox(text: string): string[] {
  const parts = text.split(/^From [^\n]*\n/m).slice(1);
  return parts.map((part) => part.replace(/\n$/, '').replace(/^>(>*From )/gm, '$1'));
}

/** Fields that programs write into an mbox themselves are not taken from outside. */
function withoutMboxFields(message: string): string {
  const end = message.search(/^\n/m);
  const header = end === -1 ? message : message.slice(0, end);
  const names = 'Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|Content-Length';
  const field = new RegExp(`^(?:${names})[ \\t]*:[^\\n]*\\n(?:[ \\t][^\\n]*\\n)*`, 'gim');
  return header.replace(field, '') + message.slice(header.length);
}
