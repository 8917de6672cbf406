/** One transaction while it forms: envelope, routes, and what plugins left so far. */
import type { Envelope, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import type { PipelineState, TraceEntry } from '../../core/pipeline/request.ts';
import type { Connection, Session } from '../../core/session/connection.ts';
import type { Action } from '../../core/session/plan.ts';
import type { User } from '../users/users.ts';
import type { House } from './house.ts';

/** Where one recipient's copy goes. */
export type Destination =
  | { readonly kind: 'mailbox'; readonly user: User; readonly detail: string }
  | { readonly kind: 'relay'; readonly via: string }
  /** No route, no such user, no room: refused for good or for now. */
  | { readonly kind: 'refused'; readonly reply: Reply };

/** What becomes of one recipient once all hooks have spoken. */
export type Fate =
  /** `actions` absent means the implicit keep: one copy in INBOX. */
  | { readonly kind: 'deliver'; readonly actions?: readonly Action[] }
  | { readonly kind: 'refuse'; readonly reply: Reply }
  | { readonly kind: 'defer'; readonly reply: Reply; readonly by: 'message' | 'deliver' }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'hold'; readonly reason: string };

export interface Transaction {
  readonly id: string;
  /** The house as it was when the transaction began: a reload does not change mail in flight. */
  readonly house: House;
  readonly connection: Connection;
  readonly session: Session;
  /** Key in `pipelines`; undefined where the listener has none. */
  readonly pipeline: string | undefined;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  envelope: Envelope;
  state: PipelineState;
  readonly destinations: Map<RecipientId, Destination>;
  /** Recipients the client named, in order: those that get an answer each over LMTP. */
  readonly answered: RecipientId[];
  /** A hook before the message said discard. */
  discard: string | undefined;
  /** Message hooks have spoken, or do not apply: mail we made ourselves, mail that waited in the queue. */
  readonly judged: boolean;
  /** Message-ID of the message once it is there; `''` when it has none. */
  messageId: string;
  /** Quota set aside for this transaction's copies, in octets by user. */
  readonly reserved: Map<string, number>;
  readonly trace: TraceEntry[];
}

let previous = 0;
let counter = 0;
const processPart = Math.floor(Math.random() * 36 ** 3)
  .toString(36)
  .padStart(3, '0');

/**
 * A transaction id: time in milliseconds, a counter within it, a random part per process. Letters and digits only, so
 * that it can stand in Received, in file names and on a command line; sorts by time.
 */
export function newTransactionId(now: number): string {
  counter = now === previous ? counter + 1 : 0;
  previous = now;
  return `${now.toString(36).padStart(9, '0')}${counter.toString(36).padStart(2, '0')}${processPart}`.toUpperCase();
}

/** What a recipient that waits in the queue needs to go on with: everything but message, envelope and common edits. */
export interface WaitingContext {
  readonly connection: Connection;
  readonly session: Session;
  readonly pipeline: string | undefined;
  readonly startedAt: number;
  readonly state: Omit<PipelineState, 'edits'>;
}

export function waitingContext({
  connection,
  session,
  pipeline,
  startedAt,
  state,
}: Transaction): WaitingContext {
  const { edits: _, ...rest } = state;
  return { connection, session, pipeline, startedAt, state: rest };
}
