/** The real clamd with a database of our own: EICAR is found, clean mail is clean, and the end of the daemon is no pass. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { Json } from 'mailfilter/plugin';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/clamav/index.ts';
import { eicar, startClamd, streamMaxBytes } from '../kit/clamd.ts';
import { accepts } from '../kit/postfix.ts';
import { requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

const mail = (body: string) => `From: <ann@example.org>\nTo: <alice@example.test>\nSubject: x\n\n${body}\n`;
const attached = [
  'From: <ann@example.org>',
  'Subject: x',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: application/octet-stream; name=eicar.com',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.from(eicar).toString('base64'),
  '--b--',
  '',
].join('\n');

test('clamd finds, passes and refuses to look; the package clamscan is of the same opinion', async (t) => {
  const clamd = await startClamd(t);
  if (!clamd) return;
  const ways: Record<string, Json>[] = [{ socket: clamd.socket }, { host: '127.0.0.1', port: clamd.port }];
  for (const options of ways) {
    const tested = testPlugin(plugin, { options });
    const clean = await tested.message({ message: mail('hello') });
    assert.equal(clean.verdict.action, 'continue');
    assert.match(clean.message, /^X-Virus-Status: Clean$/m);
    const bad = await tested.message({ message: mail(eicar) });
    assert.equal(bad.verdict.action, 'reject');
    assert.match(bad.message, /^X-Virus-Status: Infected \(Own-Eicar/m);
    assert.equal((await tested.message({ message: attached })).verdict.action, 'reject');
    for (const length of [streamMaxBytes + 1, 5_000_000]) {
      const long = mail('lorem ipsum\n'.repeat(length / 12));
      await assert.rejects(tested.message({ message: long }), /raise StreamMaxLength/);
    }
    assert.equal((await tested.message({ message: mail('hello') })).verdict.action, 'continue');
  }
  const NodeClam = createRequire(import.meta.url)('clamscan') as new () => {
    init(options: object): Promise<{ scanStream(stream: Readable): Promise<{ isInfected: boolean | null }> }>;
  };
  const peer = await new NodeClam().init({
    clamdscan: { socket: clamd.socket, localFallback: false },
    preference: 'clamdscan',
  });
  for (const message of [mail('hello'), mail(eicar), attached]) {
    const { isInfected } = await peer.scanStream(Readable.from([Buffer.from(message)]));
    const { answer } = await testPlugin(plugin, { options: { socket: clamd.socket } }).message({ message });
    assert.equal((answer.result as { infected: boolean }).infected, isInfected);
  }
});

test('a server with clamd: the virus is refused, and so is everything, for now, when clamd is killed', async (t) => {
  const program = requireProgram(t, 'swaks');
  const clamd = program && (await startClamd(t));
  if (!clamd) return;
  const server = await startServer({ inbound: [{ plugin: 'clamav', options: { socket: clamd.socket } }] });
  t.after(() => server.stop());
  const send = (message: string) =>
    swaks(program, { port: server.ports.smtp!, to: 'alice@example.test', message });
  assert.match((await send(mail('hello'))).reply, /^250 /);
  assert.match((await send(attached)).reply, /^554 5\.7\.1 .*virus: Own-Eicar/);
  await until('the clean mail', () => server.messages('alice').length === 1);
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^X-Virus-Status: Clean$/m);
  await clamd.kill();
  await until('clamd to be gone', async () => !(await accepts(clamd.port)));
  assert.match((await send(mail('hello'))).reply, /^451 4\.3\.0 /);
  assert.equal(server.messages('alice').length, 1);
  await until('the log', () => server.output().includes('daemon-down'));
});
