/**
 * After a crash: every record of the journal that is not done is carried out again, exactly as it was planned. No hook
 * runs. Copies that lie in their mailboxes are found by their names and left; damaged octets are reported, and what is
 * good after them is replayed.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unknownBoot } from '../../core/base/boot-id.ts';
import { describeError, errnoOf, OperationalError } from '../../core/base/errors.ts';
import { unsettledMessagesMax } from '../../core/base/limits/flow.ts';
import { type MessageSource, memorySource } from '../../core/mail/source.ts';
import { directoryOf } from '../delivery/deliver.ts';
import { createFinder } from '../delivery/find.ts';
import { rewriteCopy } from '../delivery/rewrite.ts';
import { mboxFolderPath } from '../mailbox/folders.ts';
import { pruneTombstones, readTombstones } from '../mailbox/tombstones.ts';
import type { Queue } from '../queue/queue.ts';
import type { Accepted } from './accepted.ts';
import { type CarryOut, withUsableFolder } from './carry-out.ts';
import type { FileSystems } from './file-systems.ts';
import type { FlowLog } from './house.ts';
import type { Journal, UsedSegment } from './journal.ts';
import type { Doubt } from './journal-doubt.ts';
import { isWhole, type JournalFiles } from './journal-files.ts';
import { readSegment, type SegmentRecord } from './journal-read.ts';
import type { Damage } from './journal-record.ts';
import { type FoundSegment, findSegments, type Segments } from './journal-segments.ts';
import { type JournalFile, NewerPlan, type PlanText, readPlan } from './plan-text.ts';

export interface RecoveryReport {
  /** Resolves when everything was carried out or is in the queue, which a locked mbox may hold up for long. */
  settled: Promise<unknown>;
  /** Transactions that this holds up: a transaction leaves when all its records are carried out. */
  readonly underWay: ReadonlyMap<string, unknown>;
  readonly segments: number;
  /** Records found whole. */
  records: number;
  /** Those that were done before, in this boot. */
  alreadyDone: number;
  /** Those carried out again. */
  replayed: number;
  readonly damage: (Damage & { readonly segment: string })[];
  /** Records that could not be carried out, with the reason; their segment is kept under `journal/damaged`. */
  readonly lost: {
    readonly segment: string;
    readonly sequence: number;
    readonly id?: string;
    readonly reason: string;
  }[];
}

export interface RecoveryOptions {
  /** Absolute: the journal's. */
  readonly directory: string;
  readonly files: JournalFiles;
  readonly journal: Journal;
  readonly segments: Segments;
  readonly bootId: string;
  readonly doubt: Doubt;
  readonly fileSystems: FileSystems;
  readonly queue: Pick<Queue, 'directory'>;
  readonly carryOut: CarryOut;
  readonly log: FlowLog;
  /** How long new mail waits for work that is held up; `patienceMs` when absent. */
  readonly patienceMs?: number | undefined;
}

export async function recoverJournal(options: RecoveryOptions): Promise<RecoveryReport> {
  const { directory, files, log } = options;
  const found = findSegments(directory);
  const underWay = new Map<string, Promise<unknown>>();
  const report: RecoveryReport = {
    settled: Promise.resolve(),
    underWay,
    segments: found.length,
    records: 0,
    alreadyDone: 0,
    replayed: 0,
    damage: [],
    lost: [],
  };
  const tombstones = join(directory, 'tombstones');
  const background = new Set<Promise<unknown>>();
  const replay: Replay = {
    ...options,
    report,
    finder: createFinder(),
    removed: readTombstones(tombstones),
    named: new Set(),
    underWay,
    patience: createPatience(background, options.patienceMs ?? patienceMs),
  };
  for (const segment of found) await replaySegment(replay, segment);
  report.settled = Promise.allSettled(background);
  // A crash between file and record leaves a file that no record names.
  for (const name of readdirSync(files.directory)) if (!replay.named.has(name)) files.remove(name);
  pruneTombstones(tombstones, Date.now());
  if (report.records > 0 || report.damage.length > 0) {
    const { segments, records, alreadyDone, replayed } = report;
    log.info('journal-replayed', {
      segments,
      records,
      alreadyDone,
      replayed,
      damage: report.damage.length,
      lost: report.lost.length,
    });
  }
  return report;
}

interface Replay extends RecoveryOptions {
  readonly report: RecoveryReport;
  readonly finder: ReturnType<typeof createFinder>;
  readonly removed: ReadonlySet<string>;
  /** Message files that records name. */
  readonly named: Set<string>;
  /** By transaction, which may have several records. */
  readonly underWay: Map<string, Promise<unknown>>;
  /** Waits for work, though not for ever: what cannot be queued now goes on while new mail is taken. */
  patience(work: Promise<unknown>): Promise<void>;
}

