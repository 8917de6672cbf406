/** Edits of headers and envelopes: order, counting, all or nothing, untouched octets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyEnvelopeEdits, applyHeaderEdits, checkEdit } from '../../../core/mail/apply-edits.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import {
  addHeader,
  addRecipient,
  changeHeader,
  changeSender,
  deleteHeader,
  deleteRecipient,
  insertHeader,
  replaceBody,
} from '../../../core/mail/edits.ts';
import type { Envelope } from '../../../core/mail/envelope.ts';
import { readHeader } from '../../../core/mail/read-header.ts';
import { render } from '../../../core/mail/render.ts';
import { memorySource } from '../../kit/message-source.ts';

function rendered(message: string, edits: readonly Edit[]): string {
  const { header, body } = render(memorySource(message), edits);
  assert.equal(body.kind, 'memory');
  const bytes = body.kind === 'memory' ? body.bytes : Buffer.alloc(0);
  return Buffer.concat([...header, bytes]).toString('latin1');
}

const message = 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\n\r\nbody\r\n';
const cases: { name: string; message?: string; edits: Edit[]; want: string }[] = [
  { name: 'none', edits: [], want: message },
  {
    name: 'add',
    edits: [addHeader('C', 'x')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\nC: x\r\n\r\nbody\r\n',
  },
  { name: 'insert at the top', edits: [insertHeader(0, 'C', 'x')], want: `C: x\r\n${message}` },
  {
    name: 'insert at 1',
    edits: [insertHeader(1, 'C', 'x')],
    want: 'A: 1\r\nC: x\r\nB: 2\r\n fold\r\nA: 3\r\n\r\nbody\r\n',
  },
  {
    name: 'insert past the end',
    edits: [insertHeader(9, 'C', 'x')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\nC: x\r\n\r\nbody\r\n',
  },
  {
    name: 'change the second',
    edits: [changeHeader('a', 2, 'x')],
    want: 'A: 1\r\nB: 2\r\n fold\r\na: x\r\n\r\nbody\r\n',
  },
  {
    name: 'change a missing one',
    edits: [changeHeader('A', 3, 'x')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\nA: x\r\n\r\nbody\r\n',
  },
  { name: 'delete the first', edits: [deleteHeader('a', 1)], want: 'B: 2\r\n fold\r\nA: 3\r\n\r\nbody\r\n' },
  { name: 'delete all', edits: [deleteHeader('A')], want: 'B: 2\r\n fold\r\n\r\nbody\r\n' },
  { name: 'delete a missing one', edits: [deleteHeader('A', 5), deleteHeader('X')], want: message },
  {
    name: 'each sees those before',
    edits: [deleteHeader('A', 1), changeHeader('A', 1, 'x')],
    want: 'B: 2\r\n fold\r\nA: x\r\n\r\nbody\r\n',
  },
  {
    name: 'change what was added',
    edits: [addHeader('C', 'x'), changeHeader('C', 1, 'y')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\nC: y\r\n\r\nbody\r\n',
  },
  { name: 'delete every field', edits: [deleteHeader('A'), deleteHeader('B')], want: '\r\nbody\r\n' },
  {
    name: 'a new body',
    edits: [replaceBody('new\nbody')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\n\r\nnew\r\nbody',
  },
  {
    name: 'the last body wins',
    edits: [replaceBody('x'), replaceBody('y')],
    want: 'A: 1\r\nB: 2\r\n fold\r\nA: 3\r\n\r\ny',
  },
  {
    name: 'no header: the separator is made',
    message: 'hello\r\n',
    edits: [insertHeader(0, 'C', 'x')],
    want: 'C: x\r\n\r\nhello\r\n',
  },
  {
    name: 'white space first cannot continue our field',
    message: ' x=pass\r\nA: 1\r\n\r\nb',
    edits: [insertHeader(0, 'C', 'x')],
    want: 'C: x\r\n\r\n x=pass\r\nA: 1\r\n\r\nb',
  },
  {
    name: 'missing separator is made where a field is added',
    message: 'A: 1\r\nhello\r\n',
    edits: [insertHeader(0, 'C', 'x')],
    want: 'C: x\r\nA: 1\r\n\r\nhello\r\n',
  },
  {
    name: 'missing separator stays missing without edits',
    message: 'A: 1\r\nhello\r\n',
    edits: [],
    want: 'A: 1\r\nhello\r\n',
  },
  {
    name: 'no body, no separator',
    message: 'A: 1\r\n',
    edits: [addHeader('C', 'x')],
    want: 'A: 1\r\nC: x\r\n',
  },
  { name: 'unended last field', message: 'A: 1', edits: [addHeader('C', 'x')], want: 'A: 1\r\nC: x\r\n' },
  { name: 'unended last field, new body', message: 'A: 1', edits: [replaceBody('x')], want: 'A: 1\r\n\r\nx' },
  { name: 'empty message', message: '', edits: [addHeader('C', 'x')], want: 'C: x\r\n' },
  { name: 'empty message, new body', message: '', edits: [replaceBody('x')], want: '\r\nx' },
  {
    name: 'broken lines keep their place',
    message: 'From me\r\nA: 1\r\nbroken\r\nB: 2\r\n\r\nx',
    edits: [changeHeader('B', 1, '3')],
    want: 'From me\r\nA: 1\r\nbroken\r\nB: 3\r\n\r\nx',
  },
  {
    name: 'added before a broken line',
    message: 'A: 1\r\nbroken\r\nB: 2\r\n\r\nx',
    edits: [addHeader('C', 'y')],
    want: 'A: 1\r\nC: y\r\nbroken\r\nB: 2\r\n\r\nx',
  },
  {
    name: 'bare LF lines keep theirs',
    message: 'A: 1\nB: 2\n\nx\n',
    edits: [addHeader('C', 'y')],
    want: 'A: 1\nB: 2\nC: y\r\n\nx\n',
  },
];
for (const { name, message: given, edits, want } of cases) {
  test(`edit: ${name}`, () => assert.equal(rendered(given ?? message, edits), want));
}

const refused: { name: string; edit: Edit; reason: RegExp }[] = [
  { name: 'line end in a value', edit: addHeader('A', 'x\r\nB: y'), reason: /line end/ },
  { name: 'LF in a value', edit: addHeader('A', 'x\nB: y'), reason: /line end/ },
  { name: 'empty line in a value', edit: addHeader('A', 'x\r\n\r\n y'), reason: /line end/ },
  { name: 'bare CR in a value', edit: addHeader('A', 'x\ry'), reason: /bare CR/ },
  { name: 'NUL in a value', edit: changeHeader('A', 1, 'x\0'), reason: /NUL/ },
  { name: 'line end in a name', edit: addHeader('A\r\nB', 'x'), reason: /name/ },
  { name: 'colon in a name', edit: insertHeader(0, 'A:', 'x'), reason: /name/ },
  { name: 'space in a name', edit: addHeader('A ', 'x'), reason: /name/ },
  { name: 'empty name', edit: deleteHeader(''), reason: /name/ },
  { name: '8-bit name', edit: addHeader('Ä', 'x'), reason: /name/ },
  { name: 'nth 0', edit: changeHeader('A', 0, 'x'), reason: /nth/ },
  { name: 'nth 1.5', edit: deleteHeader('A', 1.5), reason: /nth/ },
  { name: 'negative index', edit: insertHeader(-1, 'A', 'x'), reason: /index/ },
];
for (const { name, edit, reason } of refused) {
  test(`refused: ${name}`, () => {
    assert.match(checkEdit(edit) ?? '', reason);
    assert.throws(() => rendered(message, [addHeader('C', 'x'), edit]), {
      code: 'bad-edit',
      message: reason,
    });
  });
}

const name = fc.constantFrom('A', 'b', 'Subject', 'X-Long-Name');
const value = fc.stringMatching(/^[ -~]{0,30}$/);
const headerEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ type: fc.constant('addHeader' as const), name, value }),
  fc.record({ type: fc.constant('insertHeader' as const), index: fc.nat(6), name, value }),
  fc.record({ type: fc.constant('changeHeader' as const), name, nth: fc.integer({ min: 1, max: 4 }), value }),
  fc.record({
    type: fc.constant('deleteHeader' as const),
    name,
    nth: fc.oneof(fc.constant('all' as const), fc.integer({ min: 1, max: 4 })),
  }),
);
const line = fc.oneof(
  fc
    .tuple(name, fc.constantFrom(':', ' :', ': '), value, fc.constantFrom('\r\n', '\n', '\r\n fold\r\n'))
    .map((parts) => parts.join('')),
  fc.constantFrom(
    'broken\r\n',
    ': colon\r\n',
    'From x\r\n',
    '\x80: 8\r\n',
    'N\0: x\r\n',
    ' space\r\n',
    'A: \xff\r\n',
  ),
);
const block = fc.array(line, { maxLength: 8 }).map((lines) => lines.join(''));
const wholeMessage = fc
  .tuple(block, fc.constantFrom('\r\n', '\n', ''), fc.constantFrom('', 'body\r\n', ' x', 'A: b'))
  .map((parts) => parts.join(''));

test('property: what no edit touches comes out byte for byte, in order', () => {
  fc.assert(
    fc.property(wholeMessage, fc.array(headerEdit, { maxLength: 6 }), (given, edits) => {
      const source = memorySource(given);
      const header = applyHeaderEdits(readHeader(source), edits);
      const kept = header.items.filter((item) => typeof item === 'number');
      assert.deepEqual(
        kept,
        kept.toSorted((a, b) => a - b),
      );
      for (const item of kept) {
        const raw = header.itemBytes(item).toString('latin1');
        assert.equal(given.slice(header.block.starts[item], header.block.end(item)), raw);
      }
      assert.ok(rendered(given, edits).endsWith(given.slice(header.block.bodyStart)));
    }),
  );
});

test('property: no edits, no difference', () => {
  fc.assert(fc.property(wholeMessage, (given) => assert.equal(rendered(given, []), given)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const given = Buffer.from(bytes).toString('latin1');
      assert.equal(rendered(given, []), given);
    }),
  );
});

test('property: all at once is the same as one after the other', () => {
  fc.assert(
    fc.property(wholeMessage, fc.array(headerEdit, { maxLength: 5 }), (given, edits) => {
      // A block that has lost its last field is no header when it is read anew.
      let step = given;
      for (const edit of edits) {
        step = rendered(step, [edit]);
        fc.pre(readHeader(memorySource(step)).separator.length > 0);
      }
      assert.equal(rendered(given, edits), step);
    }),
  );
});

test('property: an added field is the field that a reader finds', () => {
  fc.assert(
    fc.property(wholeMessage, fc.string({ maxLength: 60 }), (given, text) => {
      const edit = insertHeader(0, 'X-Probe', text);
      fc.pre(checkEdit(edit) === undefined);
      const again = readHeader(memorySource(rendered(given, [edit])));
      assert.equal(again.countNamed('x-probe'), 1);
      assert.ok(again.isNamed(0, 'x-probe'));
    }),
  );
});

const envelope: Envelope = {
  sender: 'a@example.test',
  recipients: [
    { id: 'r1', address: 'b@example.test', original: 'b@example.test', notify: [] },
    { id: 'r3', address: 'c@bücher.example', original: 'c@bücher.example', notify: ['never'] },
  ],
  body: '7bit',
  smtputf8: false,
  requireTls: false,
};
const addresses = (edited: Envelope) => edited.recipients.map(({ id, address }) => `${id} ${address}`);

test('envelope: sender and recipients', () => {
  const edited = applyEnvelopeEdits(envelope, [
    changeSender(''),
    deleteRecipient('b@EXAMPLE.test'),
    addRecipient('d@Example.TEST', { NOTIFY: 'NEVER', ORCPT: 'rfc822;a+2Bb@example.test', 'X-MINE': 'x' }),
    addRecipient('d@example.test'),
    addHeader('A', 'not for the envelope'),
  ]);
  assert.equal(edited.sender, '');
  assert.deepEqual(addresses(edited), ['r3 c@bücher.example', 'r4 d@example.test']);
  assert.deepEqual(edited.recipients[1], {
    id: 'r4',
    address: 'd@example.test',
    original: 'd@example.test',
    notify: ['never'],
    orcpt: 'rfc822;a+b@example.test',
    parameters: { 'X-MINE': 'x' },
  });
  assert.deepEqual(edited.recipients[0], envelope.recipients[1]);
});

test('envelope: ESMTP parameters of a new sender take the place of those of the same name', () => {
  const begun: Envelope = { ...envelope, ret: 'full', envid: 'old', parameters: { 'X-A': '1', 'X-B': '2' } };
  const edited = applyEnvelopeEdits(begun, [
    changeSender('new@example.org', { ENVID: 'a+2Bb', BODY: '8BITMIME', 'X-B': true }),
  ]);
  const { sender, ret, envid, body, parameters } = edited;
  assert.deepEqual(
    { sender, ret, envid, body, parameters },
    {
      sender: 'new@example.org',
      ret: 'full',
      envid: 'a+b',
      body: '8bitmime',
      parameters: { 'X-A': '1', 'X-B': true },
    },
  );
});

test('envelope: equal addresses are one, however written', () => {
  assert.deepEqual(addresses(applyEnvelopeEdits(envelope, [deleteRecipient('"c"@xn--bcher-kva.example')])), [
    'r1 b@example.test',
  ]);
  assert.deepEqual(
    addresses(applyEnvelopeEdits(envelope, [deleteRecipient('B@example.test')])),
    addresses(envelope),
  );
});

test('envelope: the same value where nothing changed, ids are not used twice', () => {
  assert.equal(
    applyEnvelopeEdits(envelope, [deleteRecipient('nobody@example.test'), addHeader('A', 'x')]),
    envelope,
  );
  const removed = applyEnvelopeEdits(envelope, [
    deleteRecipient('c@bücher.example'),
    addRecipient('e@example.test'),
  ]);
  assert.deepEqual(addresses(removed), ['r1 b@example.test', 'r4 e@example.test']);
  const later = applyEnvelopeEdits(applyEnvelopeEdits(envelope, [deleteRecipient('c@bücher.example')]), [
    addRecipient('e@example.test'),
  ]);
  assert.deepEqual(addresses(later), ['r1 b@example.test', 'r4 e@example.test']);
  assert.equal(
    addresses(applyEnvelopeEdits(envelope, [addRecipient('e@example.test')], 9)).at(-1),
    'r10 e@example.test',
  );
});

test('envelope: no address, no edit', () => {
  for (const edit of [
    addRecipient('nobody'),
    addRecipient('a@b\r\nRCPT TO:<c@d>'),
    changeSender('<a@b>'),
    addRecipient(''),
  ]) {
    assert.throws(() => applyEnvelopeEdits(envelope, [deleteRecipient('b@example.test'), edit]), {
      code: 'bad-edit',
    });
  }
});
