/** The end of an mbox is replaced whole or mended, wherever a crash cuts, and what others append meanwhile stays. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mendMbox, replaceEnd } from '../../src/mailbox/mbox/rewrite.ts';

const before = 'From a@example.test Sat Nov 21 08:00:00 2026\nSubject: one\n\nfirst\n\n';
const oldEnd = 'From b@example.test Sat Nov 21 08:00:01 2026\nSubject: two\n\nsecond message\n\n';
const ends = {
  longer: `From b@example.test Sat Nov 21 08:00:01 2026\nSubject: two\nX-UID: 2\nStatus: RO\n\nsecond message\n\n`,
  shorter: 'From b@example.test Sat Nov 21 08:00:01 2026\n\nx\n\n',
  'as long': oldEnd.replace('two', 'TWO'),
  empty: '',
};
const foreign =
  'From c@example.test Sat Nov 21 08:00:02 2026\nSubject: three\n\nfrom procmail, longer than any of the cuts: ' +
  'x'.repeat(300) +
  '\n\n';

/** Every state that a crash can leave the mbox in, once the redo file lies on disk. */
function* cuts(end: string): Generator<[string, string]> {
  yield ['untouched', before + oldEnd];
  const longer = Math.max(0, end.length - oldEnd.length);
  const grown = before + oldEnd + '\0'.repeat(longer);
  for (let written = 0; written <= end.length; written += 7)
    yield [
      `${written} octets written`,
      before + end.slice(0, written) + grown.slice(before.length + written),
    ];
  yield ['all written', before + end + grown.slice(before.length + end.length)];
  yield ['all written and cut', before + end];
}

for (const [name, end] of Object.entries(ends)) {
  test(`a ${name} end, cut off by a crash at every place`, (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'mbox-rewrite-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'mbox');
    const redo = join(directory, '.mbox.redo');
    writeFileSync(path, before + oldEnd);
    // Without leave to write it stops when the redo file is there.
    const readOnly = openSync(path, 'r');
    assert.throws(() => replaceEnd(readOnly, redo, before.length, Buffer.from(end)));
    closeSync(readOnly);
    const saved = readFileSync(redo);
    for (const [cut, state] of cuts(end)) {
      for (const added of ['', foreign, 'From d@example.test Sat Nov 21 08:00:03 2026\n\nd\n\n']) {
        writeFileSync(path, state + added);
        writeFileSync(redo, saved);
        const fd = openSync(path, 'r+');
        assert.equal(mendMbox(fd, redo), true);
        assert.equal(mendMbox(fd, redo), false, 'it is mended once');
        closeSync(fd);
        assert.equal(
          readFileSync(path, 'latin1'),
          before + end + added,
          `${cut}, then ${added.length} octets`,
        );
        assert.ok(!existsSync(redo));
      }
    }
  });
}

test('a redo file that was cut off itself changes nothing', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mbox-rewrite-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'mbox');
  const redo = join(directory, '.mbox.redo');
  writeFileSync(path, before + oldEnd);
  const readOnly = openSync(path, 'r');
  assert.throws(() => replaceEnd(readOnly, redo, before.length, Buffer.from(ends.longer)));
  closeSync(readOnly);
  writeFileSync(redo, readFileSync(redo).subarray(0, -3));
  const fd = openSync(path, 'r+');
  mendMbox(fd, redo);
  closeSync(fd);
  assert.equal(readFileSync(path, 'latin1'), before + oldEnd);
});

test('a file that took the place of the mbox is not written to', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mbox-rewrite-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'mbox');
  const redo = join(directory, '.mbox.redo');
  writeFileSync(path, before + oldEnd);
  const readOnly = openSync(path, 'r');
  assert.throws(() => replaceEnd(readOnly, redo, before.length, Buffer.from(ends.longer)));
  writeFileSync(`${path}.new`, foreign);
  // The old file stays open, so that its inode number is not given again.
  const fd = openSync(`${path}.new`, 'r+');
  mendMbox(fd, redo);
  closeSync(fd);
  closeSync(readOnly);
  assert.equal(readFileSync(`${path}.new`, 'latin1'), foreign);
});
