/** Rendering: byte for byte, in memory and from files, with CRLF and LF line ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addHeader, insertHeader, replaceBody } from '../../../core/mail/edits.ts';
import { LfConverter, toLf } from '../../../core/mail/line-ends.ts';
import { render, renderLf, renderStream } from '../../../core/mail/render.ts';
import { fileSource, memorySource, messageFiles, readAll, readMessage } from '../../kit/message-source.ts';
import { requireSuite } from '../../kit/require.ts';

for (const folder of ['mime', 'spam']) {
  test(`every message of ${folder} comes out byte for byte, and with LF ends as stored`, (t) => {
    const path = requireSuite(t, folder);
    if (!path) return;
    const files = messageFiles(path);
    assert.ok(files.length > 100);
    for (const file of files) {
      const bytes = readMessage(file);
      const source = memorySource(bytes);
      const { header, body, length } = render(source, []);
      const out = Buffer.concat([...header, body.kind === 'memory' ? body.bytes : Buffer.alloc(0)]);
      assert.ok(out.equals(bytes), file);
      assert.equal(length, bytes.length);
      const lf = renderLf(source, []);
      const stored = Buffer.concat(lf.chunks);
      assert.equal(stored.toString('latin1'), bytes.toString('latin1').replaceAll('\r\n', '\n'), file);
      assert.deepEqual(lf.length, { octets: stored.length, crlfOctets: bytes.length });
    }
  });
}

test('an untouched body is not copied', () => {
  const source = memorySource('A: 1\r\n\r\nbody');
  const { body } = render(source, [addHeader('B', '2')]);
  assert.ok(body.kind === 'memory' && body.bytes.buffer === source.buffer);
});

test('a file renders to a range of the file', (t) => {
  const source = fileSource(t, 'A: 1\r\n\r\nbody');
  const { header, body, length } = render(source, [insertHeader(0, 'B', '2')]);
  assert.equal(Buffer.concat(header).toString(), 'B: 2\r\nA: 1\r\n\r\n');
  assert.deepEqual(body, { kind: 'file', path: source.path, start: 8, end: 12 });
  assert.equal(length, 18);
});

const edits = [insertHeader(0, 'B', '2'), addHeader('C', '3')];
const large = `A: 1\r\n\r\n${'0123456789\r\n'.repeat(100_000)}`;

test('streams: memory and file, CRLF and LF, with the stored length', async (t) => {
  const want = large.replace('A: 1\r\n', 'B: 2\r\nA: 1\r\nC: 3\r\n');
  for (const source of [memorySource(large), fileSource(t, large)]) {
    assert.equal((await readAll(renderStream(source, edits, { lineEnds: 'crlf' }))).toString(), want);
    const stream = renderStream(source, edits, { lineEnds: 'lf' });
    const chunks: Uint8Array[] = [];
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) chunks.push(Buffer.from(step.value));
    assert.equal(Buffer.concat(chunks).toString(), want.replaceAll('\r\n', '\n'));
    assert.deepEqual(step.value, { octets: want.length - 100_004, crlfOctets: want.length });
  }
});

test('a new body replaces that of a file', async (t) => {
  const source = fileSource(t, large);
  const out = await readAll(renderStream(source, [replaceBody('x')], { lineEnds: 'crlf' }));
  assert.equal(out.toString(), 'A: 1\r\n\r\nx');
});

test('a file that is shorter than it was is an error, not a short message', async (t) => {
  const source = { ...fileSource(t, large), length: large.length + 1 };
  await assert.rejects(readAll(renderStream(source, [], { lineEnds: 'lf' })), { code: 'spool-unreadable' });
});

test('a stream that is left early closes its file', async (t) => {
  const source = fileSource(t, large);
  for (let i = 0; i < 50; i++) {
    for await (const chunk of renderStream(source, [], { lineEnds: 'crlf' })) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
  const open = process.report.getReport() as unknown as { libuv: { type: string; is_active: boolean }[] };
  assert.ok(open.libuv.filter(({ type }) => type === 'fs_req').length < 10);
});

test('property: LF by any path is the same, for any octets cut anywhere', () => {
  const octets = fc
    .array(fc.constantFrom('\r', '\n', '\r\n', 'a', '\0', '\xff'), { maxLength: 40 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(octets, fc.array(fc.nat(40), { maxLength: 5 }), (text, cuts) => {
      const bytes = Buffer.from(text, 'latin1');
      const want = text.replaceAll('\r\n', '\n');
      const whole = toLf(bytes);
      assert.equal(Buffer.from(whole.bytes).toString('latin1'), want);
      assert.equal(whole.octets, want.length);
      assert.equal(whole.crlfOctets, want.length + (want.split('\n').length - 1));
      const converter = new LfConverter();
      const borders = [0, ...cuts.toSorted((a, b) => a - b), bytes.length].map((at) =>
        Math.min(at, bytes.length),
      );
      const pieces = borders
        .slice(1)
        .map((end, at) => Buffer.from(converter.convert(bytes.subarray(borders[at], end))));
      assert.equal(Buffer.concat([...pieces, converter.end()]).toString('latin1'), want);
      assert.deepEqual(converter.length, { octets: whole.octets, crlfOctets: whole.crlfOctets });
    }),
  );
});