/** In all, for one start. */
const patienceMs = 10_000;

/** @param background what is under way */
function createPatience(
  background: Set<Promise<unknown>>,
  forMs: number,
): (work: Promise<unknown>) => Promise<void> {
  const end = performance.now() + forMs;
  return async (work) => {
    background.add(work);
    const settled = work.finally(() => background.delete(work));
    const over = new AbortController();
    const rest = sleep(Math.max(0, end - performance.now()), undefined, { signal: over.signal });
    await Promise.race([settled, rest]);
    over.abort();
    rest.catch(() => undefined);
    // Each holds a message in memory.
    while (background.size >= unsettledMessagesMax) await Promise.race(background);
  };
}

async function replaySegment(replay: Replay, found: FoundSegment): Promise<void> {
  const { journal, segments, report, log } = replay;
  let used: UsedSegment | undefined;
  const onDamage = (damage: Damage) => {
    if (damage.kind === 'version') throw newerJournal(found.path);
    const facts = { segment: basename(found.path), ...damage };
    report.damage.push(facts);
    if (damage.kind === 'torn') log.warn('journal-torn', facts);
    else log.error('journal-damaged', facts);
    if (damage.kind !== 'torn') keepAside(replay.directory, found.path);
  };
  // After a failed sync a copy that was stored need not be on disk, nor be read back as it was written.
  const believedBoot = replay.doubt.standing ? unknownBoot : replay.bootId;
  for (const record of readSegment(found, believedBoot, onDamage)) {
    report.records += 1;
    used ??= journal.adopt({ path: found.path, bytes: found.bytes, records: 0 });
    used.undone += 1;
    await replayRecord(replay, used, record);
  }
  // Nothing in it, so nothing has to be synced before it is used again.
  if (!used) await segments.retire({ path: found.path, bytes: found.bytes }, true);
}

async function replayRecord(replay: Replay, segment: UsedSegment, record: SegmentRecord): Promise<void> {
  const { journal, report, log } = replay;
  const done = () => journal.done({ segment, sequence: record.sequence });
  try {
    if (record.done) {
      report.alreadyDone += 1;
      // They must outlast a power cut before the next checkpoint, after which the mark is not believed.
      keepFiles(replay, segment, namedFiles(replay.files.directory, record));
      coverCopies(replay, segment, record);
      done();
      return;
    }
    const { accepted, source, files } = await readRecord(replay.files.directory, record);
    keepFiles(replay, segment, files);
    const { finder, removed } = replay;
    const work = replay.carryOut({ accepted, source, written: segment.written, finder, removed });
    report.replayed += 1;
    if (!work) done();
    else {
      const ended = work.then((all) => all && done());
      noteUnderWay(replay.underWay, accepted.id, ended);
      await replay.patience(ended);
    }
  } catch (error) {
    if (error instanceof NewerPlan) throw newerJournal(segment.path);
    if (!(error instanceof LostRecord)) throw error;
    const lost = {
      segment: basename(segment.path),
      sequence: record.sequence,
      id: error.id,
      reason: error.message,
    };
    report.lost.push(lost);
    log.error('journal-record-lost', { ...lost, id: error.id ?? '' });
    keepAside(replay.directory, segment.path);
    for (const name of namedFiles(replay.files.directory, record)) {
      keepAside(replay.directory, join(replay.files.directory, name));
    }
    done();
  }
}

function noteUnderWay(underWay: Replay['underWay'], id: string, work: Promise<unknown>): void {
  const all = Promise.all([underWay.get(id), work]).finally(() => {
    if (underWay.get(id) === all) underWay.delete(id);
  });
  underWay.set(id, all);
}

function keepFiles(replay: Replay, segment: UsedSegment, names: readonly string[]): void {
  for (const name of names) replay.named.add(name);
  segment.files.push(...names);
}

/** Its copies belong to the next checkpoint, which knows only what this process wrote. */
function coverCopies(
  { fileSystems, files, queue, log }: Replay,
  segment: UsedSegment,
  record: SegmentRecord,
): void {
  fileSystems.cover(queue.directory);
  for (const planned of storesOf(files.directory, record)) {
    const action = withUsableFolder(planned, log);
    const directory = directoryOf(action);
    fileSystems.cover(directory);
    if (!fileSystems.byPath) continue;
    // A Maildir's file is found by its name; a missing folder made it INBOX, so that mbox is synced as well.
    const paths =
      action.format === 'maildir'
        ? [join(directory, 'new', action.name)]
        : [mboxFolderPath(action.path, action.folder), action.path];
    for (const path of new Set(paths)) segment.written.push({ action, path });
  }
}

