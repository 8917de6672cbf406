/** mbox delivery: locks that other programs see, quoting that loses nothing, appends undone on error. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { OperationalError } from '../../core/base/errors.ts';
import { store, storeNow, storeOnce, undo } from '../../src/delivery/deliver.ts';
import { createFinder } from '../../src/delivery/find.ts';
import { endOfMessage, fromLine, MboxQuoter, mboxFlagFields } from '../../src/mailbox/mbox/format.ts';
import { lockMbox, tryLockMbox } from '../../src/mailbox/mbox-lock.ts';
import { requireProgram } from '../kit/require.ts';
import { copyOf, memorySource, storeAction } from './copies.ts';

const message =
  'From: Bob <bob@sender.test>\r\nSubject: one\r\n\r\nline one\r\nFrom here\r\n>From there\r\nend\r\n';
const at = Date.UTC(2026, 10, 1, 2, 3, 4);
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mbox-'));
  path = join(directory, 'alice');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function mboxAction(overrides: Partial<ReturnType<typeof storeAction>> = {}) {
  return storeAction({ path, format: 'mbox', internalDate: at, ...overrides });
}

function expected(id: string, flags = ''): string {
  return (
    `From bob@sender.test Sun Nov  1 02:03:04 2026\nReturn-Path: <bob@sender.test>\nDelivered-To: alice@example.test\n` +
    `X-Mailfilter-Delivery: ${id}\n${flags}From: Bob <bob@sender.test>\nSubject: one\n\n` +
    'line one\n>From here\n>>From there\nend\n\n'
  );
}

test('two messages: From_ lines, quoting, an empty line between', async () => {
  const one = mboxAction();
  const two = mboxAction({ flags: ['\\Seen', '\\Flagged', 'work'] });
  storeNow(one, copyOf(one, memorySource(message)));
  await store(two, copyOf(two, memorySource(message)));
  const flags = 'Status: RO\nX-Status: F\nX-Keywords: work\n';
  assert.equal(readFileSync(path, 'latin1'), expected(one.id) + expected(two.id, flags));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(!existsSync(`${path}.lock`));
});

test('a spool file gives the same octets as memory', async () => {
  const spool = join(directory, 'spool');
  writeFileSync(spool, message);
  const action = mboxAction();
  await store(action, copyOf(action, { kind: 'file', path: spool, length: message.length }));
  assert.equal(readFileSync(path, 'latin1'), expected(action.id));
});

test('status fields from outside are removed', () => {
  const action = mboxAction();
  const text = `Status: RO\r\nX-Status: D\r\nX-Keywords: a\r\nX-UID: 7\r\nContent-Length: 3\r\nX-IMAPbase: 1 2\r\n${message}`;
  storeNow(action, copyOf(action, memorySource(text)));
  assert.equal(readFileSync(path, 'latin1'), expected(action.id));
});

for (const [name, tail] of Object.entries({
  'no line end': 'x',
  'no empty line': 'x\n',
  'all there': 'x\n\n',
})) {
  test(`the message before is closed: ${name}`, () => {
    writeFileSync(path, `From a Sun Nov  1 02:03:04 2026\n\n${tail}`);
    const action = mboxAction();
    storeNow(action, copyOf(action, memorySource(message)));
    assert.equal(
      readFileSync(path, 'latin1'),
      `From a Sun Nov  1 02:03:04 2026\n\nx\n\n${expected(action.id)}`,
    );
  });
}

test('a failed append is undone', async () => {
  const before = mboxAction();
  storeNow(before, copyOf(before, memorySource(message)));
  const action = mboxAction();
  const broken = {
    kind: 'stream' as const,
    async *open(): AsyncGenerator<Uint8Array, { octets: number; crlfOctets: number }> {
      yield Buffer.from('half');
      throw new Error('disk on fire');
    },
  };
  await assert.rejects(store(action, broken), /disk on fire/);
  assert.equal(readFileSync(path, 'latin1'), expected(before.id));
  assert.ok(!existsSync(`${path}.lock`));
});

test('undo takes back the last copy, and nothing once another follows', async () => {
  const one = mboxAction();
  const two = mboxAction();
  const first = storeNow(one, copyOf(one, memorySource(message)))!;
  const second = storeNow(two, copyOf(two, memorySource(message)))!;
  assert.equal(await undo(one, first), false);
  assert.equal(await undo(two, second), true);
  assert.equal(readFileSync(path, 'latin1'), expected(one.id));
});

test('storing once: whole copies stay, torn ones are followed by a whole one, nothing is truncated', async () => {
  const action = mboxAction();
  const copy = copyOf(action, memorySource(message));
  storeNow(action, copy);
  assert.ok((await storeOnce(action, copy, createFinder())).present);
  // A mail reader marked it as read.
  const read = readFileSync(path, 'latin1').replace('Subject: one\n', 'Subject: one\nStatus: RO\n');
  writeFileSync(path, read);
  assert.ok((await storeOnce(action, copy, createFinder())).present);
  assert.equal(readFileSync(path, 'latin1'), read);
  writeFileSync(path, expected(action.id).slice(0, -2));
  assert.ok((await storeOnce(action, copy, createFinder())).present, 'only line ends are missing');
  writeFileSync(path, `${expected(action.id).slice(0, -1)}\0From x`);
  assert.ok(
    !(await storeOnce(action, copy, createFinder())).present,
    'what follows would be read as part of it',
  );
  writeFileSync(path, expected(action.id).replace('Subject: one', 'Subject: two'));
  assert.ok(!(await storeOnce(action, copy, createFinder())).present, 'a field differs');
  writeFileSync(path, `x${expected(action.id)}`);
  assert.ok(!(await storeOnce(action, copy, createFinder())).present, 'no From_ line at the start of a line');
  const torn = expected(action.id).slice(0, -10);
  writeFileSync(path, torn);
  assert.ok(!(await storeOnce(action, copy, createFinder())).present);
  assert.equal(readFileSync(path, 'latin1'), `${torn}\n\n${expected(action.id)}`);
  const zeros = expected(action.id).replace(/line one[\s\S]*$/, (rest) => '\0'.repeat(rest.length));
  writeFileSync(path, zeros);
  assert.ok(!(await storeOnce(action, copy, createFinder())).present);
  assert.ok(readFileSync(path, 'latin1').endsWith(`\n\n${expected(action.id)}`));
});

test('storing once finds the copy after earlier mail was expunged', async () => {
  const finder = createFinder();
  const one = mboxAction();
  const two = mboxAction();
  storeNow(one, copyOf(one, memorySource(message)));
  storeNow(two, copyOf(two, memorySource(message)));
  assert.ok((await storeOnce(one, copyOf(one, memorySource(message)), finder)).present);
  writeFileSync(path, expected(two.id));
  assert.ok((await storeOnce(two, copyOf(two, memorySource(message)), finder)).present);
  assert.equal(readFileSync(path, 'latin1'), expected(two.id));
});

const folderTable = [
  { name: 'a folder', folder: 'Junk', want: '.alice/Junk' },
  { name: 'a folder in a folder', folder: 'Lists/node', want: '.alice/Lists.sbd/node' },
  { name: 'non-ASCII', folder: 'Entwürfe', want: '.alice/Entw&APw-rfe' },
];
for (const { name, folder, want } of folderTable) {
  test(`folders are files below a hidden directory: ${name}`, () => {
    const action = mboxAction({ folder, create: true });
    assert.equal(storeNow(action, copyOf(action, memorySource(message)))!.path, join(directory, want));
    assert.equal(readFileSync(join(directory, want), 'latin1'), expected(action.id));
  });
}

for (const folder of ['..', 'a/../../b', 'x.lock', 'x.sbd', '/abs', '']) {
  test(`no folder: ${JSON.stringify(folder)}`, () => {
    const action = mboxAction({ folder, create: true });
    assert.throws(() => storeNow(action, copyOf(action, memorySource(message))), OperationalError);
  });
}

test('without create a missing folder means INBOX', () => {
  const action = mboxAction({ folder: 'Nowhere' });
  const result = storeNow(action, copyOf(action, memorySource(message)))!;
  assert.equal(result.path, path);
  assert.equal(result.fallback, 'no folder Nowhere');
});

test('a dot lock of somebody else is waited for, a stale one is removed', async () => {
  writeFileSync(`${path}.lock`, '1');
  const action = mboxAction();
  assert.equal(storeNow(action, copyOf(action, memorySource(message))), undefined);
  await assert.rejects(lockMbox(path, 150), (error) => error instanceof OperationalError && error.temporary);
  setTimeout(() => rmSync(`${path}.lock`), 100);
  await store(action, copyOf(action, memorySource(message)));
  assert.equal(readFileSync(path, 'latin1'), expected(action.id));
  writeFileSync(`${path}.lock`, '1');
  utimesSync(`${path}.lock`, new Date(), new Date(Date.now() - 6 * 60_000));
  tryLockMbox(path)!.release();
  assert.ok(!existsSync(`${path}.lock`));
});

test('a dot lock that a full disk keeps from being written is not left behind', (t) => {
  const full = t.mock.method(fs, 'writeSync', () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  t.after(() => {
    full.mock.restore();
    syncBuiltinESMExports();
  });
  assert.throws(() => tryLockMbox(path), { code: 'ENOSPC' });
  assert.ok(!existsSync(`${path}.lock`));
  full.mock.restore();
  syncBuiltinESMExports();
  tryLockMbox(path)!.release();
});

test('a dot lock that is given back while it is looked at is no error', (t) => {
  writeFileSync(`${path}.lock`, '1');
  const open = fs.openSync;
  const read = t.mock.method(fs, 'openSync', (...given: Parameters<typeof open>) => {
    if (given[0] === `${path}.lock`) unlinkSync(given[0]);
    return open(...given);
  });
  syncBuiltinESMExports();
  try {
    assert.equal(tryLockMbox(path), undefined);
  } finally {
    read.mock.restore();
    syncBuiltinESMExports();
  }
  tryLockMbox(path)!.release();
});

test('a process that is killed while it makes the dot lock leaves none, and the next one is not kept from it', () => {
  writeFileSync(`${path}.new.lock`, '');
  const lock = tryLockMbox(path)!;
  assert.match(readFileSync(`${path}.lock`, 'latin1'), /^\d+\nmailfilter \S+ \S+\n$/);
  assert.ok(!existsSync(`${path}.new.lock`));
  lock.release();
});

test('what another user puts where the dot lock is made keeps no mail away, and no lock', () => {
  // In a sticky folder root alone could remove what is another's; a folder not even root removes unasked.
  mkdirSync(`${path}.new.lock`);
  const lock = tryLockMbox(path)!;
  assert.match(readFileSync(`${path}.lock`, 'latin1'), /^\d+\nmailfilter /);
  lock.release();
  assert.ok(!existsSync(`${path}.lock`));
  mkdirSync(`${path}.lock`);
  assert.equal(tryLockMbox(path), undefined, 'it may be somebody at work');
  utimesSync(`${path}.lock`, new Date(), new Date(Date.now() - 6 * 60_000));
  tryLockMbox(path)!.release();
});

test('a dot lock of ours whose process died is removed at once, that of a live one is not', () => {
  const dead = spawnSync('true').pid;
  const lockText = readLockText();
  writeFileSync(`${path}.lock`, lockText.replace(/^\d+/, String(dead)));
  tryLockMbox(path)!.release();
  writeFileSync(`${path}.lock`, lockText.replace(/^\d+/, '1'));
  assert.equal(tryLockMbox(path), undefined);
  writeFileSync(`${path}.lock`, lockText.replace(/^\d+/, '1').replace(/\S+\n$/, 'another-boot\n'));
  tryLockMbox(path)!.release();
  writeFileSync(`${path}.lock`, `${dead}\n`);
  assert.equal(tryLockMbox(path), undefined, 'of other programs only the age is known');
});

function readLockText(): string {
  const lock = tryLockMbox(path)!;
  const text = readFileSync(`${path}.lock`, 'latin1');
  lock.release();
  return text;
}

test('two deliveries of this process exclude one another', () => {
  const lock = tryLockMbox(path)!;
  assert.equal(tryLockMbox(path), undefined);
  lock.release();
  tryLockMbox(path)!.release();
});

test('our fcntl lock conflicts with that of another program, both ways', async (t) => {
  if (!requireProgram(t, 'python3')) return;
  const program =
    "import fcntl,sys\nf=open(sys.argv[1],'a')\ntry:\n fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\n print('free')\nexcept OSError:\n print('locked')\n";
  const ask = () => spawnSync('python3', ['-c', program, path], { encoding: 'utf8' }).stdout.trim();
  const lock = tryLockMbox(path)!;
  assert.equal(ask(), 'locked');
  // Reading the file and closing it must not give the lock away, as it would with a POSIX lock.
  readFileSync(path);
  assert.equal(ask(), 'locked');
  lock.release();
  assert.equal(ask(), 'free');
  const holder = spawn('python3', [
    '-c',
    "import fcntl,sys\nf=open(sys.argv[1],'a')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\nsys.stdin.readline()\n",
    path,
  ]);
  for await (const line of createInterface(holder.stdout)) {
    assert.equal(line, 'held');
    break;
  }
  assert.equal(tryLockMbox(path), undefined);
  assert.ok(!existsSync(`${path}.lock`), 'no dot lock is kept while the first lock is not ours');
  holder.stdin.end('\n');
  await new Promise((resolve) => holder.once('exit', resolve));
  tryLockMbox(path)!.release();
});

test('Python reads what we wrote', async (t) => {
  if (!requireProgram(t, 'python3')) return;
  for (let i = 0; i < 3; i += 1) {
    const action = mboxAction({ sender: i === 1 ? '' : '"odd name"@sender.test' });
    storeNow(action, copyOf(action, memorySource(message)));
  }
  const program =
    "import mailbox,sys\nb=mailbox.mbox(sys.argv[1])\nprint(len(b),[m['Subject'] for m in b],[m.get_from() for m in b])";
  const { stdout, stderr } = spawnSync('python3', ['-c', program, path], { encoding: 'utf8' });
  assert.match(
    stdout,
    /^3 \['one', 'one', 'one'\] \['"odd_name"@sender.test Sun Nov {2}1 02:03:04 2026', 'MAILER-DAEMON Sun/,
    stderr,
  );
});

test('From_ line and line ends as a table', () => {
  assert.equal(fromLine('a@b', Date.UTC(2026, 0, 31, 23, 59, 59)), 'From a@b Sat Jan 31 23:59:59 2026\n');
  assert.equal(fromLine('', 0), 'From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n');
  assert.equal(endOfMessage(Buffer.from('')), '');
  assert.equal(endOfMessage(Buffer.from('\n')), '\n');
  assert.equal(mboxFlagFields([]), '');
  assert.equal(mboxFlagFields(['\\Deleted', '\\Draft', '\\Answered']), 'X-Status: ATD\n');
});

test('quoting does not depend on where chunks end, and is undone by taking one sign away', () => {
  const piece = fc.constantFrom('From ', '>', '\n', 'F', 'Fro', 'rom ', 'x', '>From ', '\nFrom ', 'From');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.array(fc.nat(200), { maxLength: 8 }),
      (pieces, cuts) => {
        const text = pieces.join('');
        const whole = text.replace(/^(>*From )/gm, '>$1');
        const quoter = new MboxQuoter();
        const parts: Uint8Array[] = [];
        let start = 0;
        for (const cut of [...new Set(cuts)].filter((each) => each < text.length).sort((a, b) => a - b)) {
          parts.push(...quoter.quote(Buffer.from(text.slice(start, cut))));
          start = cut;
        }
        parts.push(...quoter.quote(Buffer.from(text.slice(start))), ...quoter.end());
        const want = `${whole}${whole === '' || whole.endsWith('\n') ? '' : '\n'}\n`;
        assert.equal(Buffer.concat(parts).toString(), want);
      },
    ),
    { numRuns: 2000 },
  );
});
