/** Maildir delivery: whole or not at all, names and flags as other software reads them, folders that cannot escape. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { OperationalError } from '../../core/base/errors.ts';
import { createCopies } from '../../src/delivery/copy.ts';
import { store, storeNow, storeOnce } from '../../src/delivery/deliver.ts';
import { createFinder } from '../../src/delivery/find.ts';
import { createDirectorySync } from '../../src/mailbox/directory-sync.ts';
import { copyOf, memorySource, storeAction } from './copies.ts';

const message = 'From: Bob <bob@sender.test>\r\nSubject: one\r\n\r\nline one\r\nline two\r\n';
const stored =
  'Return-Path: <bob@sender.test>\nDelivered-To: alice@example.test\n' +
  'From: Bob <bob@sender.test>\nSubject: one\n\nline one\nline two\n';
let directory: string;
let root: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'maildir-'));
  root = join(directory, 'example.test', 'alice');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Paths of all files below, relative. */
function files(): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

const ways = [
  {
    name: 'at once',
    deliver: async (action: ReturnType<typeof storeAction>, text: string) =>
      storeNow(action, copyOf(action, memorySource(text)))!,
  },
  {
    name: 'asynchronously',
    deliver: (action: ReturnType<typeof storeAction>, text: string) =>
      store(action, copyOf(action, memorySource(text))),
  },
  {
    name: 'durably, from a spool file',
    deliver: (action: ReturnType<typeof storeAction>, text: string) => {
      const path = join(directory, `${action.id.replaceAll('/', '-')}.spool`);
      writeFileSync(path, text);
      return store(
        action,
        copyOf(action, { kind: 'file', path, length: text.length }),
        createDirectorySync(),
      );
    },
  },
];

for (const { name, deliver } of ways) {
  test(`INBOX is made on first use, for its owner alone, and holds the message in new (${name})`, async () => {
    const action = storeAction({ path: root });
    const result = await deliver(action, message);
    assert.equal(readFileSync(result.path, 'latin1'), stored);
    assert.equal(result.length, stored.length);
    assert.equal(statSync(root).mode & 0o777, 0o700);
    assert.equal(statSync(result.path).mode & 0o777, 0o600);
    const crlfLength = stored.replaceAll('\n', '\r\n').length;
    assert.deepEqual(files(), [join('new', `${action.name},S=${stored.length},W=${crlfLength}`)]);
  });
}

test('Return-Path fields of the message are removed, the null path is <>', () => {
  const action = storeAction({ path: root, sender: '' });
  const text = `Return-Path: <forged@x.test>\r\nreturn-path: again\r\n${message}`;
  const result = storeNow(action, copyOf(action, memorySource(text)))!;
  assert.equal(readFileSync(result.path, 'latin1'), stored.replace('bob@sender.test', ''));
});

test('a message without header keeps its body apart from our fields', () => {
  const action = storeAction({ path: root });
  const result = storeNow(action, copyOf(action, memorySource('only text\r\n')))!;
  assert.match(readFileSync(result.path, 'latin1'), /^Return-Path: .*\nDelivered-To: .*\n\nonly text\n$/);
});

test('copies with the same edits share the rendering, others do not', () => {
  const source = memorySource(message);
  const copies = createCopies({
    source,
    edits: [{ type: 'insertHeader', index: 0, name: 'Received', value: 'x' }],
    smtputf8: false,
  });
  const one = storeAction({ path: root });
  const two = storeAction({ path: root, deliveredTo: 'carol@example.test' });
  const three = storeAction({ path: root, edits: [{ type: 'addHeader', name: 'X-Own', value: 'yes' }] });
  const read = (action: typeof one) => readFileSync(storeNow(action, copies(action))!.path, 'latin1');
  assert.match(read(one), /^Return-Path.*\nDelivered-To: alice@example.test\nReceived: x\nFrom/);
  assert.match(read(two), /^Return-Path.*\nDelivered-To: carol@example.test\nReceived: x\nFrom/);
  assert.match(read(three), /Subject: one\nX-Own: yes\n\nline one/);
});

