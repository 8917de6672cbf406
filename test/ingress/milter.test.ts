/** The milter door as an MTA meets it, packet by packet: old versions, declined steps, several sessions, bad input, miltertest. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type ActionName,
  actionBits,
  commandLetters,
  decodeReply,
  encodeCommand,
  encodePacket,
  type MilterCommand,
  type MilterReply,
  PacketReader,
  type StepName,
  stepBits,
  type Terms,
} from '../../core/net/milter/index.ts';
import { collect } from '../kit/command.ts';
import { randomSource } from '../kit/random.ts';
import { projectRoot, requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';

const plugin = join(projectRoot, 'test/interop/plugins/as-told.ts');

/** An MTA's side of a session. */
class Mta {
  readonly socket: Socket;
  readonly #reader = new PacketReader();
  readonly replies: MilterReply[] = [];
  closed = false;

  /** @param where a port on loopback, or a unix socket */
  constructor(where: number | string) {
    this.socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    this.socket.setNoDelay(true);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (chunk: Buffer) => {
      for (const packet of this.#reader.push(chunk)) this.replies.push(decodeReply(packet));
    });
  }

  send(...commands: MilterCommand[]): void {
    this.socket.write(Buffer.concat(commands.map(encodeCommand)));
  }

  /** Sends, and gives what comes up to the first reply that is no modification. */
  async ask(...commands: MilterCommand[]): Promise<MilterReply[]> {
    this.replies.length = 0;
    this.send(...commands);
    await until('a reply', () => this.closed || this.replies.some(({ type }) => lastWords.has(type)));
    return [...this.replies];
  }

  async negotiate(
    version: number,
    steps: readonly StepName[] = [],
    actions: ReadonlySet<ActionName> = new Set(Object.keys(actionBits) as ActionName[]),
  ): Promise<Terms> {
    const [reply] = await this.ask({ type: 'negotiate', terms: { version, actions, steps: new Set(steps) } });
    assert.ok(reply?.type === 'negotiate');
    return reply.terms;
  }
}

const lastWords: ReadonlySet<string> = new Set([
  ...['continue', 'accept', 'discard', 'reject', 'tempfail', 'replyCode', 'negotiate', 'skip'],
]);

const client: MilterCommand = {
  type: 'connect',
  hostname: 'client.example.org',
  family: 'inet',
  port: 2525,
  address: '192.0.2.7',
};
const helo: MilterCommand = { type: 'helo', name: 'client.example.org' };
const mail: MilterCommand = { type: 'mail', path: '<ann@example.org>', arguments: [] };
const rcpt: MilterCommand = { type: 'rcpt', path: '<alice@example.test>', arguments: [] };
const field = (name: string, value: string): MilterCommand => ({
  type: 'header',
  name: Buffer.from(name),
  value: Buffer.from(value),
});
const end: MilterCommand = { type: 'endOfMessage', chunk: Buffer.alloc(0) };
const allSteps = Object.keys(stepBits) as StepName[];

