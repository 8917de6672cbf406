/** Who is notified of a message by mail: nobody twice, however many rules ask for it, as Pigeonhole has it. RFC 5436. */
import { Fault } from './fault.ts';
import type { Entry } from './plan.ts';
import type { Run } from './run.ts';

/**
 * Those of the addresses that no notification of this run goes to yet.
 * @throws Fault where there are too many
 */
export function notYetNotified(run: Run, addresses: readonly string[]): string[] {
  const known = notified(run);
  const fresh = new Map<string, string>();
  for (const address of addresses) {
    const key = keyOf(address);
    const entry = known.get(key);
    if (entry !== undefined && run.plan.entries.includes(entry)) continue;
    if (!fresh.has(key)) fresh.set(key, address);
  }
  const max = run.limits.notifyRecipientsMax;
  if (fresh.size > max) throw new Fault(`notify: more than ${max} recipients`);
  return [...fresh.values()];
}

export function rememberNotified(run: Run, addresses: readonly string[], entry: Entry): void {
  const known = notified(run);
  for (const address of addresses) known.set(keyOf(address), entry);
}

function notified(run: Run): Map<string, Entry> {
  const known = run.kept.get('notified') as Map<string, Entry> | undefined;
  if (known) return known;
  const none = new Map<string, Entry>();
  run.kept.set('notified', none);
  return none;
}

/** Domains have no case; whether local parts have is their host's affair. */
function keyOf(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at)}${address.slice(at).toLowerCase()}`;
}
