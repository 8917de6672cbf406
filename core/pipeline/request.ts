/** What crosses the thread border: one request and one outcome per hop. Plain values only. */
import type { Json } from '../base/json.ts';
import type { Limits } from '../base/limits/settings.ts';
import type { Edit } from '../mail/edit.ts';
import type { Envelope, Recipient, RecipientId } from '../mail/envelope.ts';
import type { MessageSource } from '../mail/source.ts';
import type { FailurePolicy, PipelineEntry } from '../plugin/entry.ts';
import type { RuleLanguage } from '../plugin/hooks.ts';
import type { Connection, Session } from '../session/connection.ts';
import type { ImapEvent } from '../session/imap-event.ts';
import type { Gathered } from '../session/merge.ts';
import type { Action } from '../session/plan.ts';
import type { HookName } from '../session/powers.ts';
import type { Verdict } from '../session/verdict.ts';

export type ScriptVersions = Readonly<Partial<Record<RuleLanguage, string>>>;

/** Everything the plugins of a stage may look at. `stages` run in order within one hop until a verdict ends them. */
export interface PipelineRequest {
  /** Name of the pipeline in the config. */
  readonly pipeline: string;
  readonly stages: readonly HookName[];
  /** Transaction id, or the connection's id for connect, helo, auth and close. */
  readonly id: string;
  readonly connection: Connection;
  readonly session: Session;
  readonly envelope?: Envelope;
  readonly message?: MessageSource;
  /** rcptTo only. */
  readonly recipient?: Recipient;
  readonly route?: 'mailbox' | 'relay' | 'unknown-user' | 'refused';
  /** rcptTo only: `rewrite` runs the plugins that write recipients or sender, `judge` the others; absent: all. */
  readonly pass?: 'rewrite' | 'judge';
  /** deliver only: all local recipients in one hop. */
  readonly deliveries?: readonly {
    readonly recipient: Recipient;
    readonly user: string;
    readonly detail: string;
    /** The user's own, the canonical one first. */
    readonly addresses: readonly string[];
    /** Version of the user's active script by language, '' for none: what a thread has read of that version it need not ask for. */
    readonly scripts?: ScriptVersions;
  }[];
  /** send only. */
  readonly nextHop?: string;
  /** moved only. */
  readonly moved?: {
    readonly user: string;
    readonly from: string;
    readonly to: string;
    readonly flags: readonly string[];
    readonly event?: ImapEvent;
  };
  /** close only. */
  readonly reason?: string;
  /** What earlier stages left. */
  readonly state: PipelineState;
  /** Epoch milliseconds at which the client gives up. */
  readonly deadline?: number;
}

/** What gathers over the stages of one transaction; sender and recipient edits are in the envelope already. */
export type PipelineState = Gathered;

export const emptyPipelineState: PipelineState = {
  edits: [],
  recipientEdits: {},
  results: {},
  score: 0,
  symbols: [],
  auth: [],
  accepted: false,
};

export type { FailurePolicy, PipelineEntry };

export type FailureKind = 'throw' | 'timeout' | 'thread-died' | 'bad-answer' | 'load';

/** What one plugin did in one stage; a line of `mailfilter explain`. */
export interface TraceEntry {
  readonly stage: HookName;
  readonly plugin: string;
  /** Epoch milliseconds at the start. */
  readonly at: number;
  readonly ms: number;
  readonly verdict?: Verdict;
  readonly edits?: readonly Edit[];
  readonly recipients?: Json;
  readonly result?: Json;
  readonly score?: number;
  readonly actions?: readonly Action[];
  readonly recipient?: RecipientId;
  /** Lines of context.log. */
  readonly log?: readonly { readonly event: string; readonly facts?: Readonly<Record<string, Json>> }[];
  /** Outside questions and their answers, shortened. */
  readonly asked?: readonly { readonly what: string; readonly answer: Json; readonly ms: number }[];
  /** The plugin is on trial: what it answered changed nothing. */
  readonly shadow?: boolean;
  /** Domains (d=) of foreign DKIM signatures that the edits break. RFC 6376 section 5.4. */
  readonly breaksSignatures?: readonly string[];
  readonly failure?: { readonly kind: FailureKind; readonly message: string; readonly policy: FailurePolicy };
}

/** The answer to a request. `verdict` is the transaction's (or connection's); recipients hold what differs. */
export interface PipelineOutcome {
  readonly verdict: Verdict;
  readonly recipients: Readonly<
    Record<RecipientId, { readonly verdict?: Verdict; readonly actions?: readonly Action[] }>
  >;
  /** The envelope with sender and recipient edits of these stages applied, when it changed. */
  readonly envelope?: Envelope;
  /** rcptTo: the recipient as rewritten, when it changed; further recipients a plugin expanded it into. */
  readonly recipient?: Recipient;
  readonly addedRecipients?: readonly string[];
  /** moved: what rules for the event ask for; absent where none spoke. */
  readonly actions?: readonly Action[];
  readonly state: PipelineState;
  readonly trace: readonly TraceEntry[];
}

/** What a reload may change besides the pipelines themselves. */
export interface PipelineChanges {
  readonly hostname?: string;
  readonly domains?: readonly string[];
  readonly limits?: Limits;
  readonly threads?: number;
  readonly threadMemoryMiB?: number;
}

/** What the rest of the house sees of the pipelines. */
export interface Pipelines {
  /** True when any plugin of that pipeline has that hook; a stage with none costs no hop. */
  has(pipeline: string, hook: HookName): boolean;
  /** True when some rcptTo plugin of the pipeline rewrites (writes sender or recipients). */
  rewrites(pipeline: string): boolean;
  /** Never rejects: a failure is an outcome. */
  run(request: PipelineRequest): Promise<PipelineOutcome>;
  /** Forget the remembered answers of a transaction or connection that is over. */
  forget(id: string): void;
  /** Load anew; rejects, keeping what runs, when anything fails to load or check. */
  reload(
    pipelines: Readonly<Record<string, readonly PipelineEntry[]>>,
    changes?: PipelineChanges,
  ): Promise<void>;
  close(): Promise<void>;
}