/** Mail that a later version promised: to go on without it would be to lose it, silently but for the log. */
function newerJournal(path: string): OperationalError {
  return new OperationalError(
    'journal-newer',
    `${path} holds accepted mail in the format of a newer version: run that version until it has ended in order, then this one`,
    { temporary: false, facts: { file: path } },
  );
}

/** A record whose octets are right, yet it cannot be carried out. */
class LostRecord extends Error {
  readonly id: string | undefined;

  constructor(message: string, id?: string) {
    super(message);
    this.id = id;
  }
}

async function readRecord(
  directory: string,
  record: SegmentRecord,
): Promise<{ accepted: Accepted; source: MessageSource; files: string[] }> {
  const outer = parsePlan(record.plan);
  const files = 'planFile' in outer ? [outer.planFile] : [];
  for (const planFile of files) {
    if (!(await isWhole(directory, planFile)))
      throw new LostRecord(`plan file ${planFile.name} is not whole`);
  }
  const { accepted, bodyFile } = innerPlan(directory, outer);
  if (bodyFile) files.push(bodyFile);
  if (bodyFile && !(await isWhole(directory, bodyFile))) {
    throw new LostRecord(`message file ${bodyFile.name} is not whole`, accepted.id);
  }
  const source = bodyFile ? fileSource(directory, bodyFile) : memorySource(record.body);
  return { accepted, source, files: files.map(({ name }) => name) };
}

/** The plan itself, from its file where it has one. */
function innerPlan(directory: string, plan: PlanText): Extract<PlanText, { accepted: Accepted }> {
  const inner = 'planFile' in plan ? parsePlan(readFileSync(join(directory, plan.planFile.name))) : plan;
  if ('planFile' in inner) throw new LostRecord('a plan file that names a plan file');
  return inner;
}

/** Names only, as far as they can be read. */
function namedFiles(directory: string, record: SegmentRecord): string[] {
  const names: string[] = [];
  try {
    const plan = parsePlan(record.plan);
    if ('planFile' in plan) names.push(plan.planFile.name);
    const { bodyFile } = innerPlan(directory, plan);
    if (bodyFile) names.push(bodyFile.name);
  } catch (error) {
    if (!(error instanceof LostRecord) && errnoOf(error) !== 'ENOENT') throw error;
  }
  return names;
}

function parsePlan(text: Uint8Array): PlanText {
  try {
    return readPlan(text);
  } catch (error) {
    if (error instanceof NewerPlan) throw error;
    throw new LostRecord(describeError(error));
  }
}

function fileSource(directory: string, { name, length }: JournalFile): MessageSource {
  return { kind: 'file', path: join(directory, name), length };
}

/** A second name for a segment or a message file, so that an operator can look at what could not be read. */
function keepAside(journalDirectory: string, path: string): void {
  const directory = join(journalDirectory, 'damaged');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    linkSync(path, join(directory, basename(path)));
  } catch (error) {
    // A file that is not there is what is wrong.
    if (errnoOf(error) !== 'EEXIST' && errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Writes again every copy that records of these segments led to; those that are lost led to none. @throws when that cannot be done now */
export async function rewriteSegments(used: readonly UsedSegment[], filesDirectory: string): Promise<void> {
  const finder = createFinder();
  const mboxes = new Set<string>();
  for (const { path, bytes } of used) {
    const found = findSegments(join(path, '..')).find((segment) => segment.path === path);
    if (!found) throw new Error(`journal segment ${basename(path)} of ${bytes} octets is gone`);
    for (const record of readSegment(found, unknownBoot, () => undefined)) {
      for (const action of storesOf(filesDirectory, record)) {
        const mbox = `${action.path}\0${action.folder}`;
        if (action.format === 'mbox' && mboxes.has(mbox)) continue;
        mboxes.add(mbox);
        await rewriteCopy(action, finder);
      }
    }
  }
}

/** Messages of these segments' records, which the queue may have. */
export async function* queuedIn(
  used: readonly UsedSegment[],
  filesDirectory: string,
): AsyncGenerator<{ transactionId: string; source: MessageSource }> {
  for (const { path } of used) {
    const found = findSegments(join(path, '..')).find((segment) => segment.path === path);
    for (const record of found ? readSegment(found, unknownBoot, () => undefined) : []) {
      try {
        const { accepted, source } = await readRecord(filesDirectory, record);
        yield { transactionId: accepted.id, source };
      } catch (error) {
        if (!(error instanceof LostRecord)) throw error;
      }
    }
  }
}

function storesOf(filesDirectory: string, record: SegmentRecord): Accepted['stores'] {
  try {
    return innerPlan(filesDirectory, parsePlan(record.plan)).accepted.stores;
  } catch (error) {
    if (!(error instanceof LostRecord) && errnoOf(error) !== 'ENOENT') throw error;
    return [];
  }
}
