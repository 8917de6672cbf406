/** Accounts as IMAP and POP3 use them, through the threads: change feed, facts, searches, limits, and threads or indexes that die. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { accountLingerMs } from '../../core/base/limits/mailbox.ts';
import { silentLog } from '../../core/base/log.ts';
import type { Account, Folder } from '../../src/mailbox/mailbox.ts';
import { MailboxError } from '../../src/mailbox/mailbox-error.ts';
import { openMailboxes } from '../../src/mailbox/open-mailboxes.ts';
import type { SearchQuery } from '../../src/mailbox/search-query.ts';
import { FolderView } from '../../src/mailbox/view.ts';
import { until } from '../kit/server.ts';

type Format = 'maildir' | 'mbox';
const formats: readonly Format[] = ['maildir', 'mbox'];

interface House {
  readonly directory: string;
  readonly path: string;
  readonly account: Account;
  open(options?: { quotaBytes?: number }): Promise<Account>;
  /** Ends a thread as a crash would. */
  killThread(name: 'store' | 'index'): Promise<void>;
}

async function house(t: TestContext, format: Format, quotaBytes = 0): Promise<House> {
  const directory = mkdtempSync(join(tmpdir(), 'mailboxes-test-'));
  const path = join(directory, 'alice');
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (event: string) => warnings.push(event) };
  const workers: { name: string; worker: Worker }[] = [];
  const mailboxes = openMailboxes({
    startWorker(file, options) {
      const worker = new Worker(file, options);
      workers.push({ name: basename(file.pathname), worker });
      return worker;
    },
    indexDirectory: join(directory, 'index'),
    tombstones: join(directory, 'tombstones'),
    log,
  });
  const open = (options = {}) =>
    mailboxes.openAccount({ user: 'alice@example.test', format, path, quotaBytes, ...options });
  const account = await open();
  t.after(async () => {
    await mailboxes.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const killThread = async (name: string) => {
    await workers.find((each) => each.name.startsWith(name))!.worker.terminate();
  };
  return { directory, path, account, open, killThread };
}

async function append(account: Account, folder: string, text: string, flags: readonly string[] = []) {
  const upload = await account.upload();
  // In pieces, so that a line end is cut in two.
  const octets = Buffer.from(text.replaceAll('\n', '\r\n'));
  for (let at = 0; at < octets.length; at += 7) await upload.write(octets.subarray(at, at + 7));
  const { uids } = await account.append(folder, [{ upload, flags }]);
  return uids[0]!;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const mail = (fields: string, body = 'hello\n') => `${fields}\n\n${body}`;

for (const format of formats) {
  test(`${format}: what is appended is read back octet for octet, whole and as a header`, async (t) => {
    const { account } = await house(t, format);
    const text = mail(
      'Subject: one\nFrom: a@example.test',
      `From here\n>From there\n\n${'line\n'.repeat(5000)}`,
    );
    const uid = await append(account, 'INBOX', text, ['\\Seen', 'todo']);
    const folder = await account.openFolder('INBOX', { readOnly: false });
    const crlf = text.replaceAll('\n', '\r\n');
    const [whole] = await collect(folder.messages([uid], 'all'));
    assert.equal(Buffer.from(whole!.octets).toString(), crlf);
    const [header] = await collect(folder.messages([uid], 'header'));
    assert.equal(Buffer.from(header!.octets).toString(), 'Subject: one\r\nFrom: a@example.test\r\n\r\n');
    const snapshot = await folder.ensure([uid], ['size', 'internalDate', 'saveDate']);
    assert.equal(snapshot.data.columns.size[0], crlf.length);
    assert.ok(Math.abs(snapshot.data.columns.internalDate[0]! - Date.now()) < 60_000);
    assert.deepEqual(snapshot.flagNames(0), ['\\Seen', 'todo']);
    assert.deepEqual(await collect(folder.messages([uid + 1], 'all')), []);
    folder.close();
  });

  test(`${format}: all of several messages are appended or none`, async (t) => {
    const { account, directory } = await house(t, format);
    const uploads = await Promise.all([account.upload(), account.upload()]);
    for (const upload of uploads) await upload.write(Buffer.from('Subject: x\r\n\r\ny\r\n'));
    const many = Array.from({ length: 27 }, (_, index) => `keyword${index}`);
    const messages = uploads.map((upload, at) => ({ upload, flags: at === 1 ? many : [] }));
    await assert.rejects(account.append('INBOX', messages), isError('LIMIT'));
    assert.equal((await account.status('INBOX')).messages, 0);
    await assert.rejects(account.append('Nowhere', messages), isError('NONEXISTENT'));
    for (const upload of uploads) await upload.discard();
    const left = readdirSync(directory, { recursive: true }).filter((name) =>
      /uploads\/.|tmp\/./.test(String(name)),
    );
    assert.deepEqual(left, []);
  });

  test(`${format}: a session hears of what others do, and its numbers change when it lets them`, async (t) => {
    const { account, path } = await house(t, format);
    for (const n of [1, 2, 3]) await append(account, 'INBOX', mail(`Subject: ${n}`));
    const one = await account.openFolder('INBOX', { readOnly: false });
    const two = await account.openFolder('INBOX', { readOnly: false });
    const view = new FolderView(one.snapshot);
    let heard = 0;
    one.onChange(() => {
      heard += 1;
    });
    await two.store([2], { how: 'add', flags: ['\\Deleted'] });
    assert.deepEqual(view.update(one.snapshot, { expunge: false }).changed, [2]);
    assert.deepEqual(await two.expunge(), [2]);
    assert.ok(heard >= 2);
    assert.deepEqual(view.update(one.snapshot, { expunge: false }).expunged, []);
    assert.equal(view.seqOf(3), 3);
    assert.deepEqual(view.update(one.snapshot, { expunge: true }).expunged, [{ seq: 2, uid: 2 }]);
    assert.equal(view.seqOf(3), 2);
    const told = new Promise<number>((resolve) => {
      one.onChange(() => {
        if (one.snapshot.count === 3) resolve(performance.now());
      });
    });
    const began = performance.now();
    deliver(format, path, mail('Subject: from outside'));
    const latency = (await told) - began;
    t.diagnostic(`told after ${latency.toFixed(1)} ms`);
    assert.ok(latency < 1500);
    assert.deepEqual(view.update(one.snapshot, { expunge: false }).added, 1);
  });

  test(`${format}: \\Recent belongs to the session that asks first`, async (t) => {
    const { account } = await house(t, format);
    await append(account, 'INBOX', mail('Subject: 1'));
    const examined = await account.openFolder('INBOX', { readOnly: true });
    assert.deepEqual(examined.claimRecent(), { first: 1, end: 2 });
    const selected = await account.openFolder('INBOX', { readOnly: false });
    assert.deepEqual(selected.claimRecent(), { first: 1, end: 2 });
    assert.deepEqual(examined.claimRecent(), { first: 2, end: 2 });
    await append(account, 'INBOX', mail('Subject: 2'));
    assert.deepEqual(selected.claimRecent(), { first: 2, end: 3 });
    assert.equal((await account.status('INBOX')).recent, 0);
  });

  test(`${format}: a conditional store leaves what changed since alone`, async (t) => {
    const { account } = await house(t, format);
    for (const n of [1, 2]) await append(account, 'INBOX', mail(`Subject: ${n}`));
    const folder = await account.openFolder('INBOX', { readOnly: false });
    const since = folder.snapshot.highestModseq;
    await folder.store([1], { how: 'add', flags: ['\\Seen'] });
    const result = await folder.store(
      [1, 2, 9],
      { how: 'add', flags: ['\\Flagged'] },
      { unchangedSince: since },
    );
    assert.deepEqual(result.modified, [1]);
    assert.deepEqual(result.done, [2]);
    assert.deepEqual(result.snapshot.flagNames(0), ['\\Seen']);
    assert.ok(result.snapshot.modseq(1) > result.snapshot.modseq(0));
    assert.equal(result.snapshot.highestModseq, result.snapshot.modseq(1));
    await folder.remove([2]);
    assert.deepEqual([...(await folder.vanishedSince(since))], [2]);
    assert.deepEqual([...(await folder.vanishedSince(since, [1, 7]))], []);
    assert.deepEqual(
      [...(await folder.vanishedSince(1))],
      [2],
      'what is not remembered is all that is not there',
    );
  });

  test(`${format}: a deleted folder is gone for its sessions, a new one of its name is another`, async (t) => {
    const { account } = await house(t, format);
    const { mailboxId } = await account.create('Work');
    await append(account, 'Work', mail('Subject: 1'));
    const folder = await account.openFolder('Work', { readOnly: false });
    const { uidValidity } = folder.snapshot;
    await account.rename('Work', 'Play');
    assert.equal((await account.status('Play')).mailboxId, mailboxId);
    await account.delete('Play');
    await account.create('Work');
    const again = await account.openFolder('Work', { readOnly: false });
    assert.notEqual(again.mailboxId, mailboxId);
    assert.ok(again.snapshot.uidValidity > uidValidity);
    assert.equal(again.snapshot.count, 0);
    await folder.refresh();
    assert.ok(folder.isGone);
    await assert.rejects(folder.store([1], { how: 'add', flags: ['\\Seen'] }), MailboxError);
  });
}

function deliver(format: Format, path: string, text: string): void {
  if (format === 'mbox') {
    writeFileSync(path, `From x@example.test Sat Nov 21 08:00:00 2026\n${text}\n`, { flag: 'a' });
    return;
  }
  writeFileSync(join(path, 'tmp', 'x'), text);
  renameSync(join(path, 'tmp', 'x'), join(path, 'new', `${Math.floor(Date.now() / 1000)}.x.elsewhere`));
}

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MailboxError && error.responseCode === code;
}

test('searches: every key, as a table', async (t) => {
  const { account } = await house(t, 'maildir');
  const messages = [
    mail(
      'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from Wien\nFrom: Zoe <a@one.test>\nDate: Fri, 20 Nov 2026 23:30:00 -0800\nMessage-ID: <1@x>',
      'first BODY\n',
    ),
    mail(
      'Subject: Re: Grüße from Wien\nFrom: Bob <b@two.test>\nTo: al@example.test\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nIn-Reply-To: <1@x>\nMessage-ID: <2@x>\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable',
      'caf=E9 au lait, split=\n word\n',
    ),
    mail(
      'Subject: zebra\nFrom: c@three.test\nX-Empty:\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <3@x>\nContent-Type: multipart/mixed; boundary=b',
      '--b\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+QmFzZSBzaXh0eSBmb3VyPC9iPg==\n--b\nContent-Type: application/pdf; name="needle.pdf"\n\nzzz\n--b--\n',
    ),
  ];
  for (const [at, text] of messages.entries())
    await append(account, 'INBOX', text, at === 0 ? ['\\Seen'] : ['todo']);
  const folder = await account.openFolder('INBOX', { readOnly: false });
  const view = new FolderView(folder.snapshot);
  const size = Buffer.byteLength(messages[0]!.replaceAll('\n', '\r\n'));
  const today = new Date();
  const day = `${today.getFullYear()}-${String(today.getMonth() + 1).padStart(2, '0')}-${String(today.getDate()).padStart(2, '0')}`;
  const [facts] = await collect(folder.facts([1], ['emailId', 'threadId']));
  const table: [string, SearchQuery, number[]][] = [
    ['all', { key: 'all' }, [1, 2, 3]],
    ['seen', { key: 'flag', flag: '\\seen' }, [1]],
    ['keyword', { key: 'flag', flag: 'TODO' }, [2, 3]],
    ['unknown keyword', { key: 'flag', flag: 'nothing' }, []],
    ['not', { key: 'not', of: { key: 'flag', flag: '\\Seen' } }, [2, 3]],
    [
      'or',
      {
        key: 'or',
        of: [
          { key: 'uid', ranges: [{ first: 3, last: 9 }] },
          { key: 'flag', flag: '\\Seen' },
        ],
      },
      [1, 3],
    ],
    [
      'and',
      {
        key: 'and',
        of: [
          { key: 'text', value: 'wien' },
          { key: 'flag', flag: 'todo' },
        ],
      },
      [2],
    ],
    [
      'sequence',
      {
        key: 'sequence',
        ranges: [
          { first: 2, last: 3 },
          { first: 3, last: 3 },
        ],
      },
      [2, 3],
    ],
    ['encoded subject', { key: 'header', name: 'Subject', value: 'GRÜßE' }, [1, 2]],
    ['from', { key: 'header', name: 'from', value: 'two.test' }, [2]],
    ['header that is there', { key: 'header', name: 'x-empty', value: '' }, [3]],
    ['value of another header', { key: 'header', name: 'to', value: 'zoe' }, []],
    ['body', { key: 'body', value: 'first body' }, [1]],
    ['body does not see the header', { key: 'body', value: 'wien' }, []],
    ['quoted-printable in latin-1', { key: 'body', value: 'CAFÉ AU LAIT, split word' }, [2]],
    ['base64', { key: 'text', value: 'sixty four' }, [3]],
    ['header of a part', { key: 'text', value: 'needle.pdf' }, [3]],
    ['larger', { key: 'larger', octets: size }, [2, 3]],
    ['smaller', { key: 'smaller', octets: size + 1 }, [1]],
    ['sent on, in its own zone', { key: 'on', of: 'sent', day: '2026-11-20' }, [1]],
    ['sent since', { key: 'since', of: 'sent', day: '2026-11-21' }, [2]],
    ['sent before', { key: 'before', of: 'sent', day: '2026-11-20' }, [3]],
    ['arrived on', { key: 'on', of: 'internal', day }, [1, 2, 3]],
    ['saved before', { key: 'before', of: 'saved', day }, []],
    ['younger', { key: 'younger', seconds: 3600 }, [1, 2, 3]],
    ['older', { key: 'older', seconds: 3600 }, []],
    ['modseq', { key: 'modseq', least: folder.snapshot.modseq(1) }, [2, 3]],
    ['email id', { key: 'emailId', value: facts!.emailId }, [1]],
    ['thread id', { key: 'threadId', value: facts!.threadId }, [1, 2]],
  ];
  for (const [name, query, want] of table)
    assert.deepEqual([...(await folder.search(view, query))], want, name);
  const sorts: [string, Parameters<Folder['sort']>[2], number[]][] = [
    [
      'subject, then date',
      [
        { by: 'subject', reverse: false },
        { by: 'date', reverse: true },
      ],
      [2, 1, 3],
    ],
    ['date', [{ by: 'date', reverse: false }], [3, 1, 2]],
    ['from', [{ by: 'from', reverse: true }], [3, 2, 1]],
    ['display', [{ by: 'displayFrom', reverse: false }], [2, 3, 1]],
    ['size', [{ by: 'size', reverse: true }], [3, 2, 1]],
  ];
  for (const [name, criteria, want] of sorts)
    assert.deepEqual([...(await folder.sort(view, { key: 'all' }, criteria))], want, name);
  assert.deepEqual(await folder.thread(view, { key: 'all' }, 'references'), [
    { uid: 3, children: [] },
    { uid: 1, children: [{ uid: 2, children: [] }] },
  ]);
});

test('facts: ready to be sent, the same for a copy, and none for what is gone', async (t) => {
  const { account } = await house(t, 'maildir');
  const uid = await append(
    account,
    'INBOX',
    mail('Subject: hi\nFrom: A <a@b.test>\nMessage-ID: <1@x>', 'some\n  words\n'),
  );
  await account.create('Copies');
  const folder = await account.openFolder('INBOX', { readOnly: false });
  const copied = await folder.copy([uid, 99], 'Copies');
  assert.deepEqual(copied.from, [uid]);
  const copies = await account.openFolder('Copies', { readOnly: false });
  const fields = ['envelope', 'body', 'bodyStructure', 'preview', 'emailId', 'threadId'] as const;
  const [own] = await collect(folder.facts([uid, 99], fields));
  const [copy] = await collect(copies.facts(copied.to, fields));
  assert.deepEqual({ ...own, uid: 0 }, { ...copy, uid: 0 });
  assert.equal(
    own!.envelope,
    '(NIL "hi" (("A" NIL "a" "b.test")) (("A" NIL "a" "b.test")) (("A" NIL "a" "b.test")) NIL NIL NIL NIL "<1@x>")',
  );
  assert.match(own!.bodyStructure, /^\("TEXT" "PLAIN" \("CHARSET" "US-ASCII"\) NIL NIL "7BIT" 15 2 /i);
  assert.equal(own!.preview, 'some words');
  const moved = await copies.move(copied.to, 'INBOX');
  const [again] = await collect(folder.facts(moved.to, ['emailId']));
  assert.equal(again!.emailId, own!.emailId);
  assert.equal(again!.envelope, '');
});

test('quota: an append and a copy that do not fit are refused, and room that is freed may be used', async (t) => {
  const { account } = await house(t, 'maildir', 3000);
  const folder = await account.openFolder('INBOX', { readOnly: false });
  const text = mail('Subject: big', 'x'.repeat(1800));
  const uid = await append(account, 'INBOX', text);
  await assert.rejects(append(account, 'INBOX', text), isError('OVERQUOTA'));
  await assert.rejects(folder.copy([uid], 'INBOX'), isError('OVERQUOTA'));
  assert.deepEqual(await account.quota(), { usedBytes: text.length, limitBytes: 3000 });
  await folder.remove([uid]);
  await append(account, 'INBOX', text);
  assert.equal((await account.quota()).usedBytes, text.length);
});

test('folders: listed with their levels, uses and subscriptions, which outlive every index', async (t) => {
  const { account, directory, open } = await house(t, 'maildir');
  await account.create('Archive/2026');
  await account.create('Sent Mail', ['\\Sent']);
  await account.subscribe('Archive/2026');
  await account.subscribe('Not there');
  await account.setMetadata('Sent Mail', new Map([['/private/comment', 'mine']]));
  await account.setAcl('Sent Mail', 'bob', 'lr');
  account.close();
  await until('the account is closed', async () => {
    rmSync(join(directory, 'index'), { recursive: true, force: true });
    return true;
  });
  const again = await open();
  const infos = await again.list();
  assert.deepEqual(
    infos.map(({ name, exists, hasChildren, subscribed, specialUse }) => [
      name,
      exists,
      hasChildren,
      subscribed,
      specialUse,
    ]),
    [
      ['INBOX', true, false, false, []],
      ['Archive', false, true, false, []],
      ['Archive/2026', true, false, true, []],
      ['Not there', false, false, true, []],
      ['Sent Mail', true, false, false, ['\\Sent']],
    ],
  );
  await again.rename('Sent Mail', 'Out');
  assert.deepEqual([...(await again.metadata('Out'))], [['/private/comment', 'mine']]);
  assert.deepEqual([...(await again.acl('Out'))], [['bob', 'lr']]);
  await assert.rejects(again.metadata('Sent Mail'), isError('NONEXISTENT'));
  await assert.rejects(again.create('a/../.b'), isError('CANNOT'));
  await assert.rejects(again.delete('INBOX'), isError('CANNOT'));
});

test('a watch tells of folders and of messages, by whomever', async (t) => {
  const { account, path } = await house(t, 'maildir');
  await account.create('Work');
  const heard: string[] = [];
  const end = await account.watch(
    (change) => heard.push('folder' in change ? `${change.kind} ${change.folder}` : change.kind),
    'all',
  );
  await account.create('New');
  await until('a new folder is told of', () => heard.includes('folders'));
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(path, '.Foreign', part), { recursive: true });
  await account.setMetadata('Work', new Map([['/private/comment', 'x']]));
  await until('metadata is told of', () => heard.includes('metadata Work'));
  await until('mail from outside is told of', async () => {
    writeFileSync(join(path, '.Work', 'new', `${Date.now()}.${heard.length}.x`), mail('Subject: x'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    return heard.includes('messages Work');
  });
  end();
});

for (const damaged of ['folders.db', 'texts.db']) {
  test(`an index that is damaged in use (${damaged}) is made again`, async (t) => {
    const { account, directory } = await house(t, 'maildir');
    for (const n of [1, 2, 3]) await append(account, 'INBOX', mail(`Subject: number ${n}`), ['\\Seen']);
    const folder = await account.openFolder('INBOX', { readOnly: false });
    const view = new FolderView(folder.snapshot);
    const query: SearchQuery = { key: 'header', name: 'subject', value: 'number' };
    assert.equal((await folder.search(view, query)).length, 3);
    const before = folder.snapshot.highestModseq;
    const [user] = readdirSync(join(directory, 'index'));
    for (const suffix of ['', '-wal', '-shm'])
      writeFileSync(join(directory, 'index', user!, damaged + suffix), Buffer.alloc(20_000, 'garbage '));
    await append(account, 'INBOX', mail('Subject: number 4'));
    await folder.store([1], { how: 'remove', flags: ['\\Seen'] });
    const later = new FolderView(await folder.refresh());
    assert.equal((await folder.search(later, query)).length, 4);
    assert.ok(folder.snapshot.highestModseq > before);
    assert.deepEqual(folder.snapshot.flagNames(1), ['\\Seen']);
  });
}

test('an account is shared, and POP3 has the INBOX alone', async (t) => {
  const { account, open } = await house(t, 'maildir');
  const other = await open();
  const unlock = await account.lockForPop3();
  assert.ok(unlock);
  assert.equal(await other.lockForPop3(), undefined);
  unlock();
  assert.ok(await other.lockForPop3());
  const uid = await append(account, 'INBOX', mail('Subject: 1'));
  const folder = await other.openFolder('inbox', { readOnly: false });
  assert.equal(folder.name, 'INBOX');
  const uidValidity = folder.snapshot.uidValidity.toString(16).padStart(8, '0');
  assert.deepEqual(await folder.pop3Uidls([uid]), [`00000001${uidValidity}`]);
});

for (const thread of ['store', 'index'] as const) {
  test(`a ${thread} thread that dies costs its own work: who asks hears so, and the next login works`, async (t) => {
    const { account, open, killThread } = await house(t, 'maildir');
    await append(account, 'INBOX', mail('Subject: 1'));
    const folder = await account.openFolder('INBOX', { readOnly: false });
    const view = new FolderView(folder.snapshot);
    const query: SearchQuery = { key: 'text', value: 'hello' };
    assert.equal((await folder.search(view, query)).length, 1);
    await killThread(thread);
    await assert.rejects(async () => {
      await folder.refresh();
      await folder.search(view, query);
    }, isError('UNAVAILABLE'));
    folder.close();
    account.close();
    const again = await open();
    const reopened = await again.openFolder('INBOX', { readOnly: false });
    assert.equal((await reopened.search(new FolderView(reopened.snapshot), query)).length, 1);
  });
}

test('an account that closes while the server ends is closed first', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const directory = mkdtempSync(join(tmpdir(), 'mailboxes-test-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (event: string) => void warnings.push(event) };
  const mailboxes = openMailboxes({ indexDirectory: join(directory, 'index'), log });
  const path = join(directory, 'alice');
  const account = await mailboxes.openAccount({ user: 'a@b.test', format: 'maildir', path, quotaBytes: 0 });
  await account.list();
  account.close();
  t.mock.timers.tick(accountLingerMs);
  await mailboxes.close();
  assert.deepEqual(warnings, []);
});
