/** Everything the walk needs from the other rooms, handed in by the daemon; a reload hands in a new one. */
import type { Clock } from '../../core/base/clock.ts';
import type { Json } from '../../core/base/json.ts';
import type { Config } from '../../core/config/config.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import type { Pipelines, TraceEntry } from '../../core/pipeline/request.ts';
import type { Connection, Session } from '../../core/session/connection.ts';
import type { StateKeys } from '../../core/state/store.ts';
import type { TracePart } from '../../core/state/trace-store.ts';
import type { StoreAction } from '../delivery/store.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { Router } from '../router/router.ts';
import type { Users } from '../users/users.ts';
import type { AcceptedMessage } from './accepted.ts';
import type { MessageSink } from './session.ts';

/** What the walk leaves behind for `mailfilter explain`; the trace store keeps it. */
export interface WalkTrace {
  readonly id: string;
  readonly at: number;
  readonly ms: number;
  readonly connection: Connection;
  readonly session: Session;
  readonly envelope: Envelope;
  readonly messageId: string;
  readonly length: number;
  readonly entries: readonly TraceEntry[];
  /** One word: `accepted`, `refused`, `tempfailed`, `discarded`, `held`, or `mixed`. */
  readonly outcome: string;
  readonly replies: readonly Reply[];
  readonly recipients: Readonly<Record<string, Json>>;
}

export interface FlowLog {
  debug(event: string, facts?: Readonly<Record<string, Json>>): void;
  info(event: string, facts?: Readonly<Record<string, Json>>): void;
  warn(event: string, facts?: Readonly<Record<string, Json>>): void;
  error(event: string, facts?: Readonly<Record<string, Json>>): void;
}

export interface House {
  readonly config: Config;
  readonly pipelines: Pipelines;
  readonly router: Router;
  /** Undefined where no users file is configured: then nobody has a mailbox here. */
  readonly users: Users | undefined;
  openSink(): MessageSink;
  /** Resolves when the message is on disk; rejects with an OperationalError when it is not and will not be. */
  accept(message: AcceptedMessage): Promise<void>;
  /** Carries out one local copy that failed before; idempotent by the action's name. */
  store(action: StoreAction, edits: readonly Edit[], source: MessageSource, smtputf8: boolean): Promise<void>;
  /** Octets of this user's quota set aside until the copy is stored; false when it does not fit. 0 bytes of quota is no limit. */
  reserveQuota(user: string, mailboxPath: string, quotaBytes: number, octets: number): Promise<boolean>;
  releaseQuota(user: string, octets: number): void;
  /** A mailbox whose last delivery failed refuses RCPT for a while: 452 4.2.2 or 452 4.3.1. */
  troubled(user: string): Reply | undefined;
  /** What plugins remember, by the plugin's name. */
  state(plugin: string): StateKeys;
  trace(trace: WalkTrace): void;
  /** Adds to the trace of a transaction, or of an action's. */
  note(id: string, part: TracePart): void;
  /** Mail to other hosts. */
  readonly outbound: Outbound;
  /** Whether another report may go to that sender now; counts it. */
  mayBounce(sender: string): boolean;
  readonly log: FlowLog;
  readonly clock: Clock;
}
