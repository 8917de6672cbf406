/** What an address becomes by an alias table: nested aliases, subaddresses, catch-alls. A library without I/O. */
import { joinAddress, splitAddress } from 'mailfilter/mail';

/** Keys in lower case: `local@domain`, `local` (in every domain of ours) or `@domain`. Targets as written. */
export interface AliasTable {
  readonly entries: ReadonlyMap<string, readonly string[]>;
  /** Asked after `entries`, by the same keys: a database. Targets are checked as those of entries are. */
  readonly stored?: (key: string) => readonly string[] | undefined;
  /** Asked by whole addresses that nothing else names, before a catch-all. */
  readonly matched?: (address: string) => readonly string[] | undefined;
  /** Domains of ours, lower case: bare names count in these. */
  readonly domains: ReadonlySet<string>;
}

export interface ExpandOptions {
  readonly subaddressSeparator: string;
  readonly keepDetail: boolean;
  readonly expansionMax: number;
  /** The address has a mailbox: a catch-all leaves it alone. */
  readonly known: boolean;
}

/** Sendmail's limit is 10; deeper nesting is a mistake. */
const depthMax = 20;

/**
 * The addresses that take the place of one, each once, or undefined when the table does not name it. An alias may name
 * itself: it then keeps its own copy.
 * @throws Error for a loop, for nesting too deep and for more than `expansionMax` addresses
 */
export function expand(
  table: AliasTable,
  address: string,
  options: ExpandOptions,
): readonly string[] | undefined {
  const first = lookUp(table, address, options, !options.known);
  if (!first) return undefined;
  const expansion = new Expansion(table, options);
  expansion.follow(address, first, [compareKey(address)]);
  return [...expansion.targets.values()];
}

/**
 * Tries every entry once, so that a loop is found before it meets mail.
 * @throws Error as `expand` does
 */
export function checkEntries(table: AliasTable, options: Omit<ExpandOptions, 'known'>): void {
  const keys = [...table.entries.keys()].slice(0, checkedEntriesMax);
  for (const key of keys) {
    if (key.startsWith('@')) continue;
    const addresses =
      splitAddress(key).domain === '' ? [...table.domains].map((domain) => `${key}@${domain}`) : [key];
    for (const address of addresses) expand(table, address, { ...options, known: false });
  }
}

/** About a second; in larger tables a loop is found when mail meets it, and is a failure then. */
const checkedEntriesMax = 100_000;

class Expansion {
  readonly #table: AliasTable;
  readonly #options: ExpandOptions;
  /** By key, so that one mailbox written in two ways is one recipient. */
  readonly targets = new Map<string, string>();
  readonly #followed = new Set<string>();

  constructor(table: AliasTable, options: ExpandOptions) {
    this.#table = table;
    this.#options = options;
  }

  follow(address: string, targets: readonly string[], path: readonly string[]): void {
    if (path.length > depthMax)
      throw new Error(`aliases are nested too deeply: ${path.slice(0, 5).join(' -> ')} ...`);
    for (const target of targets) {
      const key = compareKey(target);
      // Itself: postmaster: postmaster, alice. The mailbox of that name is meant.
      if (key === compareKey(address) || key === path.at(-1)) this.#take(key, target);
      else if (path.includes(key)) throw new Error(`alias loop: ${[...path, key].join(' -> ')}`);
      else this.#descend(key, target, path);
    }
  }

  #descend(key: string, target: string, path: readonly string[]): void {
    if (this.#followed.has(key)) return;
    this.#followed.add(key);
    // A catch-all serves what came from outside; a target without an alias of its own is a mailbox.
    const nested = lookUp(this.#table, target, this.#options, false);
    if (nested) this.follow(target, nested, [...path, key]);
    else this.#take(key, target);
  }

  #take(key: string, target: string): void {
    this.targets.set(key, this.targets.get(key) ?? target);
    if (this.targets.size > this.#options.expansionMax) {
      throw new Error(`an alias becomes more than ${this.#options.expansionMax} addresses`);
    }
  }
}

/** Targets of the first entry that fits, complete: bare names have got a domain. */
function lookUp(
  table: AliasTable,
  address: string,
  { subaddressSeparator, keepDetail }: ExpandOptions,
  catchAll: boolean,
): readonly string[] | undefined {
  const { local, domain } = splitAddress(address);
  const cut = subaddressSeparator === '' ? -1 : local.indexOf(subaddressSeparator, 1);
  const base = cut < 0 ? undefined : local.slice(0, cut);
  const candidates = [local, ...(base === undefined ? [] : [base])];
  for (const candidate of candidates) {
    const targets = entryFor(table, candidate, domain);
    const detail = keepDetail && candidate !== local ? local.slice(cut) : '';
    if (targets)
      return targets.map((target) => complete(target, candidate, domain, detail, subaddressSeparator));
  }
  const matched = table.matched?.(address);
  if (matched) return matched.map((target) => complete(target, local, domain, '', subaddressSeparator));
  const caught = catchAll ? named(table, `@${domain}`.toLowerCase()) : undefined;
  return caught?.map((target) => complete(target, local, domain, '', subaddressSeparator));
}

function entryFor(table: AliasTable, local: string, domain: string): readonly string[] | undefined {
  const exact = named(table, joinAddress(local, domain).toLowerCase());
  if (exact || (domain !== '' && !table.domains.has(domain))) return exact;
  return named(table, local.toLowerCase());
}

function named(table: AliasTable, key: string): readonly string[] | undefined {
  return table.entries.get(key) ?? table.stored?.(key);
}

/** `bob` means bob in the same domain, `@other.example` the same name in another. */
function complete(target: string, local: string, domain: string, detail: string, separator: string): string {
  if (target.startsWith('@')) return joinAddress(local + detail, target.slice(1));
  const own = splitAddress(target);
  const withDetail = detail === '' || own.local.includes(separator) ? own.local : own.local + detail;
  return joinAddress(withDetail, own.domain === '' ? domain : own.domain);
}

function compareKey(address: string): string {
  return address.toLowerCase();
}
