/** How replies are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../../../core/base/errors.ts';
import { formatReply, spoolFailure } from '../../../src/ingress/smtp/replies.ts';
import { diskFull } from '../../kit/fake-flow.ts';

for (const [name, reply, want] of [
  ['one line', { code: 250, enhanced: '2.1.0', text: 'Ok' }, '250 2.1.0 Ok\r\n'],
  ['no status', { code: 354, text: 'go' }, '354 go\r\n'],
  ['no text', { code: 334, text: '' }, '334 \r\n'],
  ['lines', { code: 550, enhanced: '5.7.1', text: 'a\nb' }, '550-5.7.1 a\r\n550 5.7.1 b\r\n'],
  ['a class that is not the code’s', { code: 451, enhanced: '5.7.1', text: 'a' }, '451 4.7.1 a\r\n'],
  ['a status that is none', { code: 550, enhanced: 'x', text: 'a' }, '550 5.0.0 a\r\n'],
  ['line breaks of all kinds', { code: 550, text: 'a\r\nb\rc\u2028d\0' }, '550-a\r\n550 b c d \r\n'],
  ['beyond ASCII', { code: 550, text: 'ä€' }, '550 ?\r\n'],
] as const) {
  test(`reply: ${name}`, () => assert.equal(formatReply(reply, false), want));
}

test('reply: beyond ASCII in an SMTPUTF8 transaction', () => {
  assert.equal(formatReply({ code: 550, text: 'ä€' }, true), '550 ä€\r\n');
});

test('spool failures', () => {
  const code = (error: unknown) => [spoolFailure(error).code, spoolFailure(error).enhanced].join(' ');
  assert.equal(code(diskFull()), '452 4.3.1');
  assert.equal(code(Object.assign(new Error('full'), { code: 'ENOSPC' })), '452 4.3.1');
  assert.equal(code(new OperationalError('spool-io', 'eio', { temporary: true })), '451 4.3.0');
  assert.equal(code(new OperationalError('odd', 'odd', { temporary: false })), '554 5.3.0');
  assert.equal(code(new TypeError('bug')), '451 4.3.0');
});
