/**
 * Which daemons rest, known to all threads of a process alike: numbers in shared memory that the core makes before it
 * starts threads. Where there is none each user has a board of its own.
 */
import { createHash } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { daemonLimits } from '../base/limits/filters.ts';

/** What a daemon's slot holds, eight octets each; its last reason follows as text. */
const [id, failures, restMs, restUntil, probeUntil, numbers] = [0, 1, 2, 3, 4, 5];
const slotBytes = 256;
const environmentKey = 'mailfilter.daemons';

/** For all threads started from now on. Once in a process: later calls change nothing. */
export function shareDaemonBoard(): void {
  if (sharedBoard() === undefined) setEnvironmentData(environmentKey, newBoard());
}

function newBoard(): SharedArrayBuffer {
  return new SharedArrayBuffer(daemonLimits.boardSlots * slotBytes);
}

function sharedBoard(): SharedArrayBuffer | undefined {
  const board = getEnvironmentData(environmentKey);
  return board instanceof SharedArrayBuffer ? board : undefined;
}

/** @param name of the daemon, the same in every thread */
export function daemonSlot(name: string): DaemonSlot {
  const board = sharedBoard();
  const own = () => new DaemonSlot(newBoard(), 0);
  if (board === undefined) return own();
  const wanted = createHash('sha256').update(name).digest().readBigInt64BE() | 1n;
  for (let offset = 0; offset < board.byteLength; offset += slotBytes) {
    const found = Atomics.compareExchange(new BigInt64Array(board, offset, numbers), id, 0n, wanted);
    if (found === 0n || found === wanted) return new DaemonSlot(board, offset);
  }
  // Full after many reloads with ever new addresses: this thread learns for itself.
  return own();
}

/** Times are epoch milliseconds, which threads agree on; a clock that is set back prolongs no rest. */
export class DaemonSlot {
  readonly #numbers: BigInt64Array;
  readonly #reason: Buffer;

  constructor(board: SharedArrayBuffer, offset: number) {
    this.#numbers = new BigInt64Array(board, offset, numbers);
    this.#reason = Buffer.from(board, offset + numbers * 8, slotBytes - numbers * 8);
  }

  /** In a row. */
  get failures(): number {
    return this.#read(failures);
  }

  /** Of the last rest; another thread may be writing it. */
  get reason(): string {
    const end = this.#reason.indexOf(0);
    return this.#reason.toString('utf8', 0, end < 0 ? this.#reason.length : end);
  }

  /**
   * Whether it may be asked: always while it serves, and by one question at a time when its rest is over.
   * @param until that question's end, should its thread die with it
   * @returns `trial` for that one question, which is to `release` it
   */
  claim(now: number, until: number): 'serves' | 'trial' | 'rests' {
    if (this.#read(restUntil) === 0) return 'serves';
    if (lasts(this.#read(restUntil), now, this.#read(restMs))) return 'rests';
    const tried = this.#read(probeUntil);
    if (lasts(tried, now, daemonLimits.trialMsMax)) return 'rests';
    return this.#swap(probeUntil, tried, until) ? 'trial' : 'rests';
  }

  release(): void {
    Atomics.store(this.#numbers, probeUntil, 0n);
  }

  /** @returns true for the one who ended its rest, and is to tell of it */
  serves(): boolean {
    Atomics.store(this.#numbers, failures, 0n);
    if (this.#read(restUntil) === 0) return false;
    Atomics.store(this.#numbers, restMs, 0n);
    return Atomics.exchange(this.#numbers, restUntil, 0n) !== 0n;
  }

  /**
   * @param absent nobody is there: it rests at once. One message may be what a daemon stumbles over: it takes some in a row
   * @returns the rest that began now, for the one who is to tell of it
   */
  fails(now: number, reason: string, absent: boolean): { failures: number; restMs: number } | undefined {
    const inRow = Number(Atomics.add(this.#numbers, failures, 1n)) + 1;
    const before = this.#read(restMs);
    if (!absent && before === 0 && inRow < daemonLimits.failuresMax) return undefined;
    const until = this.#read(restUntil);
    // Questions that were under way when it fell say nothing new.
    if (lasts(until, now, before)) return undefined;
    const next = Math.min(Math.max(before * 2, daemonLimits.restMsMin), daemonLimits.restMsMax);
    this.#reason.fill(0);
    this.#reason.write(reason);
    // Before the rest itself: whoever sees that it rests is to find how long.
    Atomics.store(this.#numbers, restMs, BigInt(next));
    const ours = this.#swap(restUntil, until, now + next);
    return ours && until === 0 ? { failures: inRow, restMs: next } : undefined;
  }

  #read(index: number): number {
    return Number(Atomics.load(this.#numbers, index));
  }

  #swap(index: number, from: number, to: number): boolean {
    const expected = BigInt(from);
    return Atomics.compareExchange(this.#numbers, index, expected, BigInt(Math.ceil(to))) === expected;
  }
}

/** False as well where it would last longer than it can: then the clock was set back. */
function lasts(until: number, now: number, msMax: number): boolean {
  return until > now && until - now <= msMax + 1;
}
