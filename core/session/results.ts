/** What a hook returns, and what plugins leave for each other. */
import type { Json } from '../base/json.ts';
import type { AuthResult } from '../mail/authentication-results.ts';
import type { Edit } from '../mail/edit.ts';
import type { RecipientId } from '../mail/envelope.ts';
import type { Action } from './plan.ts';
import type { Verdict } from './verdict.ts';

export type { AuthResult };

export interface ScoredSymbol {
  readonly name: string;
  readonly score: number;
  readonly text?: string;
}

export interface RecipientResult {
  readonly verdict?: Verdict;
  readonly edits?: readonly Edit[];
}

export interface HookAnswer {
  readonly verdict?: Verdict;
  readonly edits?: readonly Edit[];
  /** What differs for single recipients; wins over the common verdict for those recipients. */
  readonly recipients?: Readonly<Record<RecipientId, RecipientResult>>;
  /** Seen by later plugins as `results[plugin]`; merged over what the same plugin left in an earlier stage. */
  readonly result?: Json;
  /**
   * SpamAssassin points: 5.0 is spam, negative is ham. Left out beside `symbols`, it is the sum of theirs. Only the
   * policy plugin acts on the sum of all plugins.
   */
  readonly score?: number;
  /** What the score is made of, by name. */
  readonly symbols?: readonly ScoredSymbol[];
  readonly auth?: readonly AuthResult[];
  /** deliver hook only. */
  readonly actions?: readonly Action[];
}

/** What a hook may return: nothing, a verdict alone, or an answer with all its parts. */
export type HookResult = undefined | void | Verdict | HookAnswer;

/** `results[plugin]` of every plugin that ran before. */
export type Results = Readonly<Record<string, Json>>;