const flagTable = [
  { name: 'no flags', flags: [], want: /^new\// },
  { name: 'seen', flags: ['\\Seen'], want: /^cur\/.*:2,S$/ },
  {
    name: 'letters in order',
    flags: ['\\Seen', '\\Flagged', '\\Answered', '\\Draft', '\\Deleted'],
    want: /:2,DFRST$/,
  },
  { name: 'keywords get letters', flags: ['$Junk', '\\Seen', 'work'], want: /:2,Sab$/ },
  { name: 'the first keyword again', flags: ['$junk'], want: /:2,a$/ },
  { name: 'recent is not stored', flags: ['\\Recent'], want: /^new\// },
];

test('flags and keywords', () => {
  for (const { name, flags, want } of flagTable) {
    const action = storeAction({ path: root, flags });
    const { path } = storeNow(action, copyOf(action, memorySource(message)))!;
    assert.match(path.slice(root.length + 1), want, name);
  }
  assert.equal(readFileSync(join(root, 'dovecot-keywords'), 'utf8'), '0 $Junk\n1 work\n');
});

test('a 27th keyword is dropped and said so; a held lock is respected', () => {
  mkdirSync(root, { recursive: true });
  writeFileSync(
    join(root, 'dovecot-keywords'),
    Array.from({ length: 26 }, (_, i) => `${i} k${i}\n`).join(''),
  );
  const full = storeAction({ path: root, flags: ['k3', 'new'] });
  const result = storeNow(full, copyOf(full, memorySource(message)))!;
  assert.match(result.path, /:2,d$/);
  assert.deepEqual(result.droppedFlags, ['new']);
  rmSync(join(root, 'dovecot-keywords'));
  writeFileSync(join(root, 'dovecot-keywords.lock'), '');
  const held = storeAction({ path: root, flags: ['other'] });
  assert.deepEqual(storeNow(held, copyOf(held, memorySource(message)))!.droppedFlags, ['other']);
});

const folderTable = [
  { name: 'plain', folder: 'Junk', want: '.Junk' },
  { name: 'levels', folder: 'Lists/node', want: '.Lists.node' },
  { name: 'non-ASCII', folder: 'Entwürfe', want: '.Entw&APw-rfe' },
  { name: 'ampersand', folder: 'R&D', want: '.R&-D' },
  { name: 'a dot inside a level', folder: 'example.org', want: '.example&AC4-org' },
];

for (const { name, folder, want } of folderTable) {
  test(`a folder is made on request: ${name}`, () => {
    const action = storeAction({ path: root, folder, create: true });
    const result = storeNow(action, copyOf(action, memorySource(message)))!;
    assert.equal(result.path.slice(root.length + 1).split('/')[0], want);
    assert.ok(existsSync(join(root, want, 'maildirfolder')));
    assert.ok(existsSync(join(root, 'cur')), 'the Maildir itself is whole');
    assert.match(readFileSync(join(root, 'subscriptions'), 'utf8'), /^V\t2\n\n[^\n]+\n$/);
  });
}

for (const part of ['tmp', 'new', 'cur']) {
  test(`a folder that a power cut left without ${part} is made whole`, () => {
    const first = storeAction({ path: root, folder: 'Junk', create: true });
    storeNow(first, copyOf(first, memorySource(message)));
    rmSync(join(root, '.Junk', part), { recursive: true });
    const action = storeAction({
      path: root,
      folder: 'Junk',
      create: true,
      flags: part === 'cur' ? ['\\Seen'] : [],
    });
    const { path } = storeNow(action, copyOf(action, memorySource(message)))!;
    assert.ok(path.startsWith(join(root, '.Junk')) && existsSync(path));
  });
}

test('without create a missing folder means INBOX, and the result says so', () => {
  const action = storeAction({ path: root, folder: 'Nowhere' });
  const result = storeNow(action, copyOf(action, memorySource(message)))!;
  assert.equal(basename(join(result.path, '..', '..')), 'alice');
  assert.equal(result.fallback, 'no folder Nowhere');
  assert.ok(!existsSync(join(root, '.Nowhere')));
});

for (const folder of [
  '',
  '..',
  '../x',
  'a/../b',
  '/etc',
  'a//b',
  '.hidden',
  'a\0b',
  'a/.b',
  'x'.repeat(300),
  'a/'.repeat(40),
]) {
  test(`no folder: ${JSON.stringify(folder.slice(0, 20))}`, () => {
    const action = storeAction({ path: root, folder, create: true });
    assert.throws(
      () => storeNow(action, copyOf(action, memorySource(message))),
      (error) => error instanceof OperationalError && error.code === 'folder-name' && !error.temporary,
    );
    assert.ok(!existsSync(root) || files().length === 0);
  });
}

test('maildirsize is added to where it is kept, and not made where it is not', () => {
  const first = storeAction({ path: root });
  storeNow(first, copyOf(first, memorySource(message)));
  assert.ok(!existsSync(join(root, 'maildirsize')));
  writeFileSync(join(root, 'maildirsize'), '1000000S\n200 2\n');
  const second = storeAction({ path: root });
  storeNow(second, copyOf(second, memorySource(message)));
  assert.equal(readFileSync(join(root, 'maildirsize'), 'utf8'), `1000000S\n200 2\n${stored.length} 1\n`);
});

test('the date of arrival is the file time of a later delivery', () => {
  const action = storeAction({ path: root, internalDate: 1_000_000_000_000 });
  const { path } = storeNow(action, copyOf(action, memorySource(message)))!;
  assert.equal(statSync(path).mtimeMs, 1_000_000_000_000);
});

test('a failed delivery leaves nothing behind', async () => {
  const action = storeAction({ path: root });
  const broken = {
    kind: 'stream' as const,
    async *open(): AsyncGenerator<Uint8Array, { octets: number; crlfOctets: number }> {
      yield Buffer.from('half');
      throw new Error('disk on fire');
    },
  };
  await assert.rejects(store(action, broken), /disk on fire/);
  assert.deepEqual(files(), []);
});

test('storing once: what lies there whole is left, wherever the user moved it', async () => {
  const action = storeAction({ path: root });
  const copy = copyOf(action, memorySource(message));
  const first = storeNow(action, copy)!;
  assert.ok((await storeOnce(action, copy, createFinder())).present);
  mkdirSync(join(root, '.Archive', 'cur'), { recursive: true });
  const moved = join(root, '.Archive', 'cur', `${basename(first.path)}:2,S`);
  writeFileSync(moved, readFileSync(first.path));
  rmSync(first.path);
  assert.ok((await storeOnce(action, copy, createFinder())).present);
  assert.equal(files().filter((file) => file.includes(action.name)).length, 1);
});

for (const [name, damage] of Object.entries({
  'no data': '',
  'half of it': stored.slice(0, 40),
  'the length right, octets wrong': stored.replace('line two', 'line 2wo'),
  zeros: '\0'.repeat(stored.length),
})) {
  test(`storing once replaces what a crash left under our name: ${name}`, async () => {
    const action = storeAction({ path: root, flags: ['\\Seen'] });
    const copy = copyOf(action, memorySource(message));
    const { path } = storeNow(action, copy)!;
    writeFileSync(path, damage);
    const again = await storeOnce(action, copy, createFinder());
    assert.equal(again.path, path);
    assert.equal(readFileSync(path, 'latin1'), stored);
    assert.deepEqual(
      files().filter((file) => file.includes(action.name)),
      [path.slice(root.length + 1)],
    );
  });
}

test('a finder sees later deliveries, moves and older names', async () => {
  const finder = createFinder();
  const older = storeAction({ path: root, name: '1000000000.M1P1Q1.host' });
  const newer = storeAction({ path: root });
  const copy = copyOf(older, memorySource(message));
  storeNow(older, copy);
  assert.equal(await finder.inMaildir(root, newer.name), undefined);
  assert.ok(await finder.inMaildir(root, older.name), 'older than what was listed first');
  const absent = storeAction({ path: root });
  assert.equal(await finder.inMaildir(root, absent.name), undefined);
});
