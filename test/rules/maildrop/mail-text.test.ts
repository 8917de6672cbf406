/** What maildrop's patterns see of a mail; long fields are looked at once, from one end to the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayAddresses } from '../../../rules/maildrop/addresses.ts';
import { MailText } from '../../../rules/maildrop/mail-text.ts';

test('groups that hold nobody are shown', () => {
  const shown: readonly [value: string, display: string][] = [
    ['undisclosed-recipients:;', 'undisclosed-recipients: ;'],
    ['a@x.example, Nobody : \t;', 'a@x.example, Nobody: ;'],
    ['One:;, Two: ;', 'One: ;, Two: ;'],
    ['Some: b@x.example;', 'Some: b@x.example;'],
  ];
  for (const [value, display] of shown) assert.equal(displayAddresses(value), display);
});

test('a long field of one sort of character ends: nothing is looked at from every place of it', () => {
  const length = 2_000_000;
  assert.equal(displayAddresses('a'.repeat(length)).length, length);
  const blanks = `Subject: a${' '.repeat(length)}b`;
  const text = new MailText(Buffer.from(`${blanks}\r\n\r\nBody.\r\n`));
  const areas = { header: true, partHeaders: false, body: true };
  assert.deepEqual([...text.lines(areas)], [blanks, 'Body.\r']);
  assert.deepEqual([...text.lines(areas)], [blanks, 'Body.\r']);
});
