/**
 * What a request's stages added to its state, as it comes back from the thread: nothing that the core has already is
 * sent again.
 */
import type { Json } from '../base/json.ts';
import type { Edit } from '../mail/edit.ts';
import type { RecipientId } from '../mail/envelope.ts';
import type { AuthResult, ScoredSymbol } from '../session/results.ts';
import type { PipelineState } from './request.ts';

/** Lists hold what came behind those of before. */
export interface StateChange {
  readonly edits?: readonly Edit[];
  readonly recipientEdits?: Readonly<Record<RecipientId, readonly Edit[]>>;
  /** JSON of Shown: what plugins were shown is frozen, and frozen values take far longer to clone than text. */
  readonly shown?: string;
  /** The new sum. */
  readonly score?: number;
  readonly auth?: readonly AuthResult[];
  readonly accepted?: true;
  readonly quarantine?: string;
}

interface Shown {
  /** Those that are new or another than before. */
  readonly results: Readonly<Record<string, Json>>;
  readonly symbols: readonly ScoredSymbol[];
}

/** @param after grown out of `before`: what did not change is the same object there */
export function stateChange(before: PipelineState, after: PipelineState): StateChange {
  const { edits, recipientEdits, score, auth, accepted, quarantine } = after;
  return {
    ...(edits.length > before.edits.length && { edits: edits.slice(before.edits.length) }),
    ...(recipientEdits !== before.recipientEdits && {
      recipientEdits: addedEdits(before.recipientEdits, recipientEdits),
    }),
    ...((after.results !== before.results || after.symbols !== before.symbols) && {
      shown: JSON.stringify(newlyShown(before, after)),
    }),
    ...(score !== before.score && { score }),
    ...(auth.length > before.auth.length && { auth: auth.slice(before.auth.length) }),
    ...(accepted && !before.accepted && { accepted }),
    ...(quarantine !== before.quarantine && { quarantine }),
  };
}

/** The state after the change; `before` itself when nothing changed. */
export function changeState(before: PipelineState, change: StateChange): PipelineState {
  const { edits, recipientEdits, shown, auth, ...simple } = change;
  const { results, symbols }: Partial<Shown> = shown === undefined ? {} : (JSON.parse(shown) as Shown);
  if (Object.keys(change).length === 0) return before;
  return {
    ...before,
    ...simple,
    ...(edits !== undefined && { edits: [...before.edits, ...edits] }),
    ...(recipientEdits !== undefined && {
      recipientEdits: withAdded(before.recipientEdits, recipientEdits),
    }),
    ...(results !== undefined && { results: { ...before.results, ...results } }),
    ...(symbols !== undefined && { symbols: [...before.symbols, ...symbols] }),
    ...(auth !== undefined && { auth: [...before.auth, ...auth] }),
  };
}

function newlyShown(before: PipelineState, after: PipelineState): Shown {
  const results = Object.entries(after.results).filter(
    ([plugin, result]) => result !== before.results[plugin],
  );
  return { results: Object.fromEntries(results), symbols: after.symbols.slice(before.symbols.length) };
}

type RecipientEdits = PipelineState['recipientEdits'];

function addedEdits(before: RecipientEdits, after: RecipientEdits): RecipientEdits {
  const added = Object.entries(after).map(
    ([id, edits]) => [id, edits.slice(before[id]?.length ?? 0)] as const,
  );
  return Object.fromEntries(added.filter(([, edits]) => edits.length > 0));
}

function withAdded(before: RecipientEdits, added: RecipientEdits): RecipientEdits {
  const joined = Object.entries(added).map(([id, edits]) => [id, [...(before[id] ?? []), ...edits]] as const);
  return { ...before, ...Object.fromEntries(joined) };
}
