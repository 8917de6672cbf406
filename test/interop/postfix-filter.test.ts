/** Content filter behind the queue of a real Postfix and proxy filter before it, by the very lines that `init` prints. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentFilterLines, type MtaLines, proxyFilterLines } from '../../src/cli/init/mta-lines.ts';
import { runCommand } from '../kit/command.ts';
import { freePort } from '../kit/free-port.ts';
import { type Postfix, startPostfix } from '../kit/postfix.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { type Sent, type SwaksOptions, swaks } from '../kit/swaks.ts';
import { assertLarge, assertUtf8, sendLarge, sendUtf8, untilItHangs } from './special-mail.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

interface Setting {
  readonly server: TestServer;
  readonly postfix: Postfix;
  send(options: Partial<SwaksOptions> & { do?: string }): Promise<Sent>;
  /** The one message that came to a user since the last call. */
  delivered(user: string): Promise<string>;
}

async function setUp(
  t: TestContext,
  protocol: 'content-filter' | 'proxy-filter',
): Promise<Setting | undefined> {
  const program = requireProgram(t, 'swaks');
  if (!program) return undefined;
  const nextPort = await freePort();
  const server = await startServer({
    config: {
      xclientFrom: ['127.0.0.0/8'],
      listeners: {
        filter: { protocol, address: '127.0.0.1:0', next: `127.0.0.1:${nextPort}`, pipeline: 'inbound' },
      },
    },
    inbound: [{ plugin }],
  });
  t.after(() => server.stop());
  const ports = { filterPort: server.ports.filter!, nextPort };
  const postfix = await startPostfix(t, postfixOptions(protocol, ports));
  if (!postfix) return undefined;
  const seen = new Set<string>();
  return {
    server,
    postfix,
    send: ({ do: told, ...options }) => {
      const head =
        'From: <ann@example.org>\nTo: <alice@example.test>\nX-Twice: 1\nSubject: test\nX-Twice: 2\n';
      const message = `${head}${told ? `X-Do: ${told}\n` : ''}\nhello\n.dot\n`;
      return swaks(program, { port: postfix.port, to: 'alice@example.test', message, ...options });
    },
    delivered: async (user) => {
      const fresh = () => postfix.messages(user).filter((text) => !seen.has(text));
      await until(`mail for ${user}\n${postfix.log().slice(-3000)}`, () => fresh().length > 0);
      const [text] = fresh();
      seen.add(text!);
      return text!;
    },
  };
}

/** The lines of `init`; what it says of the smtpd on port 25 goes to the one on the test's port. */
const users = { virtual_mailbox_maps: 'texthash:$config_directory/mailboxes, static:others/' };

function postfixOptions(protocol: string, ports: { filterPort: number; nextPort: number }) {
  const linesOf = (all: MtaLines[], file: string) =>
    all.filter(({ mta, file: name }) => mta === 'Postfix' && name === file).flatMap(({ lines }) => lines);
  if (protocol === 'content-filter') {
    const all = contentFilterLines(ports);
    const main = Object.fromEntries(
      linesOf(all, 'main.cf').map((line) => line.split(' = ') as [string, string]),
    );
    return { main: { ...main, ...users }, master: [linesOf(all, 'master.cf').join('\n')] };
  }
  const lines = linesOf(proxyFilterLines(ports), 'master.cf');
  const own = lines.findIndex((line) => line.startsWith('127.0.0.1:'));
  const smtpd = lines.slice(1, own).map((line) => line.replace(/^ +-o /, ''));
  return { main: users, smtpd, master: [lines.slice(own).join('\n')] };
}

/** The fields of our own test message as they came out. */
function body(text: string): string {
  return text.slice(text.indexOf('\n\n') + 2);
}

const edited: { do: string; has?: RegExp; lacks?: RegExp; body?: RegExp }[] = [
  { do: 'add', has: /^X-Added: at the end$/m },
  { do: 'top', has: /^X-Top: first\nX-Top: second$/m },
  { do: 'change', has: /^X-Twice: changed$/m },
  { do: 'delete', has: /^X-Twice: the one that is left$/m, lacks: /^X-Twice: 1$/m },
  { do: 'all', lacks: /^X-Twice/m },
  { do: 'fold', has: /^X-Folded: one\n two\n\tthree$/m },
  { do: 'body', body: /^new body\n(?:long line )+\n\.\nend\n$/ },
  { do: 'empty', body: /^$/ },
  { do: 'sender', has: /^Return-Path: <changed@example\.org>$/m },
];

