/** The SMTP client against servers that follow a script: what it says, in which order, and how it takes bad answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { SmtpClient, type SmtpClientOptions } from '../../../core/net/smtp-client.ts';
import { dotStuff } from '../../../core/net/smtp-data.ts';
import { selfSigned } from '../../../src/cli/certificate.ts';

/** Answers by the first word of each line; `data` answers the end of the data. Lists are used up one by one. */
interface Script {
  greeting?: string;
  [command: string]: string | string[] | undefined;
}

interface Server {
  readonly options: SmtpClientOptions;
  /** Lines as received; data as one entry. */
  readonly heard: string[];
  /** Number of chunks that carried commands: one for a pipelined group. */
  writes: number;
}

const defaults: Script = {
  greeting: '220 hi',
  EHLO: '250-me\r\n250-PIPELINING\r\n250 SIZE 1000',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go',
  data: '250 2.0.0 queued',
  RSET: '250 2.0.0 ok',
  QUIT: '221 2.0.0 bye',
};

const pair = selfSigned({ names: ['localhost', '127.0.0.1'], days: 1, now: Date.now() });

async function serve(
  t: TestContext,
  script: Script,
  options: Partial<SmtpClientOptions> = {},
): Promise<Server> {
  const answers = { ...defaults, ...script };
  const heard: string[] = [];
  const state: Server = {
    heard,
    writes: 0,
    options: {
      to: { host: '127.0.0.1', port: 0 },
      name: 'client.test',
      timeouts: { replyMs: 500, dataReplyMs: 500 },
      ...options,
    },
  };
  const talk = (socket: Socket, greet: boolean): void => {
    let inData = false;
    let text = '';
    const say = (word: string): void => {
      const answer = answers[word];
      const line = Array.isArray(answer) ? answer.shift() : answer;
      if (line === undefined) return;
      if (line === 'close') socket.end();
      else socket.write(`${line}\r\n`);
    };
    const take = (line: string): void => {
      heard.push(line);
      const word = line.split(' ')[0]!.split(':')[0]!.toUpperCase();
      say(word);
      if (word === 'DATA' && String(answers.DATA).startsWith('354')) inData = true;
      if (word === 'STARTTLS') {
        socket.removeAllListeners('data');
        const secured = new TLSSocket(socket, { isServer: true, cert: pair.certificate, key: pair.key });
        secured.on('error', () => {});
        talk(secured, false);
      }
    };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      state.writes += 1;
      text += chunk.toString('latin1');
      for (;;) {
        const end = inData ? text.indexOf('\r\n.\r\n') : text.indexOf('\r\n');
        if (end === -1) return;
        const line = text.slice(0, end);
        text = text.slice(end + (inData ? 5 : 2));
        if (!inData) take(line);
        else {
          inData = false;
          heard.push(line);
          for (const answer of [answers.data ?? []].flat()) socket.write(`${answer}\r\n`);
        }
      }
    });
    if (greet) say('greeting');
  };
  const implicit = options.tls === 'implicit';
  const server = implicit
    ? createTlsServer({ cert: pair.certificate, key: pair.key }, (socket) => talk(socket, true))
    : createServer((socket) => talk(socket, true));
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const to = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  return Object.assign(state, { options: { ...state.options, to } });
}

const envelope = { sender: 'a@x.test', recipients: ['b@y.test', 'c@y.test'] };
const content = Buffer.from('Subject: hi\r\n\r\n.dot\r\nend\r\n');
const message = { length: content.length, chunks: [content] };

