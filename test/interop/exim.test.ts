/** Exim with us as its LMTP server, its MDA, and its content filter, by the lines that `init` prints. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { contentFilterLines, type MtaLines, mdaLines } from '../../src/cli/init/mta-lines.ts';
import { launcher, runCommand } from '../kit/command.ts';
import { startExim } from '../kit/exim.ts';
import { freePort, freePorts } from '../kit/free-port.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { messagesIn, startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';
import { bodyOf, edited, fieldsOf, messageFor } from './milter-cases.ts';
import {
  assertLarge,
  assertUtf8,
  killStartedWith,
  sendLarge,
  sendUtf8,
  untilItHangs,
} from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

const head = 'From: <ann@example.org>\nTo: <alice@example.test>\nSubject: test\n';
const told = (word: string) => `${head}X-Do: ${word}\n\nhello\n`;
const send = (t: TestContext, port: number, word: string, to: string | string[] = 'alice@example.test') =>
  swaks(requireProgram(t, 'swaks')!, { port, to, message: told(word) });

const linesOf = (all: MtaLines[], where: string) =>
  all.find((each) => each.mta === 'Exim' && each.where?.includes(where))!.lines;

test('LMTP to us is the delivery of Exim, with an answer for each recipient', async (t) => {
  const server = await startServer({ inbound: [{ plugin }] });
  t.after(() => server.stop());
  const port = await freePort();
  const lmtp = [
    'local_delivery:',
    '  driver = smtp',
    '  protocol = lmtp',
    '  hosts = 127.0.0.1',
    `  port = ${server.ports.lmtp}`,
    '  allow_localhost',
    '  hosts_override',
    '  hosts_avoid_tls = *',
  ];
  // The transport has the host: an accept router gives none.
  const router = [
    'lmtp:',
    '  driver = manualroute',
    '  domains = example.test',
    '  route_list = * 127.0.0.1 byname',
    '  self = send',
    '  transport = local_delivery',
  ];
  const exim = await startExim(t, { ports: [port], routers: router, transports: lmtp });
  if (!exim) return;
  await send(t, port, 'add', ['alice@example.test', 'bob@example.test', 'nobody@example.test']);
  await until(
    `mail\n${exim.log()}`,
    () => server.messages('bob').length === 1 && server.messages('alice').length === 1,
  );
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^X-Added: at the end$/m);
  await until('the unknown user', () => /nobody@example\.test.*no such user here/.test(exim.log()));
  await send(t, port, 'tempfail');
  await until('a deferral', () => /== alice@example\.test.*come back later/.test(exim.log()));
  assert.equal(server.messages('alice').length, 1);
  for (const told of ['discard', 'quarantine']) await send(t, port, told, 'bob@example.test');
  await until(
    `the end of both\n${exim.log()}`,
    () => exim.log().match(/[=-]> bob@example\.test/g)?.length === 3,
  );
  assert.equal(server.messages('bob').length, 1);
  for (const path of server.messages('bob')) rmSync(path);
  const fresh = async () => {
    await until('the next', () => server.messages('bob').length > 0);
    const [path] = server.messages('bob');
    const text = readFileSync(path!, 'latin1');
    rmSync(path!);
    return text;
  };
  await sendUtf8(port, 'bob@example.test');
  assertUtf8(await fresh());
  await sendLarge(port, 'bob@example.test');
  assertLarge(await fresh());
  await send(t, port, 'hang', 'bob@example.test');
  await untilItHangs(server);
  await server.kill();
  await until('a deferral', () => /== bob@example\.test/.test(exim.log()));
  assert.deepEqual(server.messages('bob'), []);
});

test('Exim hears by PRDR who was refused after the data', async (t) => {
  const server = await startServer({ inbound: [{ plugin }] });
  t.after(() => server.stop());
  const port = await freePort();
  const transport = [
    'local_delivery:',
    '  driver = smtp',
    `  port = ${server.ports.smtp}`,
    '  allow_localhost',
    '  hosts_override',
    '  hosts_avoid_tls = *',
  ];
  const router = [
    'onward:',
    '  driver = manualroute',
    '  domains = example.test',
    '  route_list = * 127.0.0.1 byname',
    '  self = send',
    '  transport = local_delivery',
  ];
  const exim = await startExim(t, { ports: [port], routers: router, transports: transport });
  if (!exim) return;
  await send(t, port, 'refuse-one', ['alice@example.test', 'bob@example.test']);
  await until('a delivery', () => /[=-]> bob@example\.test.* PRDR /.test(exim.log()));
  await until('a refusal', () => /\*\* alice@example\.test.*550 5\.7\.1 not you/.test(exim.log()));
  await until('the mail', () => server.messages('bob').length === 1);
  assert.deepEqual(server.messages('alice'), []);
});

test('deliver is the pipe transport of Exim', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'mail'));
  for (const path of [folder, join(folder, 'mail')]) chmodSync(path, 0o777);
  const config = join(folder, 'mda.json');
  const mailbox = { format: 'maildir', path: join(folder, 'mail/{user}{home}') };
  writeFileSync(
    config,
    JSON.stringify({
      hostname: 'mx.example.test',
      dataDirectory: 'data',
      mailbox,
      pipelines: { inbound: [{ plugin }] },
    }),
  );
  const port = await freePort();
  const lines = linesOf(mdaLines(`${process.execPath} ${launcher} deliver -c ${config}`), 'transports');
  // The test's recipients are no users of this system: one is.
  const transports = lines.map((line) =>
    line
      .replace('mailfilter_deliver:', 'local_delivery:')
      .replace('$local_part_data', 'nobody')
      .replace('$home', '/nonexistent'),
  );
  const exim = await startExim(t, { ports: [port], transports });
  if (!exim) return;
  const mails = () => messagesIn(join(folder, 'mail/nobody/nonexistent'));
  await send(t, port, 'add');
  await until(`mail\n${exim.log()}`, () => mails().length === 1);
  assert.match(
    readFileSync(mails()[0]!, 'latin1'),
    /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end$/m,
  );
  const first = mails();
  await send(t, port, 'tempfail');
  await until(`a deferral\n${exim.log()}`, () => /== alice@example\.test/.test(exim.log()));
  await send(t, port, 'reject');
  await until('a refusal', () => /\*\* alice@example\.test/.test(exim.log())).catch(() => {
    throw new Error(exim.log());
  });
  assert.equal(mails().length, 1);
  await send(t, port, 'discard');
  await until('the end of it', () => exim.log().match(/=> alice/g)?.length === 2);
  const fresh = async () => {
    await until(`the next\n${exim.log()}`, () => mails().length === 2);
    const path = mails().find((each) => !first.includes(each))!;
    const text = readFileSync(path, 'latin1');
    rmSync(path);
    return text;
  };
  await send(t, port, 'sender');
  assert.match(await fresh(), /^Return-Path: <changed@example\.org>$/m);
  await send(t, port, 'body');
  assert.match(await fresh(), /\n\nnew body\n(long line ){80}\n\.\nend\n$/);
  await sendUtf8(port, 'alice@example.test');
  assertUtf8(await fresh());
  await sendLarge(port, 'alice@example.test');
  assertLarge(await fresh());
  const waiting = exim.queued();
  await send(t, port, 'hang');
  await killStartedWith(config);
  await until('the message to be kept, for nobody knows how far it came', () => /Frozen/.test(exim.log()));
  assert.deepEqual([mails(), exim.queued()], [first, waiting + 1]);
});

test('content filter of Exim', async (t) => {
  const [port, nextPort] = await freePorts(2);
  const server = await startServer({
    config: {
      xclientFrom: ['127.0.0.0/8'],
      listeners: {
        filter: {
          protocol: 'content-filter',
          address: '127.0.0.1:0',
          next: `127.0.0.1:${nextPort}`,
          pipeline: 'inbound',
        },
      },
    },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-exim-mail-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  const all = contentFilterLines({ filterPort: server.ports.filter!, nextPort: nextPort! });
  const maildir = [
    'local_delivery:',
    '  driver = appendfile',
    `  directory = ${folder}/Maildir`,
    '  maildir_format',
    '  create_directory',
    '  return_path_add',
    '  envelope_to_add',
    '  user = nobody',
  ];
  const exim = await startExim(t, {
    ports: [port!, nextPort!],
    routers: linesOf(all, 'router'),
    transports: [...linesOf(all, 'transports'), ...maildir],
  });
  if (!exim) return;
  const mails = () => messagesIn(join(folder, 'Maildir'));
  const delivered = async (what: string) => {
    await until(`${what}\n${exim.log().slice(-3000)}`, () => mails().length > 0);
    const [path] = mails();
    const text = readFileSync(path!, 'latin1');
    rmSync(path!);
    return text;
  };
  const program = requireProgram(t, 'swaks')!;
  for (const {
    told: word,
    want,
    belowReceived = want,
    body,
    sender = 'ann@example.org',
    to = 'alice',
  } of edited) {
    // How long Exim waits is its own affair here.
    if (word === 'slow') continue;
    const { reply } = await swaks(program, {
      port: port!,
      to: 'alice@example.test',
      message: messageFor(word),
    });
    assert.match(reply, /^250 /);
    const text = await delivered(word);
    assert.equal(fieldsOf(text), belowReceived, word);
    assert.match(bodyOf(text), body ?? /^hello\nworld\n+$/, word);
    assert.match(text, new RegExp(`^Return-path: <${sender}>\\nEnvelope-to: ${to}@example\\.test\\n`), word);
  }
  await send(t, port!, 'differ', ['alice@example.test', 'bob@example.test']);
  const copies = [await delivered('one'), await delivered('the other')];
  assert.deepEqual(copies.map((text) => /^X-Only: one$/m.test(text)).sort(), [false, true]);
  await sendUtf8(port!, 'alice@example.test');
  assertUtf8(await delivered('SMTPUTF8'));
  await sendLarge(port!, 'alice@example.test');
  assertLarge(await delivered('30 MB'));

  await send(t, port!, 'reject');
  await until('a refusal', () => /\*\* alice@example\.test.*100% refused/.test(exim.log()));
  for (const word of ['discard', 'quarantine']) await send(t, port!, word, 'dave@example.test');
  await until(
    'both to be taken',
    () => exim.log().match(/=> dave@example\.test R=mailfilter/g)?.length === 2,
  );
  const list = await runCommand(['queue', 'list', '--json', '-c', server.configFile]);
  assert.match(list.stdout, /"held"/);
  await send(t, port!, 'tempfail');
  await until(`a deferral\n${exim.log()}`, () => /== alice@example\.test.*come back later/.test(exim.log()));
  const waiting = exim.queued();
  await send(t, port!, 'hang', 'carol@example.test');
  await untilItHangs(server);
  await server.kill();
  await until('a deferral', () => /== carol@example\.test/.test(exim.log()));
  assert.deepEqual([mails(), exim.queued()], [[], waiting + 1]);
});
