/** Acceptance: on disk before it resolves, delivered at once, carried out again after a crash, exactly once. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationalError } from '../../core/base/errors.ts';
import type { StoreAction } from '../../src/delivery/store.ts';
import { createFileSystems, type FileSystems } from '../../src/flow/file-systems.ts';
import { createSpool } from '../../src/flow/spool.ts';
import { tryLockMbox } from '../../src/mailbox/mbox-lock.ts';
import { until } from '../kit/server.ts';
import {
  fakeQueue,
  maildirTexts,
  messageText,
  openAcceptance,
  planOf,
  smallSegment,
  storedText,
} from './acceptance-kit.ts';

let root: string;
let mail: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'accept-'));
  mail = join(root, 'mail', 'alice');
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const limits = { memoryMessageBytesMax: 64 * 1024, memoryTotalBytesMax: 1024 * 1024 };

async function spooled(text: string) {
  const sink = createSpool({ directory: join(root, 'spool'), limits }).open();
  await sink.write(Buffer.from(text));
  return sink.finish();
}

async function accept(
  { acceptance }: ReturnType<typeof openAcceptance>,
  id: string,
  { stores, bytes = 100 }: { stores?: Partial<StoreAction>[]; bytes?: number } = {},
): Promise<void> {
  const message = await spooled(messageText(id, bytes));
  await acceptance.accept({ accepted: planOf(id, root, stores), source: message.source, spooled: message });
}

/** Marks are written at the end of a turn of the event loop. */
async function marked(): Promise<void> {
  await sleep(5);
}

function journalFiles(ending: string): string[] {
  return readdirSync(join(root, 'journal')).filter((name) => name.endsWith(ending));
}

/** As after a power cut: nothing in memory, nothing is believed of what was marked as done. */
/** The first sync of a checkpoint fails. */
function failingOnce(): FileSystems {
  let failures = 1;
  const real = createFileSystems();
  return {
    ...real,
    sync: async (written) => {
      if (failures-- > 0) throw Object.assign(new Error('input/output error'), { code: 'EIO' });
      return real.sync(written);
    },
  };
}

async function startAfterPowerCut(overrides: Parameters<typeof openAcceptance>[1] = {}) {
  const next = openAcceptance(root, { bootId: `boot-${Math.random()}`, ...overrides });
  const report = await next.acceptance.recover();
  return { ...next, report };
}

test('a message lies in its mailbox when accept resolves, and the journal lets go of it after a checkpoint', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'ONE');
  assert.deepEqual(maildirTexts(mail), [storedText('ONE')]);
  await marked();
  assert.equal(journalFiles('.done').length, 1);
  await house.acceptance.drain();
  assert.equal(journalFiles('.done').length, 0);
  await house.acceptance.close();
  const { report } = await startAfterPowerCut();
  assert.deepEqual({ records: report.records, damage: report.damage }, { records: 0, damage: [] });
});

test('slots are released after delivery, and when acceptance refuses', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  let released = 0;
  const message = await spooled(messageText('ONE'));
  const counted = { ...message, release: () => (released += 1) };
  await house.acceptance.accept({ accepted: planOf('ONE', root), source: message.source, spooled: counted });
  assert.equal(released, 1);
  await house.acceptance.close();
  await assert.rejects(
    house.acceptance.accept({ accepted: planOf('TWO', root), source: message.source, spooled: counted }),
    OperationalError,
  );
  assert.equal(released, 2);
});

test('many at once share syncs and segments, all are delivered', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const ids = Array.from({ length: 60 }, (_, i) => `MANY${i}`);
  await Promise.all(ids.map((id) => accept(house, id, { bytes: 20_000 })));
  assert.deepEqual(maildirTexts(mail).sort(), ids.map((id) => storedText(id, 20_000)).sort());
  assert.ok(
    journalFiles('.segment').length >= (60 * 20_000) / smallSegment,
    'more than one segment was filled',
  );
  await house.acceptance.drain();
  await house.acceptance.close();
});

const lossTable = [
  { name: 'nothing of it', damage: () => rmSync(join(mail, '..'), { recursive: true }) },
  { name: 'names without data', damage: () => eachFile((path) => truncateSync(path, 0)) },
  { name: 'half of the data', damage: () => eachFile((path) => truncateSync(path, 50)) },
  {
    name: 'zeros for data',
    damage: () => eachFile((path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))),
  },
  { name: 'everything', damage: () => {} },
  {
    name: 'everything, moved by the user meanwhile',
    damage: () => {
      mkdirSync(join(mail, '.Archive', 'cur'), { recursive: true });
      eachFile((path) => renameSync(path, join(mail, '.Archive', 'cur', `${basename(path)}:2,S`)));
    },
  },
];

