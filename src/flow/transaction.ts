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
  | { readonly kind: 'relay'; readonly via: string };

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
  /** Result of the MTA-side SPF, DKIM and so on is in state.auth. */
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
