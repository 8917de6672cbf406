/** Mail of other servers: fetched once, deleted there only when it lies here, by POP3 and IMAP, over TLS that is checked. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import type { FetchAccount } from '../../core/config/config.ts';
import { imap } from '../../src/access/imap/protocol.ts';
import { pop3 } from '../../src/access/pop3/protocol.ts';
import { deliverySocket } from '../../src/delivery-socket.ts';
import { fetchAccount } from '../../src/fetch/fetch.ts';
import { openAccessDoor } from '../kit/access-door.ts';
import { launcher, runCommand } from '../kit/command.ts';
import { certificate } from '../kit/door.ts';
import { plainMessages } from '../kit/imap-client.ts';
import { projectRoot } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';

const user = 'alice@example.test';
const password = 'secret';

interface Remote {
  readonly account: FetchAccount;
  /** How many messages lie there. */
  left(): number;
  /** One more of them. */
  add(name: string, text: string): void;
}

async function remote(
  t: TestContext,
  protocol: 'imap' | 'pop3',
  tls: 'implicit' | 'starttls',
  more: Partial<FetchAccount> = {},
): Promise<Remote> {
  const mailRoot = folder(t);
  const inbox = join(mailRoot, user);
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(inbox, part), { recursive: true });
  const add = (name: string, text: string) => writeFileSync(join(inbox, 'new', name), text);
  for (const [at, message] of plainMessages(3).entries()) add(`${1000 + at}.M${at}.host`, message);
  const listener = { protocol, tls, authWithoutTls: false } as const;
  const { port } = await openAccessDoor(t, {
    protocol: protocol === 'imap' ? imap : pop3,
    listener,
    mailRoot,
  });
  const account: FetchAccount = {
    name: 'work',
    protocol,
    host: 'localhost',
    port,
    tls,
    user,
    password,
    caFile: certificate().certFile,
    to: 'bob@example.test',
    folders: ['INBOX'],
    keep: false,
    everySeconds: 60,
    ...more,
  };
  const count = (part: string) => readdirSync(join(inbox, part)).length;
  return { account, add, left: () => count('new') + count('cur') };
}

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'mailfilter-fetch-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function taker(directory: string, answer: (text: string) => boolean = () => true) {
  const taken: string[] = [];
  const init = {
    directory,
    messageBytesMax: 100_000,
    takeIn: async (recipient: string, message: Buffer) => {
      assert.equal(recipient, 'bob@example.test');
      const text = message.toString('latin1');
      const yes = answer(text);
      if (yes) taken.push(text);
      return yes;
    },
  };
  return { taken, init };
}

const wanted = plainMessages(3).map((text) => text.replaceAll('\n', '\r\n'));

for (const protocol of ['pop3', 'imap'] as const) {
  for (const tls of ['implicit', 'starttls'] as const) {
    test(`${protocol}, ${tls}: all is fetched as it lies there, then deleted`, async (t) => {
      const { account, left } = await remote(t, protocol, tls);
      const { taken, init } = taker(folder(t));
      const report = await fetchAccount(account, init);
      assert.deepEqual(taken, wanted);
      assert.deepEqual(report, { account: 'work', fetched: 3, refused: 0, deleted: 3 });
      assert.equal(left(), 0);
    });
  }

  test(`${protocol}: what is kept there comes once, what is new comes`, async (t) => {
    const { account, left, add } = await remote(t, protocol, 'implicit', { keep: true });
    const { taken, init } = taker(folder(t));
    await fetchAccount(account, init);
    add('2000.M9.host', 'Subject: new\n\n.dot\n');
    const report = await fetchAccount(account, init);
    assert.deepEqual([report.fetched, report.deleted, taken.length], [1, 0, 4]);
    assert.equal(taken.at(-1), 'Subject: new\r\n\r\n.dot\r\n');
    assert.equal(left(), 4);
  });

  test(`${protocol}: a failure here leaves everything there that is not yet here`, async (t) => {
    const { account, left } = await remote(t, protocol, 'implicit');
    const directory = folder(t);
    const failing = taker(directory, (text) => {
      if (text === wanted[1]) throw new Error('disk full');
      return true;
    });
    await assert.rejects(fetchAccount(account, failing.init), /disk full/);
    assert.equal(left(), 3);
    const again = taker(directory);
    const report = await fetchAccount(account, again.init);
    assert.deepEqual(again.taken, wanted.slice(1), 'the first is not taken twice');
    assert.deepEqual([report.deleted, left()], [3, 0]);
  });

  test(`${protocol}: what is refused here stays there, and is not asked for again`, async (t) => {
    const { account, left } = await remote(t, protocol, 'implicit');
    const { init, taken } = taker(folder(t), (text) => text !== wanted[1]);
    const first = await fetchAccount(account, init);
    assert.deepEqual([first.fetched, first.refused, first.deleted, left()], [2, 1, 2, 1]);
    const second = await fetchAccount(account, init);
    assert.deepEqual([second.fetched, second.refused, second.deleted, left()], [0, 0, 0, 1]);
    assert.equal(taken.length, 2);
  });

  test(`${protocol}: a certificate that nobody vouches for gets no password`, async (t) => {
    const { account } = await remote(t, protocol, 'implicit');
    const { caFile: _, ...trusting } = account;
    await assert.rejects(fetchAccount(trusting, taker(folder(t)).init), { name: 'OperationalError' });
  });

  test(`${protocol}: a wrong password`, async (t) => {
    const { account, left } = await remote(t, protocol, 'implicit', { password: 'wrong' });
    await assert.rejects(fetchAccount(account, taker(folder(t)).init), { name: 'OperationalError' });
    assert.equal(left(), 3);
  });
}