function eachFile(change: (path: string) => void): void {
  for (const name of readdirSync(join(mail, 'new'))) change(join(mail, 'new', name));
}

for (const { name, damage } of lossTable) {
  test(`a power cut leaves of unsynced mail: ${name}`, async () => {
    const house = openAcceptance(root);
    await house.acceptance.recover();
    const ids = ['A', 'B', 'C'];
    for (const id of ids) await accept(house, id);
    damage();
    const { report, acceptance } = await startAfterPowerCut();
    assert.equal(report.replayed, 3);
    assert.deepEqual(maildirTexts(mail).sort(), ids.map((id) => storedText(id)).sort());
    await acceptance.drain();
    await acceptance.close();
    assert.equal((await startAfterPowerCut()).report.records, 0);
  });
}

test('within the same boot mail that the user deleted does not come back', async () => {
  const house = openAcceptance(root, { bootId: 'same' });
  await house.acceptance.recover();
  await accept(house, 'GONE');
  await marked();
  eachFile((path) => rmSync(path));
  for (let start = 0; start < 2; start += 1) {
    const next = openAcceptance(root, { bootId: 'same' });
    const report = await next.acceptance.recover();
    assert.equal(report.alreadyDone, 1);
    assert.deepEqual(maildirTexts(mail), []);
  }
});

test('what our own servers expunged stays away after a power cut', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const message = await spooled(messageText('ONE'));
  const accepted = planOf('ONE', root);
  await house.acceptance.accept({ accepted, source: message.source, spooled: message });
  eachFile((path) => rmSync(path));
  const tombstones = join(root, 'journal', 'tombstones');
  mkdirSync(tombstones);
  writeFileSync(
    join(tombstones, `${Math.floor(Date.now() / 60_000)}-1`),
    `1 ${accepted.stores[0]!.name}\n1 torn li`,
  );
  writeFileSync(join(tombstones, '1-1'), '1 old\n');
  await startAfterPowerCut();
  assert.deepEqual(maildirTexts(mail), []);
  assert.equal(readdirSync(tombstones).length, 1, 'old files are removed');
});

test('a replay that is held up says of which transactions, until each is carried out', async (t) => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const message = await spooled(messageText('OUT'));
  const recipient = { id: 'r1', address: 'x@remote.test', original: 'x@remote.test', notify: [] };
  const work = { kind: 'relay', via: 'mx', recipients: [recipient] } as const;
  const accepted = { ...planOf('OUT', root, []), queue: [{ id: 'OUT/r1/0', work }] };
  await house.acceptance.accept({ accepted, source: message.source, spooled: message });
  await accept(house, 'LOCAL');
  const queued = Promise.withResolvers<void>();
  const queue = { ...fakeQueue(root), enqueue: () => queued.promise };
  const { report, acceptance } = await startAfterPowerCut({ queue, patienceMs: 100 });
  t.after(() => acceptance.close());
  await until('only what is held up', () => !report.underWay.has('LOCAL'));
  assert.deepEqual([...report.underWay.keys()], ['OUT']);
  queued.resolve();
  await until('nothing under way', () => report.underWay.size === 0);
});

test('a large message lies in a file beside the journal and is replayed from it', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'LARGE', { bytes: 300_000 });
  assert.equal(readdirSync(join(root, 'journal', 'messages')).length, 1);
  rmSync(mail, { recursive: true });
  writeFileSync(join(root, 'journal', 'messages', 'orphan.message'), 'x');
  const next = await startAfterPowerCut();
  assert.deepEqual(maildirTexts(mail), [storedText('LARGE', 300_000)]);
  assert.equal(readdirSync(join(root, 'journal', 'messages')).length, 1, 'what no record names is removed');
  await next.acceptance.drain();
  assert.deepEqual(readdirSync(join(root, 'journal', 'messages')), []);
});

