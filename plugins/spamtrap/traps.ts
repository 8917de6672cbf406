/** Addresses that nobody has: single ones, whole domains, and patterns of local parts. RFC 5321 section 2.4. */

export interface Traps {
  has(address: string): boolean;
}

/** @throws Error for an entry that is none of these, or that would take in every address */
export function readTraps(entries: readonly string[]): Traps {
  const exact = new Set<string>();
  const patterns: RegExp[] = [];
  for (const entry of entries.map((each) => each.toLowerCase())) {
    const at = entry.lastIndexOf('@');
    if (at < 0 || at === entry.length - 1 || entry.slice(at).includes('*') || entry.startsWith('*@')) {
      throw new Error(
        `traps: "${entry}" is no address, no @domain, and no pattern such as old-*@example.org`,
      );
    }
    if (entry.includes('*')) patterns.push(patternOf(entry));
    else exact.add(entry);
  }
  return {
    has(address) {
      const lower = address.toLowerCase();
      const domain = lower.slice(lower.lastIndexOf('@'));
      return exact.has(lower) || exact.has(domain) || patterns.some((pattern) => pattern.test(lower));
    },
  };
}

/** A local part has 64 octets: few stars are as many as can differ, and bound the time. */
const starsMax = 3;

function patternOf(entry: string): RegExp {
  const parts = entry.split('*');
  if (parts.length - 1 > starsMax) throw new Error(`traps: "${entry}" has more than ${starsMax} stars`);
  const quoted = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${quoted.join('[^@]{0,64}')}$`);
}