describe('the milter door', () => {
  let server: TestServer;
  let port: number;
  const path = join(mkdtempSync(join(tmpdir(), 'mailfilter-milter-')), 'milter.sock');
  before(async () => {
    const listeners = {
      milter: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'inbound' },
      bare: { protocol: 'milter', address: '127.0.0.1:0', pipeline: 'bare' },
      local: { protocol: 'milter', address: `unix:${path}`, pipeline: 'bare' },
    };
    const pipelines = { inbound: [{ plugin }], bare: [], outbound: [] };
    const limits = { messageBytesMax: 300_000 };
    server = await startServer({ config: { listeners, pipelines, limits } });
    port = server.ports.milter!;
  });
  after(() => server.stop());

  for (const version of [2, 3, 4, 5, 6]) {
    test(`version ${version}: a message is edited`, async () => {
      const mta = new Mta(port);
      const terms = await mta.negotiate(version);
      assert.equal(terms.version, version);
      for (const command of [client, helo, mail, rcpt, field('X-Do', 'add')]) {
        assert.deepEqual(await mta.ask(command), [{ type: 'continue' }], command.type);
      }
      await mta.ask({ type: 'endOfHeaders' });
      await mta.ask({ type: 'body', chunk: Buffer.from('hello\r\n') });
      assert.deepEqual(await mta.ask(end), [
        { type: 'addHeader', name: 'X-Added', value: Buffer.from('at the end') },
        { type: 'continue' },
      ]);
      mta.send({ type: 'quit' });
      await until('the end', () => mta.closed);
    });
  }

  test('what no plugin has a hook for is declined, and what is asked for keeps its space', async () => {
    const bare = await new Mta(server.ports.bare!).negotiate(6, allSteps);
    const unanswered = [
      'noData',
      'noReplyConnect',
      'noReplyHelo',
      'noReplyMail',
      'noReplyRcpt',
      'noReplyHeader',
    ];
    const local = await new Mta(path).negotiate(6, allSteps);
    for (const terms of [bare, local])
      for (const step of [...unanswered, 'noBody']) assert.ok(terms.steps.has(step as StepName), step);
    const mta = new Mta(port);
    const full = await mta.negotiate(6, allSteps);
    const ofMessage = ['noReplyHeader', 'noReplyEndOfHeaders', 'noReplyBody'];
    for (const step of [...unanswered, 'noBody'])
      assert.equal(full.steps.has(step as StepName), ofMessage.includes(step), step);
    assert.ok(full.steps.has('leadingSpace'));
    for (const command of [client, helo, mail, rcpt, { type: 'data' } as const]) await mta.ask(command);
    mta.send(field('X-Do', ' add'), { type: 'body', chunk: Buffer.from('hello\r\n') });
    const [added] = await mta.ask(end);
    assert.deepEqual(added, { type: 'addHeader', name: 'X-Added', value: Buffer.from(' at the end') });
  });

  test('nothing is agreed on that was not offered, whatever the version', async () => {
    const random = randomSource('milter terms');
    const names = Object.keys(actionBits) as ActionName[];
    for (let round = 0; round < 30; round++) {
      const steps = allSteps.filter(() => random.below(2) === 0);
      const actions = new Set(names.filter(() => random.below(2) === 0));
      const mta = new Mta(round % 2 === 0 ? port : server.ports.bare!);
      const agreed = await mta.negotiate(2 + random.below(8), steps, actions);
      assert.ok(agreed.version >= 2 && agreed.version <= 6);
      for (const step of agreed.steps) assert.ok(steps.includes(step), step);
      for (const action of agreed.actions) assert.ok(actions.has(action), action);
      assert.equal(agreed.macros !== undefined, actions.has('setMacros'));
      mta.socket.destroy();
    }
  });

  test('the macros that are asked for are those that are used, by stage', async () => {
    const { macros } = await new Mta(port).negotiate(6);
    assert.deepEqual(macros?.connect, ['j', 'v', '{daemon_addr}', '{daemon_port}']);
    assert.deepEqual(macros?.mail, ['i', '{auth_authen}', '{auth_type}']);
    assert.deepEqual(macros?.endOfMessage, ['i']);
  });

  test('an offer of a version before 2, or one that is cut short, ends the connection', async () => {
    for (const octets of ['000000010000003f0000007f', '000000060000', '']) {
      const mta = new Mta(port);
      mta.socket.write(encodePacket('O', Buffer.from(octets, 'hex')));
      await until('the end', () => mta.closed);
      assert.deepEqual(mta.replies, []);
    }
  });

  for (const [told, missing] of [
    ['add', 'addHeaders'],
    ['change', 'changeHeaders'],
    ['large', 'changeBody'],
    ['sender', 'changeSender'],
    ['recipients', 'deleteRecipient'],
    ['quarantine', 'quarantine'],
  ] as const) {
    test(`an MTA without ${missing}: the message waits, and none of its edits is told`, async () => {
      const mta = new Mta(port);
      const actions = new Set((Object.keys(actionBits) as ActionName[]).filter((name) => name !== missing));
      await mta.negotiate(6, [], actions);
      const header = [
        field('X-Twice', '1'),
        field('Subject', 'x'),
        field('X-Twice', '2'),
        field('X-Do', told),
      ];
      for (const command of [client, helo, mail, rcpt, ...header]) await mta.ask(command);
      const replies = await mta.ask(end);
      assert.equal(replies.length, 1);
      const [reply] = replies;
      assert.ok(reply?.type === 'replyCode' && reply.lines.startsWith('451 4.3.0'), JSON.stringify(reply));
    });
  }

  test('steps that come though nobody needs them: unknown commands, aborts without a message, a last chunk', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6);
    await mta.ask(client);
    assert.deepEqual(await mta.ask({ type: 'unknown', line: 'EHLO?' }), [{ type: 'continue' }]);
    mta.send({ type: 'abort' });
    for (const command of [helo, mail, rcpt, { type: 'data' } as const, field('X-Do', 'size')])
      assert.deepEqual(await mta.ask(command), [{ type: 'continue' }], command.type);
    assert.deepEqual(await mta.ask({ type: 'endOfHeaders' }), [{ type: 'continue' }]);
    await mta.ask({ type: 'body', chunk: Buffer.from('hello\r\n') });
    assert.deepEqual(await mta.ask({ type: 'endOfMessage', chunk: Buffer.from('the end\r\n') }), [
      { type: 'addHeader', name: 'X-Size', value: Buffer.from('16') },
      { type: 'continue' },
    ]);
    mta.send({ type: 'abort' }, { type: 'abort' }, { type: 'quit' });
    await until('the end', () => mta.closed);
  });

  test('over TCP, octets that trickle in one by one make the same message', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6, allSteps);
    const octets = Buffer.concat([client, helo, mail, rcpt, field('X-Do', ' add')].map(encodeCommand));
    for (const octet of octets) mta.socket.write(Buffer.of(octet));
    await until(
      'the answers that hooks give',
      () => mta.replies.filter(({ type }) => type === 'continue').length === 4,
    );
    assert.deepEqual(await mta.ask(end), [
      { type: 'addHeader', name: 'X-Added', value: Buffer.from(' at the end') },
      { type: 'continue' },
    ]);
  });

  test('a body that nobody wants is not asked for again', async () => {
    const mta = new Mta(server.ports.bare!);
    const terms = await mta.negotiate(6, ['skip']);
    assert.ok(!terms.steps.has('noBody'));
    for (const command of [client, helo, mail, rcpt, field('X', 'y')]) await mta.ask(command);
    assert.deepEqual(await mta.ask({ type: 'body', chunk: Buffer.from('hello\r\n') }), [{ type: 'skip' }]);
    assert.deepEqual(await mta.ask(end), [{ type: 'continue' }]);
  });

  test('a body beyond the limit: no more of it, and a refusal', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6, ['skip']);
    for (const command of [client, helo, mail, rcpt, field('X', 'y')]) await mta.ask(command);
    const chunk = Buffer.alloc(65_535, 'x');
    const answers: string[] = [];
    for (let sent = 0; sent < 6; sent++) answers.push((await mta.ask({ type: 'body', chunk }))[0]!.type);
    assert.deepEqual(answers.slice(-2), ['skip', 'skip']);
    const [reply] = await mta.ask(end);
    assert.deepEqual(reply, { type: 'replyCode', lines: '552 5.3.4 message exceeds the size limit' });
  });

  test('several messages, aborted ones among them, and several sessions on one socket', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6);
    for (let session = 0; session < 2; session++) {
      for (const command of [client, helo]) await mta.ask(command);
      for (let message = 0; message < 2; message++) {
        for (const command of [mail, rcpt, field('X', 'y')]) await mta.ask(command);
        mta.send({ type: 'abort' });
        for (const command of [mail, rcpt, field('X-Do', 'quarantine')]) await mta.ask(command);
        assert.deepEqual(await mta.ask(end), [
          { type: 'quarantine', reason: 'as told' },
          { type: 'continue' },
        ]);
      }
      mta.send({ type: 'quitNewConnection' });
    }
    mta.socket.destroy();
  });

  test('where no answer is waited for, a message is edited all the same', async () => {
    const mta = new Mta(path);
    await mta.negotiate(6, allSteps);
    mta.send(client, helo, mail, rcpt, field('Authentication-Results', ' mx.example.test; spf=pass'));
    assert.deepEqual(await mta.ask(end), [
      { type: 'changeHeader', nth: 1, name: 'Authentication-Results', value: Buffer.alloc(0) },
      { type: 'continue' },
    ]);
  });

  test('after a refused MAIL nothing is taken', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6);
    const from: MilterCommand = { type: 'mail', path: '<mail-reject@example.org>', arguments: [] };
    await mta.ask(client);
    await mta.ask(helo);
    const [refused] = await mta.ask(from);
    assert.ok(refused?.type === 'replyCode' && refused.lines.startsWith('550-5.7.1 100% refused'));
    // Whatever the MTA does after that, nothing is taken.
    mta.send(rcpt);
    await until('the end', () => mta.closed);
  });

  const bad: [name: string, octets: Buffer][] = [
    ['a length of 4 GiB', Buffer.from([255, 255, 255, 255, 0x4f])],
    ['a length of nothing', Buffer.alloc(4)],
    ['another protocol', Buffer.from('EHLO client\r\n')],
    ['a command before the negotiation', encodeCommand(helo)],
    ['a second negotiation', Buffer.concat([negotiation(), negotiation()])],
    ['MAIL before connect', Buffer.concat([negotiation(), encodeCommand(mail)])],
    ['RCPT before MAIL', Buffer.concat([negotiation(), encodeCommand(client), encodeCommand(rcpt)])],
    ['a body before MAIL', Buffer.concat([negotiation(), encodeCommand(client), encodePacket('B', 'x')])],
    ['two clients', Buffer.concat([negotiation(), encodeCommand(client), encodeCommand(client)])],
    ['a flood of macros', Buffer.concat([negotiation(), ...macroFlood()])],
  ];
  for (const [name, octets] of bad) {
    test(`the connection is closed, and said so, for ${name}`, async () => {
      const said = () => server.output().split('milter-closed').length;
      const before = said();
      const mta = new Mta(port);
      mta.socket.write(octets);
      await until('the end', () => mta.closed);
      await until('the log line', () => said() > before);
    });
  }

  test('noise closes connections, never the server', async () => {
    const random = randomSource('milter door');
    const letters = Object.values(commandLetters);
    const said = [client, helo, mail, rcpt, field('X', 'y'), end].map(encodeCommand);
    for (let round = 0; round < 150; round++) {
      const mta = new Mta(port);
      const packets = [random.below(4) === 0 ? Buffer.alloc(0) : negotiation()];
      for (let count = random.below(12); count > 0; count--) {
        packets.push(
          random.below(3) === 0
            ? encodePacket(random.pick(letters), random.bytes(random.below(30)))
            : random.pick(said),
        );
      }
      mta.socket.end(Buffer.concat(packets));
      await until('the end', () => mta.closed);
    }
    const mta = new Mta(port);
    await mta.negotiate(6);
    assert.deepEqual(await mta.ask(client), [{ type: 'continue' }]);
    assert.doesNotMatch(server.output(), /milter-bug/);
    mta.socket.destroy();
  });

  test('miltertest', async (t) => {
    const program = requireProgram(t, 'miltertest');
    if (!program) return;
    const script = join(mkdtempSync(join(tmpdir(), 'mailfilter-miltertest-')), 'script.lua');
    writeFileSync(script, lua(port));
    const { code, stdout, stderr } = await collect(spawn(program, ['-vv', '-s', script]));
    assert.equal(code, 0, `said: ${stdout}${stderr}`);
    assert.match(stdout, /all is well/);
  });

  test('the end of the server ends sessions between two messages at once', async () => {
    const mta = new Mta(port);
    await mta.negotiate(6);
    await mta.ask(client);
    const begun = Date.now();
    assert.equal(await server.stop(), 0);
    await until('the end', () => mta.closed);
    assert.ok(Date.now() - begun < 10_000);
  });
});