test('a damaged message file is reported and kept, and the rest is replayed', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'LARGE', { bytes: 300_000 });
  await accept(house, 'SMALL');
  rmSync(mail, { recursive: true });
  const [name] = readdirSync(join(root, 'journal', 'messages'));
  truncateSync(join(root, 'journal', 'messages', name!), 1000);
  const { report, log } = await startAfterPowerCut();
  assert.equal(report.lost.length, 1);
  assert.equal(report.lost[0]!.id, 'LARGE');
  assert.deepEqual(maildirTexts(mail), [storedText('SMALL')]);
  assert.ok(log.lines.some(({ level, event }) => level === 'error' && event === 'journal-record-lost'));
  const aside = readdirSync(join(root, 'journal', 'damaged'));
  assert.deepEqual(
    aside.filter((each) => !each.endsWith('.segment')),
    [name],
  );
  assert.equal(aside.length, 2);
});

test('a record whose plan is lost does not keep the journal from being let go of after a failed sync', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const body = Buffer.alloc(200_000, 'new body\r\n');
  const message = await spooled(messageText('EDITED'));
  const accepted = { ...planOf('EDITED', root), edits: [{ type: 'replaceBody' as const, body }] };
  await house.acceptance.accept({ accepted, source: message.source, spooled: message });
  await accept(house, 'SMALL');
  for (const name of readdirSync(join(root, 'journal', 'messages'))) {
    rmSync(join(root, 'journal', 'messages', name));
  }
  const { acceptance, log, report } = await startAfterPowerCut({ fileSystems: failingOnce() });
  assert.equal(report.lost.length, 1);
  await acceptance.drain();
  assert.equal(log.lines.filter(({ event }) => event === 'checkpoint-failed').length, 1);
  assert.deepEqual(journalFiles('.done'), []);
});

test('a plan with a large new body survives', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const body = Buffer.alloc(200_000, 'new body\r\n');
  const message = await spooled(messageText('EDITED'));
  const plan = planOf('EDITED', root);
  const accepted = { ...plan, edits: [...plan.edits, { type: 'replaceBody' as const, body }] };
  await house.acceptance.accept({ accepted, source: message.source, spooled: message });
  const [before] = maildirTexts(mail);
  rmSync(mail, { recursive: true });
  await startAfterPowerCut();
  assert.deepEqual(maildirTexts(mail), [before]);
  assert.ok(before!.endsWith('new body\n') && before!.length > 150_000);
});

test('octets altered in shared memory are refused, and nothing is written', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const message = await spooled(messageText('ALTERED'));
  assert.ok(message.source.kind === 'memory');
  new Uint8Array(message.source.buffer)[30]! ^= 1;
  await assert.rejects(
    house.acceptance.accept({ accepted: planOf('ALTERED', root), source: message.source, spooled: message }),
    (error) => error instanceof OperationalError && error.code === 'storage-failed' && error.temporary,
  );
  assert.ok(house.log.lines.some(({ event }) => event === 'message-altered'));
  assert.equal((await startAfterPowerCut()).report.records, 0);
});

test('a copy that cannot be stored waits in the queue, and is stored once from there', async () => {
  const deferred: string[] = [];
  const house = openAcceptance(root, { onDeferred: ({ action }) => deferred.push(action.id) });
  await house.acceptance.recover();
  writeFileSync(join(root, 'mail'), 'a file where a folder should be');
  await accept(house, 'LATER');
  await house.acceptance.drain();
  assert.deepEqual(deferred, ['LATER/r1/0']);
  const entry = house.queue.entries.get('LATER/r1/0')!;
  assert.ok(entry.work.kind === 'store' && entry.lastError?.includes('mail'));
  rmSync(join(root, 'mail'));
  const action = entry.work.store as StoreAction;
  const source = house.queue.sources.get(entry.id)!;
  const copied = { ...source };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const result = await house.acceptance.store(action, entry.edits, copied);
    assert.equal(result.present, attempt === 0 ? undefined : true);
  }
  assert.deepEqual(maildirTexts(mail), [storedText('LATER')]);
});

test('a queue that cannot be written is tried again; until then the journal keeps the record', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  house.queue.failures = 1;
  const message = await spooled(messageText('RELAY'));
  const plan = planOf('RELAY', root);
  const accepted = {
    ...plan,
    queue: [{ id: 'RELAY/r2/0', work: { kind: 'relay' as const, via: 'mx', recipients: [] } }],
  };
  await house.acceptance.accept({ accepted, source: message.source, spooled: message });
  assert.equal(house.queue.entries.size, 0);
  const meanwhile = await startAfterPowerCut();
  assert.equal(meanwhile.report.replayed, 1);
  assert.ok(meanwhile.queue.entries.has('RELAY/r2/0'));
  await house.acceptance.drain();
  assert.ok(house.queue.entries.has('RELAY/r2/0'));
});

