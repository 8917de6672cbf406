/** A zone as configured: the list, and what it is asked about. */
import { type DnsList, type ListDefaults, type ListOptions, readList } from '../../rules/dns-lists/list.ts';

export const asks = ['address', 'helo', 'sender', 'reverse'] as const;
export type Ask = (typeof asks)[number];

export interface Zone extends DnsList {
  readonly asks: ReadonlySet<Ask>;
  /** Some of its answers vouch for a client. */
  readonly vouches: boolean;
}

/** @throws Error for settings that cannot be */
export function readZones(
  options: readonly unknown[],
  { action, score }: Omit<ListDefaults, 'prefix' | 'action'> & { readonly action: string },
): readonly Zone[] {
  // The schema has seen to the words.
  const defaults = { action, score, prefix: 'DNSBL' } as ListDefaults;
  return options.map((option) => {
    const given = (typeof option === 'string' ? { zone: option } : option) as ListOptions & {
      readonly asks?: readonly Ask[];
    };
    const list = readList(given, defaults);
    const vouches = list.meanings.some((meaning) => meaning.action === 'allow');
    return { ...list, asks: new Set(given.asks ?? ['address']), vouches };
  });
}