for (const protocol of ['pop3', 'imap'] as const) {
  test(`${protocol}: told to stop, the message under way is the last, and noted at once`, async (t) => {
    const { account } = await remote(t, protocol, 'implicit', { keep: true });
    const directory = folder(t);
    const stop = new AbortController();
    const stopping = taker(directory, (text) => {
      if (text === wanted[1]) stop.abort();
      return true;
    });
    const report = await fetchAccount(account, { ...stopping.init, signal: stop.signal });
    assert.equal(report.fetched, 2);
    const again = taker(directory);
    await fetchAccount(account, again.init);
    assert.deepEqual(again.taken, wanted.slice(2));
  });

  test(`${protocol}: where nothing can be noted, nothing is taken`, async (t) => {
    const { account, left } = await remote(t, protocol, 'implicit');
    const directory = join(folder(t), 'fetch');
    const { init, taken } = taker(directory);
    mkdirSync(join(directory, `work.json.${process.pid}.tmp`), { recursive: true });
    await assert.rejects(fetchAccount(account, init), { code: 'fetch-state', temporary: true });
    assert.deepEqual([taken.length, left()], [0, 3]);
  });
}

test('pop3: what cannot be noted is said beside what went wrong before, and the connection is closed', async (t) => {
  let isClosed = false;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => (isClosed = true));
    socket.on('data', () => {});
    socket.write(`+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n${'+OK\r\nx\r\n.\r\n'.repeat(2)}`);
    t.after(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const { caFile: _, ...account } = (await remote(t, 'pop3', 'implicit')).account;
  const directory = folder(t);
  let isFirst = true;
  const { init } = taker(directory, () => {
    if (isFirst) {
      isFirst = false;
      mkdirSync(join(directory, `work.json.${process.pid}.tmp`));
      return true;
    }
    throw new OperationalError('fetch-deferred', 'disk full', { temporary: true });
  });
  const plain = { ...account, host: '127.0.0.1', port, tls: 'none', keep: true } as const;
  await assert.rejects(fetchAccount(plain, init), (error) => {
    assert.ok(error instanceof OperationalError, String(error));
    assert.equal(error.temporary, true);
    assert.match(error.message, /work\.json cannot be written/);
    return true;
  });
  await until('the end of the connection', () => isClosed);
});

const broken: readonly { name: string; answers: string; code: string }[] = [
  { name: 'something else', answers: 'SSH-2.0-x\r\n', code: 'pop3-protocol' },
  { name: 'busy', answers: '-ERR [IN-USE] later\r\n', code: 'pop3-refused' },
  {
    name: 'an endless message',
    answers: `+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n${'x'.repeat(300_000)}`,
    code: 'pop3-protocol',
  },
  {
    name: 'cut off in a message',
    answers: '+OK\r\n+OK\r\n+OK\r\n+OK\r\n1 a\r\n.\r\n+OK\r\nhalf',
    code: 'pop3-lost',
  },
];
for (const { name, answers, code } of broken) {
  test(`pop3: a server that says ${name}`, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(answers);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const account = {
      name: 'x',
      protocol: 'pop3',
      host: '127.0.0.1',
      port,
      tls: 'none',
      user,
      password,
    } as const;
    const all = { ...account, to: 'bob@example.test', folders: ['INBOX'], keep: false, everySeconds: 60 };
    const { init, taken } = taker(folder(t));
    await assert.rejects(fetchAccount(all, init), { code });
    assert.deepEqual(taken, []);
  });
}

