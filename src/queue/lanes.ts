/**
 * Who is next: a lane is one sender's mail for one destination. Destinations take turns, and within each its senders, so
 * that neither a dead domain nor a large list holds up the next message. Arithmetic in memory; entries stay on disk.
 *
 * A destination begins with a few attempts at once and gets one more with each success (slow start); each failure to
 * reach it halves them, and after some in a row it rests, longer each time, until one attempt tells that it is back.
 */
import { queueLimits } from '../../core/base/limits/outbound.ts';

/** Work of this house itself: retries of deliveries, bounces, new mail. It is never rested. */
export const ownLane = '';

export interface LaneLimits {
  /** Attempts of our own work at once. */
  readonly own: number;
  /** Attempts for all other destinations together. */
  readonly total: number;
  of(destination: string): { readonly window: number; readonly perMinute: number };
}

export interface Lane {
  readonly destination: string;
  readonly sender: string;
}

/** What an attempt learnt of the destination: `none` where it did not come that far. */
export type Feedback = 'up' | 'down' | 'none';

interface OpenLane extends Lane {
  readonly of: Destination;
  /** Nothing of it is due before; Infinity while it stands in `ready`. */
  dueAt: number;
}

interface Destination {
  readonly name: string;
  readonly lanes: Map<string, OpenLane>;
  /** Lanes that have due work, in turn. */
  readonly ready: Set<OpenLane>;
  running: number;
  window: number;
  failures: number;
  /** Rests until then. */
  restsUntil: number;
  /** Its rate allows the next one then. */
  freeAt: number;
}

/** What happens at a time: a lane becomes due, or a destination may go on. */
interface Event {
  readonly at: number;
  readonly lane?: OpenLane;
  readonly destination?: Destination;
}

export class Lanes {
  readonly #limits: LaneLimits;
  readonly #destinations = new Map<string, Destination>();
  /** Destinations that have ready lanes and may work on them, in turn. */
  readonly #ready = new Set<Destination>();
  readonly #events = new EventHeap();
  #running = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** Something of that lane is due at `at`, or was found to be. */
  offer(destination: string, sender: string, at: number): void {
    const of = this.#destination(destination);
    let lane = of.lanes.get(sender);
    if (lane === undefined) {
      lane = { destination, sender, of, dueAt: Number.POSITIVE_INFINITY };
      of.lanes.set(sender, lane);
    } else if (of.ready.has(lane) || lane.dueAt <= at) return;
    lane.dueAt = at;
    this.#events.push({ at, lane });
  }