test('a folder name that cannot be goes to INBOX, never nowhere', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'ODD', { stores: [{ folder: '../../etc', create: true }] });
  assert.deepEqual(maildirTexts(mail), [storedText('ODD')]);
});

/** The descriptor under which this process holds the segment open. */
function descriptorOf(path: string): number {
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === path) return Number(fd);
    } catch {
      // The descriptor of the listing itself is gone by now.
    }
  }
  throw new Error(`${path} is not open`);
}

test('a failed write refuses those who wait, gives the segment up, and service resumes', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'BEFORE');
  await marked();
  const [done] = journalFiles('.done');
  closeSync(descriptorOf(join(root, 'journal', done!.replace(/done$/, 'segment'))));
  await assert.rejects(
    accept(house, 'REFUSED'),
    (error) => error instanceof OperationalError && error.temporary,
  );
  assert.ok(house.log.lines.some(({ event }) => event === 'journal-failed'));
  await accept(house, 'AFTER');
  rmSync(mail, { recursive: true });
  await startAfterPowerCut();
  assert.deepEqual(maildirTexts(mail).sort(), [storedText('AFTER'), storedText('BEFORE')]);
});

test('a failed checkpoint keeps the segment and writes the copies again', async () => {
  const house = openAcceptance(root, { fileSystems: failingOnce() });
  await house.acceptance.recover();
  await accept(house, 'ONE');
  await accept(house, 'BOX', { stores: [{ format: 'mbox', path: join(root, 'mail', 'box') }] });
  await house.acceptance.drain();
  assert.ok(house.log.lines.some(({ event }) => event === 'checkpoint-failed'));
  assert.equal(journalFiles('.done').length, 0, 'the second round succeeds');
  assert.deepEqual(maildirTexts(mail), [storedText('ONE')]);
});

test('where syncfs is not to be had, every copy is synced on its own, moved ones too', async () => {
  const fileSystems = createFileSystems(null);
  assert.equal(fileSystems.byPath, true);
  const house = openAcceptance(root, { fileSystems });
  await house.acceptance.recover();
  await accept(house, 'ONE');
  await accept(house, 'TWO');
  eachFile((path) => renameSync(path, join(mail, 'cur', `${basename(path)}:2,S`)));
  await house.acceptance.drain();
  assert.deepEqual(house.log.lines, []);
  assert.equal(journalFiles('.done').length, 0);
});

test('mbox: replay appends what is absent, and nothing twice', async () => {
  const box = join(root, 'mail', 'box');
  const stores = [{ format: 'mbox' as const, path: box }];
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'ONE', { stores });
  const afterOne = readFileSync(box, 'latin1');
  await accept(house, 'TWO', { stores });
  const both = readFileSync(box, 'latin1');
  await startAfterPowerCut();
  assert.equal(readFileSync(box, 'latin1'), both);
  writeFileSync(box, afterOne);
  await startAfterPowerCut();
  assert.equal(readFileSync(box, 'latin1'), both);
  writeFileSync(box, both.slice(0, -40));
  await startAfterPowerCut();
  const healed = readFileSync(box, 'latin1');
  assert.ok(healed.startsWith(both.slice(0, -40)), 'nothing is truncated');
  assert.ok(healed.endsWith(both.slice(afterOne.length)));
});

test('a locked mbox is waited for without holding up others', async () => {
  const box = join(root, 'box');
  const house = openAcceptance(root);
  await house.acceptance.recover();
  const lock = tryLockMbox(box)!;
  await accept(house, 'WAITS', { stores: [{ format: 'mbox', path: box }] });
  await accept(house, 'PASSES');
  assert.deepEqual(maildirTexts(mail), [storedText('PASSES')]);
  assert.equal(readFileSync(box, 'latin1'), '');
  lock.release();
  await house.acceptance.drain();
  assert.match(readFileSync(box, 'latin1'), /Subject: WAITS/);
});

