/** clamav: what clamd says becomes a verdict, a header and a result. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testPlugin } from 'mailfilter/testing';
import plugin from '../../plugins/clamav/index.ts';
import { answering, startStubDaemon } from '../kit/stub-daemon.ts';

const isWhole = (heard: Buffer) => heard.subarray(-4).equals(Buffer.alloc(4));
const message = 'From: a@example.org\nX-Virus-Status: Clean\nSubject: x\n\nHello.\n';

const cases: {
  name: string;
  says: string;
  options?: Record<string, string | boolean>;
  action: string;
  header: RegExp;
  result: object;
}[] = [
  {
    name: 'clean',
    says: 'stream: OK\0',
    action: 'continue',
    header: /^X-Virus-Status: Clean$/m,
    result: { scanned: true, infected: false },
  },
  {
    name: 'a virus is refused',
    says: 'stream: Eicar-Test FOUND\0',
    action: 'reject',
    header: /^X-Virus-Status: Infected \(Eicar-Test\)$/m,
    result: { scanned: true, infected: true, viruses: ['Eicar-Test'] },
  },
  {
    name: 'a virus is held',
    says: 'stream: Eicar-Test FOUND\0',
    options: { action: 'quarantine' },
    action: 'quarantine',
    header: /^X-Virus-Status: Infected/m,
    result: { scanned: true, infected: true, viruses: ['Eicar-Test'] },
  },
  {
    name: 'a virus is marked',
    says: 'stream: Eicar-Test FOUND\0',
    options: { action: 'mark' },
    action: 'continue',
    header: /^X-Virus-Status: Infected/m,
    result: { scanned: true, infected: true, viruses: ['Eicar-Test'] },
  },
  {
    name: 'above StreamMaxLength, marked as unscanned and not as clean',
    says: 'INSTREAM size limit exceeded. ERROR\0',
    options: { tooLarge: 'mark' },
    action: 'continue',
    header: /^X-Virus-Status: Unscanned \(too large\)$/m,
    result: { scanned: false, reason: 'too large' },
  },
  {
    name: 'above StreamMaxLength, refused',
    says: 'INSTREAM size limit exceeded. ERROR\0',
    options: { tooLarge: 'reject' },
    action: 'reject',
    header: /^X-Virus-Status: Unscanned/m,
    result: { scanned: false, reason: 'too large' },
  },
];

for (const { name, says, options = {}, action, header, result } of cases) {
  test(`clamav: ${name}`, async (t) => {
    const daemon = await startStubDaemon(
      t,
      answering(isWhole, () => says),
      { unix: true },
    );
    const tested = testPlugin(plugin, { options: { socket: daemon.path, ...options } });
    const answer = await tested.message({ message });
    assert.equal(answer.verdict.action, action);
    assert.match(answer.message, header);
    assert.equal(answer.message.match(/^X-Virus-Status:/gm)?.length, 1);
    assert.deepEqual(answer.answer.result, { ...result, daemon: daemon.address });
  });
}

test('clamav: above StreamMaxLength is a failure that says what to do, and no fault of the daemon', async (t) => {
  const daemon = await startStubDaemon(
    t,
    answering(isWhole, () => 'INSTREAM size limit exceeded. ERROR\0'),
  );
  const tested = testPlugin(plugin, { options: { host: '127.0.0.1', port: daemon.port } });
  for (let round = 0; round < 5; round += 1) {
    await assert.rejects(tested.message({ message }), /raise StreamMaxLength/);
  }
  assert.equal(daemon.connections, 5);
});

const notClean: Record<string, string> = {
  'an error': "stream: Can't allocate memory ERROR\0",
  'an OK with more before it': 'stream: x stream: OK\0',
  'two answers': 'stream: OK\0stream: OK\0',
  'an answer without its end': 'stream: OK',
};
for (const [name, says] of Object.entries(notClean)) {
  test(`clamav: ${name} is not clean`, async (t) => {
    const daemon = await startStubDaemon(
      t,
      answering(isWhole, () => says),
    );
    const tested = testPlugin(plugin, { options: { servers: [daemon.address] } });
    await assert.rejects(tested.message({ message }), /no clamd answered/);
  });
}

test('clamav: an OK before the whole message was heard is not clean', async (t) => {
  const daemon = await startStubDaemon(t, (socket) =>
    socket.once('data', () => {
      socket.pause();
      socket.end('stream: OK\0');
    }),
  );
  const tested = testPlugin(plugin, { options: { servers: [daemon.address] } });
  const long = message.padEnd(20_000_000, 'lorem ipsum\n');
  await assert.rejects(tested.message({ message: long }), /said OK before it had seen the whole message/);
});

test('clamav: what goes to clamd is the message, octet by octet', async (t) => {
  const heard: Buffer[] = [];
  const daemon = await startStubDaemon(
    t,
    answering(isWhole, (all) => {
      heard.push(all);
      return 'stream: OK\0';
    }),
  );
  await testPlugin(plugin, { options: { servers: [daemon.address] } }).message({ message });
  const [all] = heard;
  assert.equal(all!.subarray(0, 10).toString(), 'zINSTREAM\0');
  let at = 10;
  let text = '';
  for (;;) {
    const length = all!.readUInt32BE(at);
    if (length === 0) break;
    text += all!.subarray(at + 4, at + 4 + length).toString('latin1');
    at += 4 + length;
  }
  assert.equal(text, message.replaceAll('\n', '\r\n'));
});
