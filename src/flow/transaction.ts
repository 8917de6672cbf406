/** One transaction while it forms: envelope, routes, and what plugins left so far. */
import type { Envelope, RecipientId } from '../../core/mail/envelope.ts';
import type { Reply } from '../../core/mail/reply.ts';
import { emptyPipelineState, type PipelineState, type TraceEntry } from '../../core/pipeline/request.ts';
import type { Connection, Session } from '../../core/session/connection.ts';
import type { Action } from '../../core/session/plan.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import type { User } from '../users/users.ts';
import type { House } from './house.ts';
import type { Keeper } from './keeper.ts';

/** Where one recipient's copy goes. */
export type Destination =
  | {
      readonly kind: 'mailbox';
      readonly user: User;
      readonly detail: string;
      /** Absolute path of the user's mailbox. */
      readonly path: string;
    }
  | { readonly kind: 'relay'; readonly via: string }
  /** No route, no such user, no room: refused for good or for now. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** A plugin took every target off, or said discard to this recipient alone. */
  | { readonly kind: 'nowhere'; readonly reason: string };

/** What becomes of one recipient once all hooks have spoken. */
export type Fate =
  /** `actions` absent means the implicit keep: one copy in INBOX, or what the user's `forward` says. */
  | { readonly kind: 'deliver'; readonly actions?: readonly Action[] }
  /** Another recipient leads to the same mailbox: they share one copy and one fate. */
  | { readonly kind: 'same'; readonly as: RecipientId }
  | { readonly kind: 'refuse'; readonly reply: Reply; readonly notification?: Uint8Array }
  | { readonly kind: 'defer'; readonly reply: Reply; readonly by: 'message' | 'deliver' }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'hold'; readonly reason: string };

export interface Transaction {
  readonly id: string;
  /** Under which name this round of planning puts groups into the queue: the transaction's id, later the entry's. */
  readonly planId: string;
  /** The house as it was when the transaction began: a reload does not change mail in flight. */
  readonly house: House;
  readonly connection: Connection;
  readonly session: Session;
  /** Key in `pipelines`; undefined where the listener has none. */
  readonly pipeline: string | undefined;
  /** Who takes the mail in our place; undefined where we keep it ourselves. */
  readonly keeper: Keeper | undefined;
  /** The client asked for an answer for each recipient. */
  readonly prdr: boolean;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  envelope: Envelope;
  state: PipelineState;
  /** The state that a recipient who waits goes on with: what its deliver hooks left is not applied twice. */
  stateBeforeDeliver: PipelineState | undefined;
  readonly destinations: Map<RecipientId, Destination>;
  /** For each RCPT that was accepted, in order, the recipients it became. */
  readonly answered: (readonly RecipientId[])[];
  /** A hook before the message said discard. */
  discard: string | undefined;
  /** What hooks before the message said of single recipients. */
  readonly verdicts: Map<RecipientId, Verdict>;
  /** Message hooks have spoken, or do not apply: mail we made ourselves, mail that waited in the queue. */
  readonly judged: boolean;
  /** An earlier round may have stored copies under the same names: they are looked for before others are made. */
  readonly repeated: boolean;
  /** Message-ID of the message once it is there; `''` when it has none. */
  messageId: string;
  /** Octets of quota set aside for each copy of a recipient, and for how many copies. */
  readonly reserved: Map<
    RecipientId,
    { readonly user: string; readonly octets: number; readonly copies: number }
  >;
  /** What the client was refused on the way, for the trace; `to` is empty where it was not about a recipient. */
  readonly refusals: { readonly to: string; readonly reply: Reply }[];
  readonly trace: TraceEntry[];
}

type Beginning = Pick<
  Transaction,
  'id' | 'house' | 'connection' | 'session' | 'pipeline' | 'startedAt' | 'envelope'
>;

/** A transaction of which nothing is known yet but who sends. */
export function beginTransaction(beginning: Beginning, more: Partial<Transaction> = {}): Transaction {
  return {
    planId: beginning.id,
    keeper: undefined,
    prdr: false,
    state: emptyPipelineState,
    stateBeforeDeliver: undefined,
    destinations: new Map(),
    answered: [],
    discard: undefined,
    verdicts: new Map(),
    judged: false,
    repeated: false,
    messageId: '',
    reserved: new Map(),
    refusals: [],
    trace: [],
    ...beginning,
    ...more,
  };
}

let previous = 0;
let counter = 0;
const processPart = Math.floor(Math.random() * 36 ** 3)
  .toString(36)
  .padStart(3, '0');

/**
 * A transaction id: time in milliseconds, a counter within it, a random part per process. Letters and digits only, so
 * that it can stand in Received, in file names and on a command line; sorts by time. A clock that is set back gives none
 * twice: copies and queue entries are known by it.
 */
export function newTransactionId(now: number): string {
  counter = now > previous ? 0 : counter + 1;
  previous = Math.max(now, previous);
  return `${previous.toString(36).padStart(9, '0')}${counter.toString(36).padStart(2, '0')}${processPart}`.toUpperCase();
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
  stateBeforeDeliver,
}: Transaction): WaitingContext {
  const { edits: _, ...rest } = stateBeforeDeliver ?? state;
  return { connection, session, pipeline, startedAt, state: rest };
}
