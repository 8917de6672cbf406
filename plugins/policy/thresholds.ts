/** From a sum of points to what is done: one table of thresholds for the site, and what single users have of their own. */

export interface Thresholds {
  /** Called spam in the header. 0 here and below: never. */
  readonly mark: number;
  readonly junk: number;
  readonly greylist: number;
  readonly quarantine: number;
  readonly reject: number;
}

export type Decision = 'pass' | 'greylist' | 'quarantine' | 'reject';

/** The hardest that applies. */
export function decide(score: number, { greylist, quarantine, reject }: Thresholds): Decision {
  if (reaches(score, reject)) return 'reject';
  if (reaches(score, quarantine)) return 'quarantine';
  return reaches(score, greylist) ? 'greylist' : 'pass';
}

export function reaches(score: number, threshold: number): boolean {
  return threshold > 0 && score >= threshold;
}

export class ThresholdTable {
  readonly site: Thresholds;
  readonly #own: ReadonlyMap<string, Thresholds>;

  /** @param own by address or @domain, what differs from the site's */
  constructor(site: Thresholds, own: Readonly<Record<string, Partial<Thresholds>>>) {
    this.site = site;
    const entries = Object.entries(own).map(([key, part]): [string, Thresholds] => {
      return [key.toLowerCase(), { ...site, ...part }];
    });
    this.#own = new Map(entries);
  }

  /** Of an address, with or without a detail after `+`, else of its domain, else the site's. */
  of(address: string): Thresholds {
    const lower = address.toLowerCase();
    const at = lower.lastIndexOf('@');
    const plain = `${lower.slice(0, at).replace(/\+.*$/, '')}${lower.slice(at)}`;
    return (
      this.#own.get(lower) ?? this.#own.get(plain) ?? this.#own.get(lower.slice(Math.max(0, at))) ?? this.site
    );
  }
}
