/** What another role may ask of the mta, which alone writes journal, queue and state. */
import type { Json } from '../../core/base/json.ts';
import type { PluginState } from '../../core/plugin/hooks.ts';
import type { ImapEvent } from '../../core/session/imap-event.ts';
import type { Action } from '../../core/session/plan.ts';

/** All calls may come twice, when the answer to the first was lost with its process; but for the counters they then do nothing. */
export interface MtaCalls {
  /** Sends a message that a user's mail or rules caused. Durable when it resolves; an id that was seen does nothing. */
  submit(mail: SubmittedMail): Promise<void>;
  /**
   * A user moved a message, or did to it what rules were to hear of: raises the `moved` hooks of its pipeline.
   * @returns what becomes of the message in its mailbox: actions `store` and `discard`; none where no rule spoke
   */
  moved(message: MovedMessage): Promise<readonly MailboxAction[]>;
  /** What plugins remember, by the plugin's name. */
  state(plugin: string): PluginState;
  /** An operator changes entries of the queue; answers the ids that were changed. */
  queue(change: QueueChange): Promise<readonly string[]>;
}

export interface QueueChange {
  readonly action: 'retry' | 'hold' | 'release' | 'remove';
  readonly ids: readonly string[];
}

export interface SubmittedMail {
  /** Names what is done, so that it is done once: `imap/…`, `sieve/…`. */
  readonly id: string;
  /** '' for the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Whole, CRLF line ends. */
  readonly message: Uint8Array;
}

export interface MovedMessage {
  readonly user: string;
  /** Whole, as it lies in the mailbox. */
  readonly message: Uint8Array;
  readonly from: string;
  readonly to: string;
  readonly flags: readonly string[];
  readonly event?: ImapEvent;
}

/** The others the mta carries out itself. */
export type MailboxAction = Action & { readonly type: 'store' | 'discard' };

/** How they stand on the wire: one function of one argument each. */
export interface WireCalls {
  submit(mail: SubmittedMail): Promise<void>;
  moved(message: MovedMessage): Promise<readonly MailboxAction[]>;
  state(question: StateQuestion): Promise<Json | undefined>;
  queue(change: QueueChange): Promise<readonly string[]>;
}

export interface StateQuestion {
  readonly plugin: string;
  readonly method: keyof PluginState;
  readonly parameters: readonly (Json | undefined)[];
}

export interface CallFrame {
  readonly call: number;
  readonly name: keyof WireCalls;
  readonly argument: unknown;
}

export interface AnswerFrame {
  readonly call: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly temporary: boolean };
}
