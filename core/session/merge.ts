/**
 * How the answers of plugins meet: the one place that joins verdicts, recipients, results, scores, symbols, auth and
 * edits. Everything is a value; a merge makes a new one.
 */
import type { Json } from '../base/json.ts';
import { applyEnvelopeEdits } from '../mail/apply-edits.ts';
import type { Edit } from '../mail/edit.ts';
import type { Envelope, Recipient, RecipientId } from '../mail/envelope.ts';
import type { Action } from './plan.ts';
import type { AuthResult, HookAnswer, ScoredSymbol } from './results.ts';
import { type PendingRecipient, rewriteRecipient } from './rewrite-recipient.ts';
import type { Verdict } from './verdict.ts';

/** What lasts from stage to stage of one transaction. */
export interface Gathered {
  /** Common edits so far, header and body only. */
  readonly edits: readonly Edit[];
  readonly recipientEdits: Readonly<Record<RecipientId, readonly Edit[]>>;
  readonly results: Readonly<Record<string, Json>>;
  readonly score: number;
  readonly symbols: readonly ScoredSymbol[];
  readonly auth: readonly AuthResult[];
  /** A plugin said accept. */
  readonly accepted: boolean;
  /** Reason of the first quarantine. */
  readonly quarantine?: string;
}

/** Where a stage stands after some of its plugins. */
export interface Standing {
  readonly gathered: Gathered;
  /** Of the connection, of the transaction, or, within rcptTo and deliver, of the one recipient. */
  readonly verdict: Verdict;
  /** Where a recipient's verdict differs. */
  readonly recipients: Readonly<Record<RecipientId, Verdict>>;
  readonly actions: readonly Action[];
  readonly envelope?: Envelope;
  /** rcptTo only. */
  readonly pending?: PendingRecipient;
  /** No later plugin of the stage has anything to decide. */
  readonly ended: boolean;
}

const proceed: Verdict = { action: 'continue' };
const noRecipients = {};
const noActions: readonly Action[] = [];

/** The standing before the first plugin of a stage; a quarantine of an earlier stage still holds. */
export function beginStage(gathered: Gathered, envelope?: Envelope, recipient?: Recipient): Standing {
  const held = gathered.quarantine;
  return {
    gathered,
    verdict: held === undefined ? proceed : { action: 'quarantine', reason: held },
    recipients: noRecipients,
    actions: noActions,
    envelope,
    pending: recipient && { recipient, added: [] },
    ended: false,
  };
}

/**
 * One more answer, all or nothing.
 * @param answer as readAnswer gives it
 * @throws OperationalError `bad-edit` when the envelope cannot take an edit; the standing is as it was
 */
export function mergeAnswer(standing: Standing, plugin: string, answer: HookAnswer): Standing {
  const told = exemptNamed(answer, standing);
  const verdict =
    told.verdict === undefined ? standing.verdict : mergeVerdict(standing.verdict, told.verdict);
  const recipients = mergeRecipientVerdicts(standing.recipients, told);
  const gathered = gather(standing.gathered, plugin, told, verdict);
  const edited = editEnvelope(standing, told.edits);
  const merged: Standing = {
    gathered,
    verdict: edited.verdict === undefined ? verdict : mergeVerdict(verdict, edited.verdict),
    recipients,
    actions: told.actions === undefined ? standing.actions : [...standing.actions, ...told.actions],
    envelope: edited.envelope,
    pending: edited.pending,
    ended: false,
  };
  return hasEnded(merged, told.verdict) ? { ...merged, ended: true } : merged;
}

/**
 * The first refusal or discard stands; a quarantine gives way to a refusal alone; accept and continue give way to all
 * but continue.
 */
export function mergeVerdict(current: Verdict, next: Verdict): Verdict {
  if (ends(current) || next.action === 'continue') return current;
  if (current.action === 'quarantine' && next.action !== 'reject' && next.action !== 'tempfail')
    return current;
  return next;
}

/** True for the verdicts that end a stage. */
export function ends(verdict: Verdict): boolean {
  return verdict.action === 'reject' || verdict.action === 'tempfail' || verdict.action === 'discard';
}

/**
 * An answer that ends the stage for all but some recipients must not end it: the plugins that follow have yet to see
 * the mail of those. Its verdict becomes that of each recipient it did not name.
 */
