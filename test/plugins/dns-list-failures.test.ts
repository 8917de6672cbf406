/** DNS lists behind servers that are dead, silent or mad: never a hit, never a pass, and no list holds up another's answer. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { createDns } from '../../core/net/dns.ts';
import dnsbl from '../../plugins/dnsbl/index.ts';
import uribl from '../../plugins/uribl/index.ts';

/** Answers each question with what `reply` makes of it; undefined is silence. */
async function server(t: TestContext, reply: (question: Buffer) => Buffer | undefined): Promise<string> {
  const socket: Socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const answer = reply(question);
    if (answer) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

/** A port where nobody listens. */
async function deadServer(): Promise<string> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return `127.0.0.1:${port}`;
}

const withCode = (code: number) => (question: Buffer) => {
  const answer = Buffer.from(question);
  answer[2] = 0x81;
  answer[3] = 0x80 | code;
  return answer;
};
const troubles: readonly [name: string, open: (t: TestContext) => Promise<string>][] = [
  ['dead', () => deadServer()],
  ['silent', (t) => server(t, () => undefined)],
  ['answering SERVFAIL', (t) => server(t, withCode(2))],
  ['answering REFUSED', (t) => server(t, withCode(5))],
  ['answering garbage', (t) => server(t, () => Buffer.from('garbage'))],
  ['cutting answers off', (t) => server(t, (question) => withCode(0)(question).subarray(0, 14))],
];

for (const [name, open] of troubles) {
  test(`lists behind a DNS server that is ${name}`, async (t) => {
    const dns = createDns({ servers: [await open(t)], timeoutMs: 300, clock: systemClock, log: silentLog });
    const message = { message: 'From: a@example.org\n\nhttp://example.com/\n' };
    const strict = { options: { zones: ['bl.test'] }, dns, timeoutSeconds: 60 };
    await assert.rejects(testPlugin(dnsbl, strict).connect());
    await assert.rejects(testPlugin(uribl, strict).message(message));
    const lenient = { ...strict, options: { zones: [{ zone: 'bl.test', onFailure: 'continue' }] } };
    const listed = await testPlugin(dnsbl, lenient).connect();
    assert.deepEqual(listed.answer.result, { listed: [], failed: ['bl.test'] });
    assert.equal(listed.verdict.action, 'continue');
    const led = await testPlugin(uribl, lenient).message(message);
    assert.deepEqual(led.answer.result, { names: 1, listed: [], failed: ['bl.test'] });
  });
}
