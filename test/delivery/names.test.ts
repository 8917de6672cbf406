/** Names of Maildir files and folders: unique, and safe as names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uniqueName } from '../../src/delivery/names.ts';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../src/mailbox/modified-utf7.ts';

test('names of one moment differ, and hold no separator', () => {
  const names = Array.from({ length: 1000 }, () => uniqueName(1_800_000_000_123, 'mx/a:b,c.test'));
  assert.equal(new Set(names).size, 1000);
  for (const name of names) {
    assert.match(name, /^1800000000\.M123000P\d+R[0-9a-f]{16}Q\d+\.mx\\057a\\072b\\054c\.test$/);
  }
  assert.match(uniqueName(0, ''), /\.localhost$/);
});

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