function exemptNamed(answer: HookAnswer, { envelope }: Standing): HookAnswer {
  const { verdict, recipients } = answer;
  if (verdict === undefined || recipients === undefined || envelope === undefined || !ends(verdict))
    return answer;
  const exempted = Object.values(recipients).some((part) => part.verdict !== undefined);
  if (!exempted) return answer;
  const spread = { ...recipients };
  for (const { id } of envelope.recipients) {
    if (spread[id]?.verdict === undefined) spread[id] = { ...spread[id], verdict };
  }
  return { ...answer, verdict: undefined, recipients: spread };
}

function mergeRecipientVerdicts(
  current: Readonly<Record<RecipientId, Verdict>>,
  answer: HookAnswer,
): Readonly<Record<RecipientId, Verdict>> {
  const { verdict, recipients } = answer;
  if (recipients === undefined && (verdict === undefined || current === noRecipients)) return current;
  const merged: Record<RecipientId, Verdict> = { ...current };
  // What is said to all is said to those as well whose verdict differs already.
  if (verdict !== undefined) {
    for (const [id, own] of Object.entries(current)) {
      if (recipients?.[id]?.verdict === undefined) merged[id] = mergeVerdict(own, verdict);
    }
  }
  for (const [id, part] of Object.entries(recipients ?? {})) {
    if (part.verdict !== undefined) merged[id] = mergeVerdict(current[id] ?? proceed, part.verdict);
  }
  return merged;
}

function gather(gathered: Gathered, plugin: string, answer: HookAnswer, verdict: Verdict): Gathered {
  const accepted = gathered.accepted || answer.verdict?.action === 'accept';
  const quarantine = gathered.quarantine ?? (verdict.action === 'quarantine' ? verdict.reason : undefined);
  const { symbols = [] } = answer;
  const messageEdits = answer.edits?.filter(isMessageEdit) ?? [];
  return {
    edits: messageEdits.length === 0 ? gathered.edits : [...gathered.edits, ...messageEdits],
    recipientEdits: gatherRecipientEdits(gathered.recipientEdits, answer),
    results:
      answer.result === undefined ? gathered.results : mergeResult(gathered.results, plugin, answer.result),
    score: gathered.score + (answer.score ?? 0),
    symbols: symbols.length === 0 ? gathered.symbols : Object.freeze([...gathered.symbols, ...symbols]),
    auth: answer.auth === undefined ? gathered.auth : [...gathered.auth, ...answer.auth],
    accepted,
    ...(quarantine !== undefined && { quarantine }),
  };
}

function gatherRecipientEdits(
  current: Gathered['recipientEdits'],
  { recipients }: HookAnswer,
): Gathered['recipientEdits'] {
  if (recipients === undefined) return current;
  const merged = { ...current };
  for (const [id, { edits }] of Object.entries(recipients)) {
    if (edits !== undefined) merged[id] = [...(merged[id] ?? []), ...edits];
  }
  return merged;
}

/** Objects join key by key over what the same plugin left before; any other value takes its place. */
function mergeResult(results: Gathered['results'], plugin: string, result: Json): Gathered['results'] {
  const before = results[plugin];
  const joined = isObject(before) && isObject(result) ? Object.freeze({ ...before, ...result }) : result;
  return Object.freeze({ ...results, [plugin]: joined });
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMessageEdit(edit: Edit): boolean {
  return edit.type !== 'changeSender' && edit.type !== 'addRecipient' && edit.type !== 'deleteRecipient';
}

type EditedEnvelope = Pick<Standing, 'envelope' | 'pending'> & { verdict?: Verdict };

function editEnvelope({ envelope, pending }: Standing, edits: readonly Edit[] | undefined): EditedEnvelope {
  if (edits === undefined || envelope === undefined) return { envelope, pending };
  if (pending === undefined) return { envelope: applyEnvelopeEdits(envelope, edits), pending };
  const rewritten = rewriteRecipient(pending, edits);
  return { ...rewritten, envelope: applyEnvelopeEdits(envelope, rewritten.others) };
}

function hasEnded(merged: Standing, told: Verdict | undefined): boolean {
  if (ends(merged.verdict) || (told !== undefined && ends(told))) return true;
  const ids = merged.envelope?.recipients;
  if (merged.recipients === noRecipients || ids === undefined || ids.length === 0) return false;
  return ids.every(({ id }) => {
    const own = merged.recipients[id];
    return own !== undefined && ends(own);
  });
}
