/** parsed(): every real message, every odd one, and the limits. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { MailParser } from 'mailparser';
import { defaultLimits } from '../../../core/base/limits/settings.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { fileSource, memorySource, messageFiles, readMessage } from '../../kit/message-source.ts';
import { requireSuite } from '../../kit/require.ts';

function parse(message: string | Uint8Array, limits = defaultLimits) {
  return openMessage(memorySource(message), [], { limits }).parsed();
}
async function reasonOf(message: string, limits = defaultLimits): Promise<string | undefined> {
  const parsed = await parse(message, limits);
  return parsed.tooLarge ? parsed.reason : undefined;
}

for (const [folder, every] of [
  ['mime', 1],
  ['spam', 15],
] as const) {
  test(`the messages of ${folder} parse`, async (t) => {
    const path = requireSuite(t, folder);
    if (!path) return;
    const files = messageFiles(path).filter((_, at) => at % every === 0);
    for (const file of files) {
      const message = openMessage(memorySource(readMessage(file)), []);
      const parsed = await message.parsed();
      assert.ok(!parsed.tooLarge, file);
      const lines = parsed.headerLines.filter(({ key }) => key !== '');
      assert.ok(
        Math.abs(lines.length - message.headers.count) <= 2,
        `${file}: ${lines.length} ${message.headers.count}`,
      );
    }
  });
}

const multipart = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n';

test('parts', async () => {
  const parsed = await parse(
    `From: "J" <j@a.test>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0100\r\nSubject: s\r\n${multipart}--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n`,
  );
  assert.ok(!parsed.tooLarge);
  assert.equal(parsed.text, 'hello');
  assert.equal(parsed.date?.toISOString(), '2026-11-20T09:00:00.000Z');
  assert.equal(parsed.from?.value[0]?.address, 'j@a.test');
  assert.equal(parsed.attachments[0]?.filename, 'x.png');
  assert.deepEqual([...(parsed.attachments[0]?.content ?? [])], [0, 1, 2]);
});

test('a date that cannot be read is no date', async () => {
  const parsed = await parse('Date: yesterday\r\nSubject: x\r\n\r\nhello');
  assert.ok(!parsed.tooLarge);
  assert.equal(parsed.date, undefined);
  assert.equal(parsed.headers.has('date'), false);
});

test('the body of a message without a separator is its text', async () => {
  const parsed = await parse('Subject: x\r\nhello world\r\nsecond line\r\n');
  assert.ok(!parsed.tooLarge);
  assert.equal(parsed.text, 'hello world\nsecond line\n');
});

test('a message without a header is all text', async () => {
  for (const message of ['hello world\r\n', '\r\nhello world\r\n']) {
    const parsed = await parse(message);
    assert.ok(!parsed.tooLarge);
    assert.equal(parsed.text, 'hello world\n');
  }
});

function nested(depth: number): string {
  const open = Array.from(
    { length: depth },
    (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`,
  );
  return `${open.join('')}Content-Type: text/plain\r\n\r\nhello\r\n`;
}

const limited: { name: string; message: string; want: string | undefined }[] = [
  { name: 'nested 100 deep', message: nested(100), want: undefined },
  { name: 'nested 101 deep', message: nested(101), want: 'depth' },
  { name: 'nested 1,000 deep', message: nested(1000), want: 'depth' },
  {
    name: 'messages within messages',
    message: `${'Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n'.repeat(1000)}A: 1\r\n\r\nx`,
    want: 'depth',
  },
  { name: 'many parts', message: `${multipart}${'--b\r\n\r\nx\r\n'.repeat(10_001)}--b--\r\n`, want: 'parts' },
  { name: 'a long field', message: `To: ${'a@b.test, '.repeat(60_000)}\r\n\r\nx`, want: 'header' },
  {
    name: 'a long part header',
    message: `${multipart}--b\r\n${'A: 1\r\n'.repeat(200_000)}\r\nx\r\n--b--`,
    want: 'header',
  },
  {
    name: 'a prototype key',
    message: '__proto__: x\r\nconstructor: y\r\nList-__proto__: z\r\n\r\nx',
    want: undefined,
  },
  { name: 'empty', message: '', want: undefined },
];
for (const { name, message, want } of limited) {
  test(`limits: ${name}`, async () => assert.equal(await reasonOf(message), want));
}

test('limits: size, of memory and of a file', async (t) => {
  const limits = { ...defaultLimits, parsedMessageBytesMax: 10 };
  assert.equal(await reasonOf('Subject: x\r\n\r\n', limits), 'size');
  const parsed = await openMessage(fileSource(t, 'Subject: x\r\n\r\n'), [], { limits }).parsed();
  assert.deepEqual(parsed, { tooLarge: true, reason: 'size' });
});

test('HTML: made into text while short and flat, handed on as it is otherwise', async () => {
  const html = 'Content-Type: text/html\r\n\r\n';
  const flat = await parse(`${html}<p>hello <b>world</b>`);
  assert.ok(!flat.tooLarge);
  assert.equal(flat.text, 'hello world');
  assert.equal(flat.html, '<p>hello <b>world</b>');
  const started = performance.now();
  for (const hard of [
    '<div>'.repeat(150_000),
    `${'<b>'.repeat(5000)}${'</i>'.repeat(100_000)}`,
    '<p>hello</p>'.repeat(100_000),
  ]) {
    const parsed = await parse(html + hard);
    assert.ok(!parsed.tooLarge);
    assert.equal(parsed.html, hard);
    assert.equal(parsed.text, '');
  }
  // Unbounded, the first alone takes ten seconds and more.
  assert.ok(performance.now() - started < 10_000);
});

test('an error within the parser is an answer, not the death of the thread', async (t) => {
  t.mock.method(MailParser.prototype as unknown as { createNode(): void }, 'createNode', () => {
    throw new TypeError('broken');
  });
  assert.equal(await reasonOf('Subject: x\r\n\r\nhello'), 'malformed');
});

test('a spool file that goes away is an error, not an empty message', async (t) => {
  const source = fileSource(t, 'Subject: x\r\n\r\nhello');
  const message = openMessage(source, []);
  rmSync(source.path);
  await assert.rejects(message.parsed(), { code: 'spool-unreadable', temporary: true });
  await assert.rejects(message.body().toArray(), { code: 'spool-unreadable' });
});
