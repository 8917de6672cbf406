/** How a program is run: the message it gets, and the options. */
import type { Answer } from './environment.ts';
import type { SieveLimits } from './limits.ts';

/** A message of which only the header may be at hand: the rest is asked for when a script looks at it. */
export interface LazyMessage {
  /** The octets from the first one on, at least all of the header with the empty line after it. */
  readonly header: Uint8Array;
  /** Octets of the whole message. */
  readonly sizeBytes: number;
  /** All octets, header included. */
  whole(): Answer<Uint8Array>;
}

export interface RunOptions {
  /** Collect `Outcome.trace`; costs about as much as the run itself. */
  readonly trace?: boolean;
  readonly limits?: Partial<SieveLimits>;
}
