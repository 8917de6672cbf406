/**
 * Where a message lies between its first byte and its last copy: in a slot of shared memory while it is small, in a
 * spool file when it is large or memory is short. Memory is bounded whatever arrives.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { spoolWriteBytesMax } from '../../core/base/limits/flow.ts';
import type { MessageSink } from './session.ts';
import { createSlots } from './slots.ts';
import { SpoolSink } from './spool-sink.ts';

export interface SpoolOptions {
  /** Absolute; created when missing. Everything in it belongs to the spool. */
  readonly directory: string;
  readonly limits: { readonly memoryMessageBytesMax: number; readonly memoryTotalBytesMax: number };
}

export interface Spool {
  open(): MessageSink;
  /** Octets of shared memory held by messages and by slots kept for the next ones. */
  readonly memoryBytes: number;
  /**
   * Removes what an earlier process left: no message in the spool was promised to anybody, since acceptance links
   * what it promises into the journal. To be called before the first `open`.
   * @returns how many files were removed
   */
  recover(): number;
}

export function createSpool({ directory, limits }: SpoolOptions): Spool {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const slots = createSlots(limits);
  let counter = 0;
  const nextPath = () => {
    counter += 1;
    return join(directory, `${process.pid}-${counter}${suffix}`);
  };
  return {
    open: () => new SpoolSink(slots, nextPath, spoolWriteBytesMax),
    get memoryBytes() {
      return slots.bytes;
    },
    recover: () => {
      const stale = readdirSync(directory).filter((name) => name.endsWith(suffix));
      for (const name of stale) rmSync(join(directory, name), { force: true });
      return stale.length;
    },
  };
}

const suffix = '.spool';
