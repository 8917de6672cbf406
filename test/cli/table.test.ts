/** Tables for eyes: alignment, width, and text that would disturb a terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayWidth, formatTable } from '../../src/cli/table.ts';

interface Row {
  readonly name: string;
  readonly size: number;
}
const columns = [
  { title: 'name', value: ({ name }: Row) => name, shrink: true },
  { title: 'size', value: ({ size }: Row) => size, align: 'right' as const },
];

const cases: readonly { name: string; rows: readonly Row[]; width?: number; want: string }[] = [
  { name: 'no rows', rows: [], want: 'name  size\n' },
  {
    name: 'left and right',
    rows: [
      { name: 'a', size: 1 },
      { name: 'longer', size: 20 },
    ],
    want: 'name    size\na          1\nlonger    20\n',
  },
  { name: 'wide characters', rows: [{ name: 'こん', size: 1 }], want: 'name  size\nこん     1\n' },
  { name: 'combining marks', rows: [{ name: 'e\u0301', size: 1 }], want: 'name  size\ne\u0301        1\n' },
  {
    name: 'cut to the width',
    rows: [{ name: 'abcdefghijklmnopqrstuvwxyz', size: 1 }],
    width: 20,
    want: 'name            size\nabcdefghijklm…     1\n',
  },
  {
    name: 'control characters',
    rows: [{ name: 'a\u001bb', size: 1 }],
    want: 'name    size\na\\x1bb     1\n',
  },
];
for (const { name, rows, width, want } of cases) {
  test(name, () => {
    assert.equal(formatTable(rows, columns, { width: width ?? 200 }), want);
  });
}

test('a column keeps a readable width, however narrow the terminal', () => {
  const [, line = ''] = formatTable([{ name: 'x'.repeat(50), size: 1 }], columns, { width: 5 }).split('\n');
  assert.equal(displayWidth(line.split(' ')[0] ?? ''), 12);
});
