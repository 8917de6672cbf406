/** OpenSMTPD with us as its filter, its LMTP server and its MDA. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { mdaLines, openSmtpdFilterLines } from '../../src/cli/init/mta-lines.ts';
import { launcher } from '../kit/command.ts';
import { type OpenSmtpd, type OpenSmtpdOptions, startOpenSmtpd } from '../kit/opensmtpd.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { messagesIn, startServer, until } from '../kit/server.ts';
import { type Sent, type SwaksOptions, swaks } from '../kit/swaks.ts';
import { assertLarge, killStartedWith, sendLarge, untilItHangs } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

interface Setting {
  readonly smtpd: OpenSmtpd;
  send(options: Partial<SwaksOptions> & { do?: string }): Promise<Sent>;
  delivered(): Promise<string>;
}

async function setUp(t: TestContext, options: OpenSmtpdOptions = {}): Promise<Setting | undefined> {
  const program = requireProgram(t, 'swaks');
  const smtpd = program && (await startOpenSmtpd(t, options));
  if (!program || !smtpd) return undefined;
  const seen = new Set<string>();
  return {
    smtpd,
    send: ({ do: told, ...more }) => {
      const head =
        'From: <ann@example.org>\nTo: <alice@example.test>\nX-Twice: 1\nSubject: test\nX-Twice: 2\n';
      const message = `${head}${told ? `X-Do: ${told}\n` : ''}\nhello\n.dot\n`;
      return swaks(program, { port: smtpd.port, to: 'alice@example.test', message, ...more });
    },
    delivered: async () => {
      const fresh = () => smtpd.messages().filter((text) => !seen.has(text));
      await until(`mail\n${smtpd.log()}`, () => fresh().length > 0);
      const [text] = fresh();
      seen.add(text!);
      return text!;
    },
  };
}

const command = (name: string, config: string) => `${process.execPath} ${launcher} ${name} -c ${config}`;

async function withFilter(t: TestContext): Promise<(Setting & { config: string }) | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-filter-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const config = join(folder, 'filter.json');
  const settings = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    pipelines: { inbound: [{ plugin }] },
  };
  writeFileSync(config, JSON.stringify(settings));
  const setting = await setUp(t, {
    before: openSmtpdFilterLines(command('opensmtpd-filter', config)).flatMap(({ lines }) => lines),
    listen: 'filter "mailfilter"',
  });
  return setting && { ...setting, config };
}

const body = (text: string) => text.slice(text.indexOf('\n\n') + 2);

describe('filter of OpenSMTPD', () => {
  test('what passes, what is edited', async (t) => {
    const setting = await withFilter(t);
    if (!setting) return;
    const { send, delivered, smtpd } = setting;
    assert.match((await send({})).reply, /^250 /);
    const clean = await delivered();
    assert.match(clean, /^X-Twice: 1\nSubject: test\nX-Twice: 2$/m);
    assert.equal(body(clean), 'hello\n.dot\n\n');
    const edited = [
      { do: 'add', has: /^X-Added: at the end$/m },
      { do: 'change', has: /^X-Twice: changed$/m },
      { do: 'all', has: /^To: <alice@example\.test>\nSubject: test\nX-Do: all\n/m },
      { do: 'fold', has: /^X-Folded: one\n two\n\tthree$/m },
      { do: 'body', has: /\n\nnew body\n(?:long line )+\n\.\nend\n$/ },
    ];
    for (const { do: told, has } of edited) {
      assert.match((await send({ do: told })).reply, /^250 /, told);
      assert.match(await delivered(), has);
    }
    const transport = createTransport({ host: '127.0.0.1', port: smtpd.port, ignoreTLS: true });
    const large = Buffer.alloc(
      30 << 20,
      'a line of sixty-four octets, its end included, again and again\r\n',
    );
    const raw = Buffer.concat([Buffer.from('Subject: large\r\nX-Do: size\r\n\r\n'), large]);
    await transport.sendMail({ envelope: { from: 'ann@example.org', to: ['alice@example.test'] }, raw });
    transport.close();
    const text = await delivered();
    assert.match(text, new RegExp(`^X-Size: ${large.length}$`, 'm'));
    assert.equal(body(text) === large.toString('latin1').replaceAll('\r\n', '\n'), true);
  });

  test('the client hears each refusal', async (t) => {
    const setting = await withFilter(t);
    if (!setting) return;
    const { send, smtpd } = setting;
    for (const stage of ['mail', 'data']) {
      assert.match((await send({ from: `${stage}-reject@example.org` })).reply, /^550 5\.7\.1 /, stage);
      assert.match(
        (await send({ from: `${stage}-tempfail@example.org` })).reply,
        /^451 4\.7\.1 come back later/,
        stage,
      );
    }
    assert.match((await send({ to: 'rcpt-reject@example.test' })).reply, /^550 5\.7\.1/);
    assert.match((await send({ do: 'reject' })).reply, /^550 5\.7\.1/);
    assert.match((await send({ do: 'tempfail' })).reply, /^451 4\.7\.1 come back later/);
    for (const told of ['discard', 'quarantine', 'sender', 'recipients', 'differ']) {
      assert.match((await send({ do: told })).reply, /^451 4\.3\.5/, `${told}: smtpd has no word for it`);
    }
    assert.deepEqual(smtpd.messages(), []);
  });
});

test('filter of OpenSMTPD killed in the middle: nothing is acknowledged, nothing delivered', async (t) => {
  const setting = await withFilter(t);
  if (!setting) return;
  const { send, smtpd, config } = setting;
  const sent = send({ do: 'hang' });
  await until('the plugin to hang', () => smtpd.log().includes('as told: hang'));
  await killStartedWith(config);
  const { reply } = await sent;
  // smtpd itself ends with its filter, so that the client may hear nothing at all.
  assert.doesNotMatch(reply, /^2\d\d .*accepted/);
  assert.deepEqual(smtpd.messages(), []);
});

test('LMTP to us is the delivery of OpenSMTPD', async (t) => {
  const server = await startServer({ inbound: [{ plugin }] });
  t.after(() => server.stop());
  const setting = await setUp(t, { action: `lmtp "127.0.0.1:${server.ports.lmtp}" rcpt-to` });
  if (!setting) return;
  assert.match((await setting.send({ do: 'add' })).reply, /^250 /);
  await until(`mail\n${setting.smtpd.log()}`, () => server.messages('alice').length === 1);
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^X-Added: at the end$/m);
  rmSync(server.messages('alice')[0]!);
  await sendLarge(setting.smtpd.port, 'alice@example.test');
  await until('30 MB', () => server.messages('alice').length === 1);
  assertLarge(readFileSync(server.messages('alice')[0]!, 'latin1'));
  // A refusal is put off as well: its mail.lmtp knows no other error.
  assert.match((await setting.send({ do: 'tempfail' })).reply, /^250 /);
  await until('a delivery put off', () => /result=TempFail.*come back later/.test(setting.smtpd.log()));
  const putOff = () => setting.smtpd.log().match(/result=TempFail/g)?.length ?? 0;
  const before = putOff();
  assert.match((await setting.send({ do: 'hang' })).reply, /^250 /);
  await untilItHangs(server);
  await server.kill();
  await until(`a delivery put off\n${setting.smtpd.log()}`, () => putOff() > before);
  assert.equal(server.messages('alice').length, 1);
});

test('deliver is the mda of OpenSMTPD', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-mda-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'mda.json');
  const mailbox = { format: 'maildir', path: join(folder, 'mail/{user}{home}') };
  mkdirSync(join(folder, 'mail'));
  // smtpd runs it as the user: the folder is open to him, as a home would be.
  for (const path of [folder, join(folder, 'mail')]) chmodSync(path, 0o777);
  writeFileSync(
    config,
    JSON.stringify({
      hostname: 'mx.example.test',
      dataDirectory: 'data',
      mailbox,
      pipelines: { inbound: [{ plugin }] },
    }),
  );
  const [line = ''] = mdaLines(command('deliver', config)).find(({ mta }) => mta === 'OpenSMTPD')!.lines;
  const setting = await setUp(t, { action: line.replace('action "local" ', '') });
  if (!setting) return;
  const mails = () => messagesIn(join(folder, 'mail/nobody/nonexistent'));
  assert.match((await setting.send({ do: 'add' })).reply, /^250 /);
  await until(`mail\n${setting.smtpd.log()}`, () => mails().length === 1);
  assert.match(
    readFileSync(mails()[0]!, 'latin1'),
    /^Return-Path: <ann@example\.org>\n[\s\S]*^X-Added: at the end$/m,
  );
  assert.match((await setting.send({ do: 'tempfail' })).reply, /^250 /);
  await until('a delivery put off', () => /result=TempFail/i.test(setting.smtpd.log()));
  assert.match((await setting.send({ do: 'reject' })).reply, /^250 /);
  await until('a delivery refused', () => /result=PermFail/i.test(setting.smtpd.log()));
  const first = mails();
  assert.equal(first.length, 1);
  await sendLarge(setting.smtpd.port, 'alice@example.test');
  await until('30 MB', () => mails().length === 2);
  assertLarge(readFileSync(mails().find((path) => !first.includes(path))!, 'latin1'));
  const putOff = () => setting.smtpd.log().match(/result=TempFail/g)?.length ?? 0;
  const before = putOff();
  assert.match((await setting.send({ do: 'hang' })).reply, /^250 /);
  await killStartedWith(config);
  await until(`a delivery put off\n${setting.smtpd.log()}`, () => putOff() > before);
  assert.equal(mails().length, 2);
});