test('a whole transaction, its envelope in one write', async (t) => {
  const server = await serve(t, {});
  const client = await SmtpClient.connect(server.options);
  const writesBefore = server.writes;
  const outcome = await client.send({ ...envelope, parameters: ['BODY=8BITMIME'] }, message);
  assert.equal(outcome.accepted, true);
  assert.deepEqual(outcome.recipients, [
    { code: 250, enhanced: '2.0.0', text: 'queued' },
    { code: 250, enhanced: '2.0.0', text: 'queued' },
  ]);
  await client.quit();
  assert.deepEqual(server.heard, [
    'EHLO client.test',
    `MAIL FROM:<a@x.test> SIZE=${content.length} BODY=8BITMIME`,
    'RCPT TO:<b@y.test>',
    'RCPT TO:<c@y.test>',
    'DATA',
    'Subject: hi\r\n\r\n..dot\r\nend',
    'QUIT',
  ]);
  assert.ok(server.writes - writesBefore <= 4, `${server.writes - writesBefore} writes`);
});

test('without PIPELINING each command waits for its answer', async (t) => {
  const server = await serve(t, { EHLO: '250 me', MAIL: '550 5.7.1 not you' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.equal(outcome.mailFrom.code, 550);
  assert.equal(outcome.accepted, false);
  assert.ok(!server.heard.includes('DATA'));
  client.destroy();
});

test('a refused recipient keeps its own answer', async (t) => {
  const server = await serve(t, { RCPT: ['250 ok', '550 5.1.1 no such user'] });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.deepEqual(
    outcome.recipients.map(({ code, enhanced }) => [code, enhanced]),
    [
      [250, '2.0.0'],
      [550, '5.1.1'],
    ],
  );
  assert.equal(outcome.accepted, true);
  client.destroy();
});

test('LMTP answers once per accepted recipient', async (t) => {
  const server = await serve(
    t,
    {
      LHLO: '250-me\r\n250 PIPELINING',
      RCPT: ['250 ok', '550 5.1.1 no', '250 ok'],
      data: ['250 2.0.0 first', '452 4.2.2 full'],
    },
    { protocol: 'lmtp' },
  );
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(
    { sender: '', recipients: ['b@y.test', 'c@y.test', 'd@y.test'] },
    message,
  );
  assert.deepEqual(
    outcome.recipients.map(({ code }) => code),
    [250, 550, 452],
  );
  assert.equal(outcome.accepted, true);
  assert.equal(server.heard[0], 'LHLO client.test');
  client.destroy();
});

test('DATA refused: nothing was sent', async (t) => {
  const server = await serve(t, { DATA: '451 4.3.0 later' });
  const client = await SmtpClient.connect(server.options);
  const outcome = await client.send(envelope, message);
  assert.deepEqual(
    outcome.recipients.map(({ code }) => code),
    [451, 451],
  );
  assert.equal(outcome.accepted, false);
  assert.ok(!server.heard.some((line) => line.includes('Subject')));
  client.destroy();
});

test('a server without EHLO gets HELO', async (t) => {
  const server = await serve(t, { EHLO: '502 5.5.1 what', HELO: '250 me' });
  const client = await SmtpClient.connect(server.options);
  assert.equal(client.extensions.size, 0);
  client.destroy();
});

test('STARTTLS, the name checked, EHLO again, then AUTH', async (t) => {
  const server = await serve(
    t,
    {
      EHLO: ['250-me\r\n250 STARTTLS', '250-me\r\n250 AUTH PLAIN'],
      STARTTLS: '220 go',
      AUTH: '235 2.7.0 welcome',
    },
    { tls: 'starttls', ca: pair.certificate, serverName: 'localhost', auth: { user: 'u', password: 'p' } },
  );
  const client = await SmtpClient.connect(server.options);
  assert.match(client.tls ?? '', /^TLSv1/);
  assert.deepEqual(server.heard, [
    'EHLO client.test',
    'STARTTLS',
    'EHLO client.test',
    `AUTH PLAIN ${Buffer.from('\0u\0p').toString('base64')}`,
  ]);
  assert.ok(!client.extensions.has('STARTTLS'));
  client.destroy();
});

test('implicit TLS', async (t) => {
  const server = await serve(t, {}, { tls: 'implicit', ca: pair.certificate });
  const client = await SmtpClient.connect(server.options);
  assert.match(client.tls ?? '', /^TLSv1/);
  client.destroy();
});

const failures: readonly {
  name: string;
  script: Script;
  options?: Partial<SmtpClientOptions>;
  code: string;
  temporary: boolean;
}[] = [
  { name: 'a greeting of 554', script: { greeting: '554 5.3.2 no' }, code: 'smtp-refused', temporary: false },
  {
    name: 'a greeting of 421',
    script: { greeting: '421 4.3.2 busy' },
    code: 'smtp-refused',
    temporary: true,
  },
  {
    name: 'a greeting that is no SMTP',
    script: { greeting: 'SSH-2.0' },
    code: 'smtp-protocol',
    temporary: true,
  },
  { name: 'silence', script: { greeting: undefined }, code: 'smtp-timeout', temporary: true },
  { name: 'the end of the connection', script: { EHLO: 'close' }, code: 'smtp-lost', temporary: true },
  {
    name: 'an endless reply',
    script: { EHLO: `250-${'x'.repeat(300_000)}` },
    code: 'smtp-protocol',
    temporary: true,
  },
  {
    name: 'a wrong password',
    script: { AUTH: '535 5.7.8 no' },
    options: { auth: { user: 'u', password: 'p' }, plaintextAuth: true },
    code: 'smtp-refused',
    temporary: false,
  },
  {
    name: 'a password without TLS',
    script: {},
    options: { auth: { user: 'u', password: 'p' } },
    code: 'smtp-tls',
    temporary: false,
  },
  { name: 'no STARTTLS', script: {}, options: { tls: 'starttls' }, code: 'smtp-tls', temporary: true },
  {
    name: 'a certificate nobody vouches for',
    script: { EHLO: '250 STARTTLS\r\n250 STARTTLS' },
    options: { tls: 'implicit' },
    code: 'smtp-tls',
    temporary: true,
  },
  {
    name: 'a certificate of another name',
    script: {},
    options: { tls: 'implicit', ca: pair.certificate, serverName: 'other.test' },
    code: 'smtp-tls',
    temporary: true,
  },
  {
    name: 'a reply smuggled in before the TLS handshake',
    script: { EHLO: '250-me\r\n250 STARTTLS', STARTTLS: '220 go\r\n250 ok' },
    options: { tls: 'starttls', ca: pair.certificate },
    code: 'smtp-protocol',
    temporary: true,
  },
];
for (const { name, script, options, code, temporary } of failures) {
  test(`connect rejects: ${name}`, async (t) => {
    const server = await serve(t, script, options);
    await assert.rejects(SmtpClient.connect(server.options), { name: 'OperationalError', code, temporary });
  });
}

test('a port where nobody listens', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await assert.rejects(SmtpClient.connect({ to: { host: '127.0.0.1', port }, name: 'x' }), {
    code: 'smtp-connect',
  });
});

test('an address with a line break is no way to say more commands', async (t) => {
  const server = await serve(t, {});
  const client = await SmtpClient.connect(server.options);
  await assert.rejects(
    client.send({ sender: 'a@x.test>\r\nRSET\r\nMAIL FROM:<b@x.test', recipients: ['c@y.test'] }, message),
    { code: 'smtp-protocol' },
  );
  assert.ok(!server.heard.includes('RSET'));
  client.destroy();
});

test('dots are stuffed the same however the message is cut', async () => {
  const octets = fc.array(fc.constantFrom('.', '\r\n', '\r', '\n', 'a', '..'), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(octets, fc.array(fc.nat(30), { maxLength: 5 }), async (pieces, cuts) => {
      const text = pieces.join('');
      const edges = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
      const chunks = edges.slice(1).map((end, index) => Buffer.from(text.slice(edges[index], end)));
      let sent = '';
      for await (const chunk of dotStuff(chunks)) sent += Buffer.from(chunk).toString();
      const stuffed = `\r\n${text}`.replace(/\r\n\./g, '\r\n..').slice(2);
      assert.equal(sent, `${stuffed}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`);
    }),
  );
});
