/** Slots of shared memory for messages, by size class, used again once released; their sum is bounded. */

export interface Slot {
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Uint8Array;
}

export interface Slots {
  /** A slot of at least that many octets; undefined when memory is short or the size is above the largest class. */
  take(octets: number): Slot | undefined;
  give(slot: Slot): void;
  /** Octets allocated: those in use and those kept for the next message. */
  readonly bytes: number;
}

/** Most mail is below 16 KiB; each further class is four times as large. */
const smallestSlotBytes = 16 * 1024;

/** A limit of 0 turns memory off: every message becomes a file. */
export function createSlots(limits: { memoryMessageBytesMax: number; memoryTotalBytesMax: number }): Slots {
  const classes = sizeClasses(limits.memoryMessageBytesMax);
  const free = new Map<number, Slot[]>(classes.map((size) => [size, []]));
  let allocated = 0;

  /** Gives kept slots of other classes back to the collector, largest first, until that many octets fit. */
  function makeRoom(octets: number): boolean {
    for (const size of classes.toReversed()) {
      const slots = free.get(size)!;
      while (allocated + octets > limits.memoryTotalBytesMax && slots.pop()) allocated -= size;
    }
    return allocated + octets <= limits.memoryTotalBytesMax;
  }

  return {
    take(octets) {
      const size = classes.find((each) => each >= octets);
      if (size === undefined) return undefined;
      const kept = free.get(size)!.pop();
      if (kept) return kept;
      if (!makeRoom(size)) return undefined;
      allocated += size;
      const buffer = new SharedArrayBuffer(size);
      return { buffer, bytes: new Uint8Array(buffer) };
    },
    give(slot) {
      free.get(slot.buffer.byteLength)!.push(slot);
    },
    get bytes() {
      return allocated;
    },
  };
}

function sizeClasses(largest: number): number[] {
  const classes: number[] = [];
  for (let size = smallestSlotBytes; size < largest; size *= 4) classes.push(size);
  if (largest > 0) classes.push(largest);
  return classes;
}
