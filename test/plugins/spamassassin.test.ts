/** The client of spamd: what it says on the wire, TLS, compression, errors; and how the plugin uses it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { inflateSync } from 'node:zlib';
import { MessageTooLargeError, SpamAssassinClient, SpamdError } from 'mailfilter/spamassassin-client';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/spamassassin/index.ts';
import { scriptedPair } from '../kit/scripted-smtp.ts';
import { answering, startStubDaemon } from '../kit/stub-daemon.ts';

const good = 'SPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\nSpam: True ; 7.5 / 5.0\r\n\r\nA,B_C\n';
const message = 'Subject: x\r\n\r\nhello\r\n';

test('what goes over the wire, and what comes back', async (t) => {
  let heard: Buffer = Buffer.alloc(0);
  const daemon = await startStubDaemon(
    t,
    answering(
      (all) => all.includes('hello'),
      (all) => {
        heard = all;
        return good;
      },
    ),
  );
  const client = new SpamAssassinClient({ port: daemon.port, user: 'ann' });
  assert.deepEqual(await client.symbols(message), {
    code: 0,
    message: 'EX_OK',
    spam: true,
    score: 7.5,
    threshold: 5,
    symbols: ['A', 'B_C'],
  });
  const length = Buffer.byteLength(message);
  assert.equal(
    heard.toString(),
    `SYMBOLS SPAMC/1.5\r\nUser: ann\r\nContent-length: ${length}\r\n\r\n${message}`,
  );
});

test('over TLS, compressed', async (t) => {
  const { certificate, key } = scriptedPair;
  let heard = Buffer.alloc(0);
  const server = createServer({ cert: certificate, key }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      const end = heard.indexOf('\r\n\r\n') + 4;
      const length = /Content-length: (\d+)/.exec(heard.toString('latin1'))?.[1];
      if (end > 3 && heard.length - end === Number(length)) socket.end(good);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const client = new SpamAssassinClient({ port, compress: true, tls: { ca: certificate } });
  assert.equal((await client.check(message)).score, 7.5);
  assert.match(heard.toString('latin1'), /^CHECK SPAMC\/1\.5\r\nCompress: zlib\r\n/);
  assert.equal(inflateSync(heard.subarray(heard.indexOf('\r\n\r\n') + 4)).toString(), message);
  const strangers = new SpamAssassinClient({ port, tls: true });
  await assert.rejects(strangers.check(message), /certificate/);
});

test('what spamd cannot do is an error with its code; too large is not asked', async (t) => {
  const daemon = await startStubDaemon(
    t,
    answering(
      () => true,
      () => 'SPAMD/1.0 76 Bad header line: (x)\r\n',
    ),
  );
  const client = new SpamAssassinClient({ port: daemon.port, maxSize: 100 });
  await assert.rejects(client.check(message), (error: SpamdError) => {
    return error instanceof SpamdError && error.code === 76;
  });
  const before = daemon.connections;
  await assert.rejects(client.check('x'.repeat(101)), MessageTooLargeError);
  assert.equal(daemon.connections, before);
  await assert.rejects(client.check(message, { user: 'ann\r\nX: y' }), /control characters/);
});

test('the plugin: the sender as Return-Path, the recipient as user where there is one', async (t) => {
  const heard: string[] = [];
  const report = ' 7.5 A_RULE  it is bad\n';
  const reply = `SPAMD/1.1 0 EX_OK\r\nContent-length: ${report.length}\r\nSpam: True ; 7.5 / 5.0\r\n\r\n${report}`;
  const daemon = await startStubDaemon(
    t,
    answering(
      (all) => all.includes('Hello.'),
      (all) => {
        heard.push(all.toString());
        return reply;
      },
    ),
  );
  const tested = testPlugin(plugin, { options: { servers: [daemon.address], perUser: true, factor: 2 } });
  const { answer } = await tested.message({ sender: 'ann@example.org' });
  assert.match(heard[0]!, /^REPORT SPAMC\/1\.5\r\nUser: alice@example\.test\r\n/);
  assert.match(heard[0]!, /\r\n\r\nReturn-Path: <ann@example\.org>\r\n/);
  assert.equal(answer.score, 15);
  assert.deepEqual(answer.symbols, [{ name: 'A_RULE', score: 15, text: 'it is bad' }]);
  await tested.message({ recipients: ['alice@example.test', 'bob@example.test'] });
  assert.doesNotMatch(heard[1]!, /^User:/m);
});