async function passes({ send, delivered }: Setting): Promise<void> {
  assert.match((await send({})).reply, /^250 /);
  const clean = await delivered('alice');
  assert.match(clean, /^X-Twice: 1\nSubject: test\nX-Twice: 2$/m);
  // swaks ends what it sends with an empty line.
  assert.equal(body(clean), 'hello\n.dot\n\n');
  assert.match(clean, /^Received: from client\.example\.org .*\n\s+by mx\.example\.test/m);
  for (const { do: told, has, lacks, body: wanted } of edited) {
    assert.match((await send({ do: told })).reply, /^250 /, told);
    const text = await delivered('alice');
    if (has) assert.match(text, has);
    if (lacks) assert.doesNotMatch(text, lacks);
    if (wanted) assert.match(body(text), wanted, told);
  }
  assert.match((await send({ do: 'recipients' })).reply, /^250 /);
  assert.match(await delivered('carol'), /hello/);
}

async function passesSpecial({ postfix, delivered }: Setting): Promise<void> {
  await sendLarge(postfix.port, 'alice@example.test');
  assertLarge(await delivered('alice'));
  await sendUtf8(postfix.port, 'alice@example.test');
  assertUtf8(await delivered('alice'));
}

describe('content filter behind the queue of Postfix', () => {
  test('what passes, what is edited', async (t) => {
    const setting = await setUp(t, 'content-filter');
    if (!setting) return;
    await passes(setting);
    assert.match(
      (await setting.send({ do: 'differ', to: ['alice@example.test', 'bob@example.test'] })).reply,
      /^250 /,
    );
    assert.match(await setting.delivered('alice'), /^X-Only: one$/m);
    assert.doesNotMatch(await setting.delivered('bob'), /^X-Only/m);
    await passesSpecial(setting);
    assert.deepEqual(await setting.postfix.queue(), []);
  });

  test('what is refused is sent back, deferred, dropped or held, and nothing is delivered', async (t) => {
    const setting = await setUp(t, 'content-filter');
    if (!setting) return;
    const { send, postfix, delivered, server } = setting;
    const from = 'carol@example.test';
    await send({ do: 'reject', from });
    assert.match(await delivered('carol'), /100% refused/);
    await send({ do: 'discard' });
    await send({ do: 'quarantine' });
    await send({ do: 'tempfail' });
    await until('the deferred message', async () =>
      (await postfix.queue()).some(({ queue_name }) => queue_name === 'deferred'),
    );
    const queue = await postfix.queue();
    assert.equal(queue.length, 1);
    assert.match(queue[0]!.recipients[0]!.delay_reason ?? '', /come back later/);
    assert.deepEqual(postfix.messages('alice'), []);
    const list = await runCommand(['queue', 'list', '--json', '-c', server.configFile]);
    assert.match(list.stdout, /"held"/);
  });

  test('killed in the middle: the message waits at Postfix, whole', async (t) => {
    const setting = await setUp(t, 'content-filter');
    if (!setting) return;
    const { send, postfix, server } = setting;
    await send({ do: 'hang' });
    await untilItHangs(server);
    await server.kill();
    await until(
      'the deferred message',
      async () => (await postfix.queue()).some(({ queue_name }) => queue_name === 'deferred'),
      20_000,
    );
    assert.deepEqual(postfix.messages('alice'), []);
  });
});

describe('proxy filter before the queue of Postfix', () => {
  test('what passes, what is edited', async (t) => {
    const setting = await setUp(t, 'proxy-filter');
    if (!setting) return;
    await passes(setting);
    await passesSpecial(setting);
  });

  test('the client hears each refusal, and Postfix keeps nothing', async (t) => {
    const setting = await setUp(t, 'proxy-filter');
    if (!setting) return;
    const { send, postfix } = setting;
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
    assert.match(
      (await send({ do: 'differ', to: ['alice@example.test', 'bob@example.test'] })).reply,
      /^451 4\.3\.5/,
    );
    assert.match((await send({ do: 'discard' })).reply, /^250 /);
    assert.deepEqual([await postfix.queue(), postfix.messages('alice')], [[], []]);
  });

  test('killed in the middle: the client is told to try again', async (t) => {
    const setting = await setUp(t, 'proxy-filter');
    if (!setting) return;
    const sent = setting.send({ do: 'hang' });
    await untilItHangs(setting.server);
    await setting.server.kill();
    assert.match((await sent).reply, /^4\d\d /);
    assert.deepEqual(setting.postfix.messages('alice'), []);
  });
});
