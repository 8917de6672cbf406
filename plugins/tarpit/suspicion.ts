/** Who is suspect, by what plugins before said of the client. */
import type { HookInput, Json } from 'mailfilter/plugin';

export const suspicions = ['listed', 'helo', 'trapped', 'limited', 'early'] as const;
export type Suspicion = (typeof suspicions)[number];

export function isSuspect({ results, session }: HookInput, wanted: readonly Suspicion[]): boolean {
  return wanted.some((suspicion) => signs[suspicion](results, session));
}

const signs: Readonly<
  Record<Suspicion, (results: HookInput['results'], session: HookInput['session']) => boolean>
> = {
  listed: ({ dnsbl }) => has(dnsbl, 'listed') && !has(dnsbl, 'allowed'),
  helo: (results) => has(results['helo-checks'], 'findings'),
  trapped: ({ spamtrap }) => field(spamtrap, 'marked') === true || has(spamtrap, 'trapped'),
  limited: (results) => has(results['rate-limit'], 'over'),
  early: (_, { talkedEarly }) => talkedEarly !== undefined,
};

/** The list of that name is there, and not empty. */
function has(result: Json | undefined, name: string): boolean {
  const value = field(result, name);
  return Array.isArray(value) && value.length > 0;
}

function field(result: Json | undefined, name: string): Json | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  return (result as { readonly [key: string]: Json })[name];
}