  /** The lane whose turn it is; the caller looks what is due in it, and says `begun`, or `empty` when nothing is. */
  next(now: number): Lane | undefined {
    this.#wakeUp(now);
    const own = this.#destinations.get(ownLane);
    const ownTurn = own && this.#take(own, now);
    if (ownTurn !== undefined) return ownTurn;
    for (const destination of this.#ready) {
      if (this.#running >= this.#limits.total) return undefined;
      const lane = this.#take(destination, now);
      if (lane !== undefined) return lane;
    }
    return undefined;
  }

  /** Its next lane, after which it stands at the end of the line; without one it leaves the line. */
  #take(destination: Destination, now: number): OpenLane | undefined {
    this.#ready.delete(destination);
    const [lane] = destination.ready;
    if (lane === undefined || !this.#mayWork(destination, now)) return undefined;
    destination.ready.delete(lane);
    destination.ready.add(lane);
    if (destination.name !== ownLane) this.#ready.add(destination);
    return lane;
  }

  /** An attempt of that lane runs. */
  begun({ destination: name }: Lane, now: number): void {
    const destination = this.#destination(name);
    destination.running += 1;
    if (name !== ownLane) this.#running += 1;
    const { perMinute } = this.#limits.of(name);
    if (perMinute === 0) return;
    destination.freeAt = Math.max(now, destination.freeAt) + 60_000 / perMinute;
    this.#events.push({ at: destination.freeAt, destination });
  }

  /** Nothing of that lane is due before `nextAt`; undefined when there is nothing at all. */
  empty({ destination: name, sender }: Lane, nextAt: number | undefined): void {
    const destination = this.#destination(name);
    const lane = destination.lanes.get(sender);
    if (lane !== undefined) {
      destination.ready.delete(lane);
      lane.dueAt = Number.POSITIVE_INFINITY;
      if (nextAt === undefined) destination.lanes.delete(sender);
      else this.offer(name, sender, nextAt);
    }
    this.#forgetIdle(destination);
  }

  /** An attempt has ended. Answers true when the destination now rests: what is due for it is to wait its delays. */
  ended({ destination: name }: Lane, feedback: Feedback, now: number): boolean {
    const destination = this.#destination(name);
    destination.running -= 1;
    if (name === ownLane) return false;
    this.#running -= 1;
    const rests = this.#learn(destination, feedback, now);
    this.#lineUp(destination);
    this.#forgetIdle(destination);
    return rests;
  }

  /** When `next` may have something that it has not now; undefined when only an end or an offer can bring it. */
  nextAt(): number | undefined {
    return this.#events.first?.at;
  }

  /** Destinations that rest, and until when. */
  resting(now: number): { destination: string; until: number }[] {
    return [...this.#destinations.values()]
      .filter(({ restsUntil }) => restsUntil > now)
      .map(({ name, restsUntil }) => ({ destination: name, until: restsUntil }));
  }

  /** Lets a destination be tried at once: an operator knows better. */
  wake(name: string): void {
    const destination = this.#destinations.get(name);
    if (destination === undefined) return;
    destination.restsUntil = 0;
    this.#lineUp(destination);
  }

  /** After the clock was set: dates of the old time mean nothing; what is due is offered anew. */
  clear(): void {
    this.#events.clear();
    this.#ready.clear();
    for (const destination of this.#destinations.values()) {
      destination.lanes.clear();
      destination.ready.clear();
      destination.restsUntil = 0;
      destination.freeAt = 0;
      this.#forgetIdle(destination);
    }
  }

  #learn(destination: Destination, feedback: Feedback, now: number): boolean {
    const most = this.#limits.of(destination.name).window;
    if (feedback === 'up') {
      destination.failures = 0;
      destination.restsUntil = 0;
      destination.window = Math.min(most, destination.window + 1);
      return false;
    }
    if (feedback === 'none') return false;
    destination.failures += 1;
    destination.window = Math.max(1, Math.floor(destination.window / 2));
    const beyond = destination.failures - queueLimits.destinationFailuresMax;
    if (beyond < 0) return false;
    const restMs = Math.min(
      queueLimits.destinationRestMsMax,
      queueLimits.destinationRestMs * 2 ** Math.min(beyond, 20),
    );
    // Several attempts that failed together are one sign.
    if (destination.restsUntil > now) return true;
    destination.restsUntil = now + restMs;
    destination.window = 1;
    this.#events.push({ at: destination.restsUntil, destination });
    return true;
  }

  #wakeUp(now: number): void {
    for (let event = this.#events.first; event && event.at <= now; event = this.#events.first) {
      this.#events.shift();
      const { lane } = event;
      const destination = lane?.of ?? event.destination;
      // An event that a later offer overtook.
      if (lane !== undefined && lane.dueAt !== event.at) continue;
      if (lane !== undefined) {
        lane.dueAt = Number.POSITIVE_INFINITY;
        lane.of.ready.add(lane);
      }
      if (destination !== undefined) this.#lineUp(destination);
    }
  }

  #lineUp(destination: Destination): void {
    if (destination.name !== ownLane && destination.ready.size > 0) this.#ready.add(destination);
  }

  #mayWork(destination: Destination, now: number): boolean {
    if (destination.running >= destination.window) return false;
    if (destination.name === ownLane) return true;
    return this.#running < this.#limits.total && now >= destination.restsUntil && now >= destination.freeAt;
  }

  #destination(name: string): Destination {
    const known = this.#destinations.get(name);
    if (known !== undefined) return known;
    const most = name === ownLane ? this.#limits.own : this.#limits.of(name).window;
    const made: Destination = {
      name,
      lanes: new Map(),
      ready: new Set(),
      running: 0,
      window: name === ownLane ? most : Math.min(most, queueLimits.destinationWindowFirst),
      failures: 0,
      restsUntil: 0,
      freeAt: 0,
    };
    this.#destinations.set(name, made);
    return made;
  }

  /** What is known of a destination goes with its last entry. */
  #forgetIdle(destination: Destination): void {
    if (destination.running > 0 || destination.lanes.size > 0) return;
    this.#ready.delete(destination);
    this.#destinations.delete(destination.name);
  }
}

/** A binary heap, the earliest first. */
class EventHeap {
  #items: Event[] = [];

  get first(): Event | undefined {
    return this.#items[0];
  }

  push(event: Event): void {
    const items = this.#items;
    let at = items.push(event) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && items[parent]!.at > event.at; parent = (at - 1) >> 1) {
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = event;
  }

  shift(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]!.at < items[child]!.at) child += 1;
      if (items[child]!.at >= last.at) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
  }

  clear(): void {
    this.#items = [];
  }
}
