/** Dovecot's list of UIDs: read as Dovecot writes it, written so that nothing of it is lost, and UIDs that no power loss gives twice. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseUidList, readUidList, writeUidList } from '../../src/mailbox/maildir/uid-list.ts';
import { TestAccount } from './test-account.ts';

const id = '0123456789abcdef0123456789abcdef';

const table = [
  {
    name: 'version 3, with fields of others',
    text: `3 V1700000000 N12 G${id} Pextra\n3 :a.b.c,S=1,W=2\n7 W20 P0007 S10 :d:2,S\n`,
    want: {
      uidValidity: 1700000000,
      uidNext: 12,
      mailboxId: id,
      headerFields: 'Pextra',
      records: [
        { uid: 3, base: 'a.b.c,S=1,W=2', fields: '' },
        { uid: 7, base: 'd', fields: 'W20 P0007 S10' },
      ],
    },
  },
  {
    name: 'records beyond the next UID of the header, as Dovecot appends them',
    text: `3 V1 N2 G${id}\n1 :a\n2 :b\n5 :c\n`,
    want: { uidNext: 6 },
  },
  {
    name: 'a line that a crash cut off',
    text: `3 V1 N2 G${id}\n1 :a\n2 :b`,
    want: { records: [{ uid: 1, base: 'a', fields: '' }] },
  },
  {
    name: 'UIDs that do not ascend',
    text: `3 V1 N9 G${id}\n4 :a\n4 :b\n3 :c\n`,
    want: { records: [{ uid: 4, base: 'a', fields: '' }] },
  },
  { name: 'version 1', text: '1 77 5\n1 a:2,S\n4 b\n', want: { uidValidity: 77, uidNext: 5, mailboxId: '' } },
] as const;

for (const { name, text, want } of table) {
  test(`a list of UIDs: ${name}`, () => {
    assert.partialDeepStrictEqual(parseUidList(text), want);
  });
}

for (const text of ['', '2 x\n', '3 N1\n', 'garbage', '\0'.repeat(100), '3 V99999999999 N1\n']) {
  test(`no list of UIDs: ${JSON.stringify(text.slice(0, 20))}`, () => {
    assert.equal(parseUidList(text), undefined);
  });
}

test('what was read is written the same', (t) => {
  const directory = temporary(t);
  const text = `3 V1700000000 N12 G${id} Pextra\n3 :a\n7 W20 P0007 S10 :d\n`;
  writeUidList(directory, parseUidList(text)!, true);
  assert.equal(readFileSync(join(directory, 'dovecot-uidlist'), 'utf8'), text);
});

const text = (n: number) => `Subject: ${n}\n\nbody\n`;

test('after a power loss that took the end of the list no UID is given twice, within a boot none is left out', async (t) => {
  const account = new TestAccount('maildir');
  t.after(() => account.close());
  await account.append('INBOX', [text(1), text(2), text(3)]);
  const before = readUidList(account.path)!;
  await account.reopen();
  await account.append('INBOX', [text(4)]);
  assert.equal((await account.look('INBOX')).at(-1)!.uid, 4);
  await account.engine.close();
  // The list as an older state of the disk has it, and another boot.
  writeUidList(account.path, { ...before, uidNext: 2, records: before.records.slice(0, 1) }, true);
  const reserved = join(account.path, 'mailfilter-uids');
  writeFileSync(reserved, readFileSync(reserved, 'utf8').replace(/\S+\n$/, 'another-boot\n'));
  await account.reopen();
  const seen = await account.look('INBOX');
  assert.equal(seen.length, 4);
  assert.equal(seen[0]!.uid, 1);
  for (const { uid } of seen.slice(1)) assert.ok(uid > 4, `${uid} was another message's`);
});

test('Dovecot fields of a message and its POP3 id outlive our changes', async (t) => {
  const account = new TestAccount('maildir');
  t.after(() => account.close());
  await account.append('INBOX', [text(1), text(2)]);
  await account.engine.close();
  const list = readUidList(account.path)!;
  list.records[1] = { ...list.records[1]!, fields: 'P0000abcd' };
  writeUidList(account.path, list, false);
  await account.reopen();
  await account.with('INBOX', async (held) => {
    assert.equal(held.uidlOf(2), '0000abcd');
    await account.engine.expunge(held, [1], true);
  });
  await account.append('INBOX', [text(3)]);
  assert.match(readFileSync(join(account.path, 'dovecot-uidlist'), 'utf8'), /^2 P0000abcd :/m);
});

test('a lock that a dead program left is taken over', async (t) => {
  const account = new TestAccount('maildir');
  t.after(() => account.close());
  const { hostname } = await import('node:os');
  // No process has a number above the kernel's limit.
  writeFileSync(join(account.path, 'dovecot-uidlist.lock'), `4194999:${hostname()}`);
  await account.append('INBOX', [text(1)]);
  assert.equal((await account.look('INBOX')).length, 1);
});

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'uid-list-'));
  mkdirSync(join(directory, 'cur'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}
