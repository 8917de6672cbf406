/** Keys that rules remember beyond one message: who had a vacation answer, which messages came before. */
import { createHash } from 'node:crypto';
import type { DeliverInput, HookContext } from 'mailfilter/plugin';

export type SeenKind = 'vacation' | 'duplicate';

/** The key in the plugin's state: of one length, whatever a script makes of it. */
export function stateKey(kind: SeenKind, key: string, user: string): string {
  return `${kind}/${user}/${createHash('sha256').update(key).digest('base64url')}`;
}

/** What this very message set, in a run that is repeated, is not "before". */
export async function seenBefore(
  kind: SeenKind,
  key: string,
  { id, user }: Pick<DeliverInput, 'id' | 'user'>,
  { state }: Pick<HookContext, 'state'>,
): Promise<boolean> {
  const holder = await state.get(stateKey(kind, key, user));
  return holder !== undefined && !String(holder).startsWith(`${id}/`);
}