test('durability file: stored and synced, no journal; a failure is the answer and leaves nothing', async () => {
  const house = openAcceptance(root, { durability: 'file' });
  await house.acceptance.recover();
  await accept(house, 'ONE');
  await accept(house, 'LARGE', { bytes: 300_000 });
  assert.deepEqual(maildirTexts(mail).sort(), [storedText('LARGE', 300_000), storedText('ONE')].sort());
  writeFileSync(join(root, 'mail', 'bob'), 'a file where a folder should be');
  const box = join(root, 'mail', 'box');
  const stores = [{}, { format: 'mbox' as const, path: box }, { path: join(root, 'mail', 'bob') }];
  await assert.rejects(
    accept(house, 'TWO', { stores }),
    (error) => error instanceof OperationalError && error.temporary,
  );
  assert.equal(maildirTexts(mail).length, 2);
  assert.equal(readFileSync(box, 'latin1'), '');
  house.queue.failures = 1;
  const message = await spooled(messageText('THREE'));
  const accepted = {
    ...planOf('THREE', root),
    queue: [{ id: 'q', work: { kind: 'relay' as const, via: 'mx', recipients: [] } }],
  };
  await assert.rejects(
    house.acceptance.accept({ accepted, source: message.source, spooled: message }),
    (error) => error instanceof OperationalError && error.code === 'storage-full',
  );
  assert.equal(maildirTexts(mail).length, 2);
});

test('a torn tail is reported and does not keep the rest from being replayed', async () => {
  const house = openAcceptance(root);
  await house.acceptance.recover();
  await accept(house, 'GOOD');
  await accept(house, 'TORN', { bytes: 9000 });
  await marked();
  const [done] = journalFiles('.done');
  const segment = join(root, 'journal', done!.replace(/done$/, 'segment'));
  const octets = readFileSync(segment);
  octets.fill(0, 4096 + 5000);
  writeFileSync(segment, octets);
  rmSync(mail, { recursive: true });
  const { report, log } = await startAfterPowerCut();
  assert.deepEqual(
    report.damage.map(({ kind, offset }) => ({ kind, offset })),
    [{ kind: 'torn', offset: 4096 }],
  );
  assert.ok(log.lines.some(({ event }) => event === 'journal-torn'));
  assert.deepEqual(maildirTexts(mail), [storedText('GOOD')]);
});

for (const { name, bytes } of [
  { name: 'small', bytes: 100_000 },
  { name: 'from a file', bytes: 300_000 },
]) {
  test(`a message for many mailboxes, ${name}, is stored in many turns, with few files open at a time`, async () => {
    const house = openAcceptance(root);
    await house.acceptance.recover();
    const mailboxes = Array.from({ length: 300 }, (_, i) => join(root, 'mail', `user${i}`));
    let openMax = 0;
    let turns = 0;
    let ended = false;
    const look = () => {
      turns += 1;
      openMax = Math.max(openMax, readdirSync('/proc/self/fd').length);
      if (!ended) setImmediate(look);
    };
    const before = readdirSync('/proc/self/fd').length;
    await accept(house, 'MANY', { stores: mailboxes.map((path) => ({ path })), bytes });
    const stored = () => mailboxes.filter((path) => existsSync(join(path, 'new'))).length;
    assert.ok(stored() < 150, `${stored()} in the first turn`);
    look();
    await house.acceptance.drain();
    ended = true;
    assert.equal(stored(), 300);
    for (const path of mailboxes) assert.deepEqual(maildirTexts(path), [storedText('MANY', bytes)]);
    assert.ok(turns > 3 && openMax - before < 150, `${turns} turns, ${openMax - before} files`);
    await house.acceptance.close();
  });
}

test('a bug after the message is on disk is no refusal: the next start carries it out, once', async () => {
  let calls = 0;
  const onDeferred = () => {
    calls += 1;
    throw new TypeError('a bug');
  };
  const onStored = onDeferred;
  const house = openAcceptance(root, { bootId: 'same', onStored, onDeferred });
  await house.acceptance.recover();
  let released = 0;
  for (const bytes of [100, 300_000]) {
    const message = await spooled(messageText('ONE', bytes));
    const counted = {
      ...message,
      release: () => {
        released += 1;
        message.release();
      },
    };
    await house.acceptance.accept({
      accepted: planOf(`B${bytes}`, root),
      source: message.source,
      spooled: counted,
    });
  }
  await house.acceptance.drain();
  assert.deepEqual([calls, released], [4, 2]);
  assert.equal(house.log.lines.filter(({ event }) => event === 'carry-out-broken').length, 2);
  await house.acceptance.close();
  const next = openAcceptance(root, { bootId: 'same' });
  const report = await next.acceptance.recover();
  assert.deepEqual([report.alreadyDone, report.replayed], [0, 2]);
  assert.equal(maildirTexts(mail).length, 2);
  assert.deepEqual(
    next.log.lines.filter(({ level }) => level === 'error'),
    [],
  );
});
