/** The milter door behind Postfix: clean, edited in each way, refused at each stage, discarded, held, large, and a filter that dies. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { milterLines } from '../../src/cli/init/mta-lines.ts';
import { type Postfix, startPostfix } from '../kit/postfix.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { type Sent, type SwaksOptions, swaks } from '../kit/swaks.ts';

import { bodyOf, edited, fieldsOf, messageFor } from './milter-cases.ts';
import { untilItHangs } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

interface Setting {
  readonly server: TestServer;
  readonly postfix: Postfix;
  send(options: Partial<SwaksOptions> & { do?: string }): Promise<Sent>;
  /** The one message that came to a user since the last call. */
  delivered(user: string): Promise<string>;
}

async function setUp(t: TestContext, main: Record<string, string> = {}): Promise<Setting | undefined> {
  const program = requireProgram(t, 'swaks');
  if (!program) return undefined;
  const server = await startServer({
    config: { listeners: { milter: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'inbound' } } },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const postfix = await startPostfix(t, {
    main: {
      ...printed(server.ports.milter!),
      virtual_mailbox_maps: 'texthash:$config_directory/mailboxes, static:others/',
      // Shorter than the slowest answer: without a sign of progress the MTA would give up.
      milter_content_timeout: '6s',
      ...main,
    },
  });
  if (!postfix) return undefined;
  const seen = new Set<string>();
  return {
    server,
    postfix,
    send: ({ do: told, ...options }) => {
      const message = messageFor(told ?? '');
      return swaks(program, { port: postfix.port, to: 'alice@example.test', message, ...options });
    },
    delivered: async (user) => {
      const fresh = () => postfix.messages(user).filter((text) => !seen.has(text));
      await until(`mail for ${user}`, () => fresh().length > 0);
      const [text] = fresh();
      seen.add(text!);
      return text!;
    },
  };
}

/** What `init milter` says of main.cf. */
function printed(port: number): Record<string, string> {
  const { lines } = milterLines(port).find(({ file, where }) => file === 'main.cf' && where === undefined)!;
  return Object.fromEntries(lines.map((line) => line.split(' = ') as [string, string]));
}

const refused: { at: string; from?: string; to?: string; told?: string; args?: string[]; want: RegExp }[] = [
  { at: 'connect', args: ['--xclient', 'ADDR=192.0.2.1'], want: /^554 / },
  { at: 'helo', args: ['--helo', 'helo-reject.example.org'], want: /^550 5\.7\.1 / },
  { at: 'mail', from: 'mail-reject@example.org', want: /^550 5\.7\.1 and that is final/ },
  { at: 'mail, for now', from: 'mail-tempfail@example.org', want: /^451 4\.7\.1 come back later/ },
  { at: 'rcpt', to: 'rcpt-reject@example.test', want: /^550 5\.7\.1 / },
  { at: 'rcpt, for now', to: 'rcpt-tempfail@example.test', want: /^451 4\.7\.1 / },
  { at: 'data', from: 'data-reject@example.org', want: /^550 5\.7\.1 / },
  { at: 'message', told: 'reject', want: /^550 5\.7\.1 and that is final/ },
  { at: 'message, for now', told: 'tempfail', want: /^451 4\.7\.1 come back later/ },
  {
    at: 'message, edits that differ',
    told: 'differ',
    to: 'alice@example.test,bob@example.test',
    want: /^451 4\.3\.0 /,
  },
];

describe('behind Postfix', () => {
  test('every edit, refusal, discard and quarantine', async (t) => {
    const setting = await setUp(t);
    if (!setting) return;
    const { send, postfix, server } = setting;
    for (const { told, want, body, sender = 'ann@example.org', to = 'alice' } of edited) {
      await t.test(`edited: ${told || 'nothing'}`, async () => {
        const { reply } = await send({ do: told });
        assert.match(reply, /^250 /);
        const text = await setting.delivered(to);
        assert.equal(fieldsOf(text), want);
        assert.match(bodyOf(text), body ?? /^hello\nworld\n+$/);
        assert.match(text, new RegExp(`^Return-Path: <${sender}>`));
      });
    }
    for (const { at, told, want, ...options } of refused) {
      await t.test(`refused at ${at}`, async () => {
        const { reply } = await send({ ...options, ...(told && { do: told }) });
        assert.match(reply, want);
      });
    }
    await t.test('several lines and percent signs come through', async () => {
      const { transcript } = await send({ do: 'reject' });
      assert.match(transcript, /550-5\.7\.1 100% refused\n/);
    });
    await t.test('one recipient is discarded', async () => {
      const { reply } = await send({ do: 'drop-one', to: 'alice@example.test,bob@example.test' });
      assert.match(reply, /^250 /);
      await setting.delivered('bob');
    });
    await t.test('SMTPUTF8', async () => {
      const transport = createTransport({ host: '127.0.0.1', port: postfix.port, ignoreTLS: true });
      await transport.sendMail({
        envelope: { from: 'jörg@example.org', to: 'alice@example.test' },
        raw: 'From: <jörg@example.org>\r\nSubject: grün\r\nX-Do: envelope\r\n\r\nä\r\n',
      });
      const text = Buffer.from(await setting.delivered('alice'), 'latin1').toString('utf8');
      assert.match(text, /^X-Envelope: jörg@example\.org true grün\r?$/m);
      assert.match(text, /^From: <jörg@example\.org>/m);
    });
    await t.test('quarantined mail is on hold in the queue, discarded mail is nowhere', async () => {
      assert.match((await send({ do: 'quarantine' })).reply, /^250 /);
      assert.match((await send({ do: 'discard' })).reply, /^250 /);
      assert.match(
        (await send({ from: 'rcpt@example.org', to: 'rcpt-discard@example.test' })).reply,
        /^250 /,
      );
      const held = (await postfix.queue()).filter(({ queue_name }) => queue_name === 'hold');
      assert.equal(held.length, 1);
      assert.match(postfix.log(), /milter-hold/);
      assert.match(postfix.log(), /milter-discard/);
    });
    await t.test('nothing was delivered besides', () => {
      const count = (user: string) => postfix.messages(user).length;
      // One of the edited messages went to carol, and one more to alice was SMTPUTF8.
      const users = ['alice', 'bob', 'carol', 'dave', 'others'];
      assert.deepEqual(users.map(count), [edited.length, 1, 1, 0, 0]);
    });
    await t.test('30 MB, edited', async () => {
      const line = `${'z'.repeat(76)}\n`;
      const message = `Subject: large\nX-Do: size\n\n${line.repeat(Math.ceil(30_000_000 / 78))}`;
      const { reply } = await send({ message, to: 'dave@example.test' });
      assert.match(reply, /^250 /);
      assert.match((await setting.delivered('dave')).slice(0, 2000), /^X-Size: 30000\d\d\d/m);
    });
    await t.test('a filter killed while it decides: try again, and nothing was edited', async () => {
      const sent = send({ message: 'Message-ID: <hang@example.org>\nX-Do: hang\n\nhello\n' });
      await untilItHangs(server);
      await server.kill();
      assert.match((await sent).reply, /^4\d\d /);
    });
  });

  test('a unix socket with mode and owner', async (t) => {
    const program = requireProgram(t, 'swaks');
    if (!program) return;
    const directory = mkdtempSync(join(tmpdir(), 'mailfilter-milter-'));
    chmodSync(directory, 0o755);
    const path = join(directory, 'milter.sock');
    const listener = {
      protocol: 'milter',
      address: `unix:${path}`,
      socketMode: '0660',
      socketOwner: 'postfix',
    };
    const server = await startServer({
      config: { listeners: { milter: { ...listener, pipeline: 'inbound' } } },
      inbound: [{ plugin }],
    });
    t.after(() => server.stop());
    const postfix = await startPostfix(t, { main: { smtpd_milters: `unix:${path}` } });
    if (!postfix) return;
    assert.equal(statSync(path).mode & 0o777, 0o660);
    const { reply } = await swaks(program, {
      port: postfix.port,
      to: 'alice@example.test',
      message: 'X-Do: add\n\nhello\n',
    });
    assert.match(reply, /^250 /);
    await until('the delivery', () => postfix.messages('alice').length === 1);
    assert.match(postfix.messages('alice')[0]!, /^X-Added: at the end/m);
  });
});
