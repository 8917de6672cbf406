/** Messages as plugins see them: edits applied, nothing theirs to spoil. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addHeader, changeHeader, deleteHeader, replaceBody } from '../../../core/mail/edits.ts';
import { openMessage } from '../../../core/mail/open-message.ts';
import { messageBytes } from '../../../core/mail/read-header.ts';
import { fileSource, memorySource, readAll } from '../../kit/message-source.ts';

const text =
  'Received: x\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nTo: a@b.test,\r\n c@d.test\r\nReceived: y\r\n\r\nHello\r\n';

test('headers', (t) => {
  for (const source of [memorySource(text), fileSource(t, text)]) {
    const { headers, length } = openMessage(source, []);
    assert.equal(length, text.length);
    assert.equal(headers.count, 4);
    assert.equal(headers.get('to'), 'a@b.test, c@d.test');
    assert.deepEqual(headers.all('received'), ['x', 'y']);
    assert.equal(headers.has('X'), false);
    assert.equal(headers.get('x'), undefined);
    assert.equal(headers.decoded('SUBJECT'), 'grüße');
    assert.deepEqual(
      [...headers].map(({ name }) => name),
      ['Received', 'Subject', 'To', 'Received'],
    );
    assert.equal(
      Buffer.concat([...headers].map(({ raw }) => raw)).toString(),
      text.slice(0, text.indexOf('\r\n\r\n') + 2),
    );
  }
});

test('headers, body and raw show the edits', async (t) => {
  const edits = [
    deleteHeader('received'),
    changeHeader('Subject', 1, 'new'),
    addHeader('X', 'ü'),
    replaceBody('Bye\n'),
  ];
  for (const source of [memorySource(text), fileSource(t, text)]) {
    const message = openMessage(source, edits);
    assert.equal(message.headers.count, 3);
    assert.equal(message.headers.decoded('x'), 'ü');
    assert.equal((await readAll(message.body())).toString(), 'Bye\r\n');
    assert.equal((await readAll(message.body())).toString(), 'Bye\r\n', 'a new stream each time');
    const want = 'Subject: new\r\nTo: a@b.test,\r\n c@d.test\r\nX: =?utf-8?B?w7w=?=\r\n\r\nBye\r\n';
    assert.equal((await readAll(message.raw())).toString(), want);
    const parsed = await message.parsed();
    assert.ok(!parsed.tooLarge);
    assert.equal(parsed.subject, 'new');
    assert.equal(parsed.text, 'Bye\n');
  }
});

test('SMTPUTF8 messages get UTF-8 fields', () => {
  const { headers } = openMessage(memorySource(text), [addHeader('X', 'ü')], { smtputf8: true });
  assert.equal(headers.get('x'), 'ü');
});

test('what a plugin gets is its own: scribbling on it changes nothing', async () => {
  const source = memorySource(text);
  const body = new Uint8Array(Buffer.from('new body'));
  const message = openMessage(source, [replaceBody(body)]);
  for (const { raw } of message.headers) raw.fill(0);
  for await (const chunk of message.body()) (chunk as Buffer).fill(0);
  for await (const chunk of message.raw()) (chunk as Buffer).fill(0);
  assert.equal(messageBytes(source).toString(), text);
  assert.equal(Buffer.from(body).toString(), 'new body');
  const untouched = openMessage(source, []);
  for await (const chunk of untouched.body()) (chunk as Buffer).fill(0);
  assert.equal(messageBytes(source).toString(), text);
});

test('fields and chunks can be cloned into another thread', async () => {
  const message = openMessage(memorySource(text), []);
  const [field] = message.headers;
  const clone = structuredClone(field);
  assert.equal(clone?.value, 'x');
  assert.equal(clone?.raw.buffer.byteLength, clone?.raw.byteLength, 'no neighbours come along');
});

test('parsed once, by whoever asks', () => {
  const message = openMessage(memorySource(text), []);
  assert.equal(message.parsed(), message.parsed());
});

test('a large file streams in bounded pieces', async (t) => {
  const large = `A: 1\r\n\r\n${'x'.repeat(3 * 2 ** 20)}`;
  let length = 0;
  let largest = 0;
  for await (const chunk of openMessage(fileSource(t, large), []).body()) {
    length += (chunk as Buffer).length;
    largest = Math.max(largest, (chunk as Buffer).length);
  }
  assert.equal(length, 3 * 2 ** 20);
  assert.ok(largest <= 64 * 1024);
});

test('a body stream that is left early ends quietly', async (t) => {
  const stream = openMessage(fileSource(t, `A: 1\r\n\r\n${'x'.repeat(2 ** 20)}`), []).body();
  for await (const chunk of stream) {
    assert.ok((chunk as Buffer).length > 0);
    break;
  }
  assert.ok(stream.destroyed);
});