test('the command puts it through the pipeline of the server, and says what it did', async (t) => {
  const { account, left, add } = await remote(t, 'imap', 'implicit');
  const { name: _, ...written } = account;
  const server = await startServer({
    config: { fetch: { accounts: { work: written, gone: { ...written, port: 1 } } } },
    inbound: [{ plugin: join(projectRoot, 'test/interop/plugins/as-told.ts') }],
  });
  t.after(() => server.stop());
  add('3000.M9.host', 'Subject: told\nX-Do: add\n\nx\n');
  const run = (...args: string[]) => runCommand(['fetch', ...args, '-c', server.configFile]);
  const { stdout, stderr, code } = await run('work', '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { account: 'work', fetched: 4, refused: 0, deleted: 4 });
  assert.equal(left(), 0);
  assert.equal(server.messages('bob').length, 4);
  const texts = server.messages('bob').map((path) => readFileSync(path, 'latin1'));
  assert.ok(texts.some((text) => /^X-Added: /m.test(text)));
  const failed = await run();
  assert.equal(failed.code, 75);
  assert.match(failed.stderr, /fetch gone: /);
  assert.match(failed.stdout, /^work: 0 fetched/m);
  assert.ok(existsSync(join(server.directory, 'data/fetch/work.json')));
  await server.stop();
  assert.equal((await run('gone')).code, 75);
  assert.equal((await run('nobody')).code, 64);
});

test('--daemon goes on, past an account that fails, until it is ended', async (t) => {
  const { account, left, add } = await remote(t, 'pop3', 'implicit', { everySeconds: 10 });
  const { name: _, ...written } = account;
  const server = await startServer({
    config: { fetch: { accounts: { gone: { ...written, port: 1 }, work: written } } },
  });
  t.after(() => server.stop());
  const child = spawn(process.execPath, [launcher, 'fetch', '--daemon', '--json', '-c', server.configFile]);
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  await until('the first round', () => left() === 0 && server.messages('bob').length === 3);
  add('3000.M9.host', 'Subject: later\n\nx\n');
  await until('a later round', () => left() === 0 && server.messages('bob').length === 4);
  await until('the other account', () => (output.match(/fetch gone: /g) ?? []).length > 1);
  child.kill('SIGTERM');
  await until('its end', () => child.exitCode !== null || child.signalCode !== null);
  assert.match(output, /"account":"work","fetched":3/);
});

test('SIGTERM in the midst of a round: what was taken does not come again', async (t) => {
  const { account, add } = await remote(t, 'pop3', 'implicit', { keep: true });
  add('3000.M9.host', 'Subject: fourth\n\nx\n');
  const { name: _, ...written } = account;
  const directory = folder(t);
  const configFile = join(directory, 'mailfilter.json');
  const fetch = { accounts: { work: written } };
  writeFileSync(configFile, JSON.stringify({ hostname: 'mx.test', dataDirectory: 'data', fetch }));
  let stop: (() => void) | undefined;
  const heard = serveLmtp(t, deliverySocket(join(directory, 'data')), (count) => {
    if (count === 3) stop?.();
  });
  const child = spawn(process.execPath, [launcher, 'fetch', '--daemon', '-c', configFile]);
  t.after(() => child.kill('SIGKILL'));
  stop = () => child.kill('SIGTERM');
  await until('its end', () => child.exitCode !== null || child.signalCode !== null);
  assert.deepEqual([child.exitCode, child.signalCode], [0, null]);
  const before = heard.length;
  assert.ok(before >= 3, `${before}`);
  const { code, stderr } = await runCommand(['fetch', '-c', configFile]);
  assert.equal(code, 0, stderr);
  assert.equal(new Set(heard).size, 4);
  assert.equal(heard.length, 4, 'each came once');
});

/** A server of ours that takes all; `onMail` is called before the answer. */
function serveLmtp(t: TestContext, path: string, onMail: (count: number) => void): string[] {
  const heard: string[] = [];
  mkdirSync(join(path, '..'), { recursive: true });
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 mx\r\n');
    let data: string[] | undefined;
    createInterface({ input: socket }).on('line', (line) => {
      if (data !== undefined) {
        if (line !== '.') return void data.push(line);
        heard.push(data.join('\n'));
        data = undefined;
        onMail(heard.length);
        return void socket.write('250 2.0.0 on disk\r\n');
      }
      if (line === 'DATA') data = [];
      socket.write({ DATA: '354 go\r\n', QUIT: '221 bye\r\n' }[line] ?? '250 ok\r\n');
    });
  }).listen(path);
  t.after(() => server.close());
  return heard;
}