function negotiation(): Buffer {
  const terms: Terms = { version: 6, actions: new Set(), steps: new Set() };
  return encodeCommand({ type: 'negotiate', terms });
}

function* macroFlood(): Generator<Buffer> {
  for (const letter of 'CHMRTENLB') {
    const macros = new Map([['a', 'x'.repeat(60_000)]]);
    yield encodeCommand({ type: 'macros', for: letter, macros });
  }
}

function lua(at: number): string {
  return `
conn = mt.connect("inet:${at}@127.0.0.1", 40, 0.25)
if conn == nil then error("connect") end
if mt.conninfo(conn, "client.example.org", "192.0.2.7") ~= nil then error("conninfo") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("conninfo reply") end
if mt.helo(conn, "client.example.org") ~= nil then error("helo") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("helo reply") end
mt.macro(conn, SMFIC_MAIL, "i", "TEST1")
if mt.mailfrom(conn, "<ann@example.org>") ~= nil then error("mail") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("mail reply") end
if mt.rcptto(conn, "<rcpt-tempfail@example.test>") ~= nil then error("rcpt") end
if mt.getreply(conn) ~= SMFIR_REPLYCODE then error("rcpt reply") end
if mt.rcptto(conn, "<alice@example.test>") ~= nil then error("rcpt") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("rcpt reply") end
if mt.header(conn, "Subject", "x") ~= nil then error("header") end
if mt.header(conn, "X-Do", "body") ~= nil then error("header") end
if mt.eoh(conn) ~= nil then error("eoh") end
if mt.bodystring(conn, "hello\\r\\n") ~= nil then error("body") end
if mt.eom(conn) ~= nil then error("eom") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then error("eom reply") end
if not mt.eom_check(conn, MT_BODYCHANGE) then error("no new body") end
mt.disconnect(conn)
mt.echo("all is well")
`;
}
