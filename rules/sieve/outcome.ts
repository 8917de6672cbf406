/** What a run came to: actions, what went wrong, what to remember, and the trace. */
import type { SeenKey, SieveAction } from './actions.ts';
import type { Place } from './problem.ts';

/** Why a run ended early. The actions then are the implicit keep alone, or what earlier scripts had planned. */
export interface RuntimeError extends Place {
  /** The script the line is in. */
  readonly script: string;
  /** One sentence. */
  readonly message: string;
}

/** One test or command as it was run. */
export interface TraceLine extends Place {
  readonly script: string;
  readonly kind: 'test' | 'command';
  /** `header`, `fileinto` ... */
  readonly name: string;
  /** What was looked at and compared, as texts: `{ values: ["..."], keys: ["..."], match: "contains" }`. */
  readonly inputs: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  /** Of a test whether it held; of a command a few words on what it did. */
  readonly outcome: boolean | string;
}

export interface Outcome {
  /** In the order to be carried out. Never empty: what plans nothing else keeps or discards. */
  readonly actions: readonly SieveAction[];
  /** Present where the run failed; the message is kept all the same. */
  readonly error?: RuntimeError;
  /** Things that the owner of the script should hear of though the run went on. */
  readonly notes: readonly string[];
  /** RFC 7352. */
  readonly seen: readonly SeenKey[];
  /** Empty unless it was asked for. */
  readonly trace: readonly TraceLine[];
  /** What `debug_log` wrote. */
  readonly log: readonly string[];
}
