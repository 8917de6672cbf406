/** What edits did to a header, told to an MTA and carried out there, is that header: for all MTAs, whatever the edits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyHeaderEdits } from '../../../core/mail/apply-edits.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import { HeaderBlock } from '../../../core/mail/header.ts';
import type { MilterModification } from '../../../core/net/milter/index.ts';
import { headerChanges } from '../../../src/ingress/milter/header-changes.ts';
import { fieldOctets, fieldValueOf } from '../../../src/ingress/milter/header-field.ts';
import { type RandomSource, randomSource } from '../../kit/random.ts';

const names = ['A', 'B', 'Subject'];

test('random edits of random headers', () => {
  const random = randomSource('milter header changes');
  for (let round = 0; round < 3000; round++) {
    const fields = Array.from({ length: random.below(6) }, (_, at) => `${random.pick(names)}: old ${at}`);
    const text = fields.map((field) => `${field}\r\n`).join('');
    const block = new HeaderBlock(Buffer.from(text), Buffer.from('\r\n'), text.length + 2);
    const edits = Array.from({ length: random.below(6) }, (_, at) => randomEdit(random, at));
    const header = applyHeaderEdits(block, edits);
    const want = header.items.map((item) => header.itemBytes(item).toString().trimEnd());
    const changes = headerChanges(header, false, 1);
    for (const buries of [false, true]) {
      const got = carriedOut(fields, changes, buries);
      assert.deepEqual(got, want, JSON.stringify({ fields, edits, changes, buries }));
    }
  }
});

function randomEdit(random: RandomSource, at: number): Edit {
  const name = random.pick(names);
  const value = `new ${at}`;
  const nth = 1 + random.below(3);
  return random.pick<Edit>([
    { type: 'addHeader', name, value },
    { type: 'insertHeader', index: 0, name, value },
    { type: 'insertHeader', index: random.below(6), name, value },
    { type: 'changeHeader', name, nth, value },
    { type: 'deleteHeader', name, nth },
    { type: 'deleteHeader', name, nth: 'all' },
  ]);
}

/**
 * As an MTA does it, with a Received field of its own above.
 * @param buries a deleted field still counts among those of its name
 */
function carriedOut(
  fields: readonly string[],
  changes: readonly MilterModification[],
  buries: boolean,
): string[] {
  const list: { text: string; gone: boolean }[] = ['Received: own', ...fields].map((text) => ({
    text,
    gone: false,
  }));
  for (const change of changes) {
    assert.ok('name' in change);
    const field = { text: `${change.name}: ${Buffer.from(change.value).toString()}`, gone: false };
    if (change.type === 'addHeader') list.push(field);
    else if (change.type === 'insertHeader') {
      // Places are those of fields that are there.
      const standing = list.filter(({ gone }) => !gone);
      const before = standing[change.index];
      list.splice(before === undefined ? list.length : list.indexOf(before), 0, field);
    } else {
      const named = list.filter(({ text, gone }) => text.startsWith(`${change.name}:`) && (buries || !gone));
      const found = named[change.nth - 1];
      assert.ok(found, `no field ${change.name} ${change.nth}`);
      if (change.value.length === 0) found.gone = true;
      else found.text = field.text;
    }
  }
  return list.filter(({ text, gone }) => !gone && text !== 'Received: own').map(({ text }) => text);
}

const values: [name: string, value: string, leadingSpace: boolean, want: string][] = [
  ['its own space', ' one', true, 'X: one\r\n'],
  ['no space', 'one', true, 'X:one\r\n'],
  ['a space that was taken off', 'one', false, 'X: one\r\n'],
  ['folds', ' one\n two\r\n\tthree', true, 'X: one\r\n two\r\n\tthree\r\n'],
  ['a line that would be another field', ' one\nEvil: two', true, 'X: one\r\n\tEvil: two\r\n'],
  ['a line that would end the header', ' one\n\nbody', true, 'X: one\r\n\t\r\n\tbody\r\n'],
  ['nothing', '', true, 'X:\r\n'],
];
for (const [name, value, leadingSpace, want] of values) {
  test(`a field from the MTA with ${name}`, () => {
    const octets = fieldOctets(Buffer.from('X'), Buffer.from(value), leadingSpace);
    assert.equal(octets.toString(), want);
    const safe = value.replaceAll('\r\n', '\n');
    if (!/\n[^ \t]/.test(safe)) assert.equal(fieldValueOf(octets, leadingSpace).toString(), safe);
  });
}
