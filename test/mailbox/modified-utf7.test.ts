/** Names of folders as Maildir keeps them: RFC 3501 section 5.1.3. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../src/mailbox/modified-utf7.ts';

const table = [
  ['INBOX', 'INBOX'],
  ['R&D', 'R&-D'],
  ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
  ['Entwürfe', 'Entw&APw-rfe'],
  ['😀', '&2D3eAA-'],
] as const;

test('modified UTF-7: the examples of RFC 3501 section 5.1.3, and back', () => {
  for (const [text, encoded] of table) {
    assert.equal(encodeModifiedUtf7(text), encoded);
    assert.equal(decodeModifiedUtf7(encoded), text);
  }
  for (const bad of ['&', '&AP', '&A-', 'ü', '&!-']) assert.equal(decodeModifiedUtf7(bad), undefined, bad);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(decodeModifiedUtf7(encodeModifiedUtf7(text)), text);
      assert.match(encodeModifiedUtf7(text, '.'), /^[ -\-/-~]*$/);
    }),
  );
});
