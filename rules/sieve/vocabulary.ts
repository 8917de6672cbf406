/** The words that a script may use at some point of it: commands, tests, tags and what else its extensions bring. */
import { comparatorsAlwaysThere } from './comparators.ts';
import { baseMatchTypes, comparatorTag } from './match.ts';
import type { Offset } from './problems.ts';
import type { AddressPart, EnvelopePart, Extension, MatchType, Modifier, Spec, TagSpec } from './spec.ts';
import type { Use } from './use.ts';

/** Everything that scripts of one compilation may require, by name. */
export type Available = ReadonlyMap<string, Extension>;

const addressPartGroup = 'ADDRESS-PART';
const baseAddressParts: readonly AddressPart[] = [
  { name: 'all', part: (local, domain) => (domain === '' ? local : `${local}@${domain}`) },
  { name: 'localpart', part: (local) => local },
  { name: 'domain', part: (_local, domain) => domain },
];

export class Vocabulary {
  readonly #available: Available;
  readonly #enabled = new Map<string, Extension>();
  readonly #used = new Set<string>();
  readonly #requireAt = new Map<string, Offset>();
  readonly #specs = new Map<string, { spec: Spec; extension: string | undefined }>();

  constructor(available: Available, base: readonly Spec[]) {
    this.#available = available;
    for (const spec of base) this.#specs.set(specKey(spec.kind, spec.name), { spec, extension: undefined });
  }

  /** What is required and brought nothing that the script has used. */
  unusedRequires(): [name: string, at: Offset][] {
    return [...this.#requireAt].filter(([name]) => {
      const extension = this.#enabled.get(name);
      if (extension?.silent === true || this.#used.has(name)) return false;
      return extension?.implies?.some((each) => this.#used.has(each)) !== true;
    });
  }

  known(name: string, kind: Spec['kind']): { spec: Spec; extension: string | undefined } | undefined {
    return this.#specs.get(specKey(kind, name));
  }

  extensionNames(): readonly string[] {
    return [...this.#available.keys()];
  }

  knows(extension: string): boolean {
    return this.#available.has(extension);
  }

  /** True for a command or test that needs no require. */
  knowsBase(name: string): boolean {
    const known = this.known(name, 'command') ?? this.known(name, 'test');
    return known !== undefined && known.extension === undefined;
  }

  uses(extension: string): boolean {
    return this.#enabled.has(extension);
  }

  mark(extension: string): void {
    this.#used.add(extension);
  }

  /** @param at where it is required; absent for what comes with another extension or by ihave */
  enable(name: string, at?: Offset): void {
    const extension = this.#available.get(name)!;
    if (at !== undefined && !this.#requireAt.has(name)) this.#requireAt.set(name, at);
    if (this.#enabled.has(name)) return;
    this.#enabled.set(name, extension);
    for (const spec of extension.specs ?? [])
      this.#specs.set(specKey(spec.kind, spec.name), { spec, extension: name });
    for (const implied of extension.implies ?? []) if (this.knows(implied)) this.enable(implied);
  }

  /** An older extension and the newer one in its place, where one of them is `name` and the other is in use. */
  replacement(name: string): { readonly older: string; readonly newer: string } | undefined {
    const newer = this.#available.get(name)?.replacedBy;
    if (newer !== undefined && this.uses(newer)) return { older: name, newer };
    for (const extension of this.#enabled.values())
      if (extension.replacedBy === name) return { older: extension.name, newer: name };
    return undefined;
  }

  hasComparator(name: string): boolean {
    const extension = `comparator-${name}`;
    this.mark(extension);
    return comparatorsAlwaysThere.has(name) || this.uses(extension);
  }

  /** What a tag means for a command or test, undefined where it means nothing. */
  tag(spec: Spec, name: string): TagSpec | undefined {
    const own = spec.tags?.find((tag) => tag.name === name);
    if (own) return own;
    if (spec.matches && name === comparatorTag.name) return comparatorTag;
    const matchType = spec.matches ? this.#matchType(name)?.tag : undefined;
    if (matchType) return matchType;
    if (spec.addressPart && this.#addressPart(name)) return { name, group: addressPartGroup };
    for (const extension of this.#enabled.values()) {
      const tag = extension.tags?.[spec.name]?.find((each) => each.name === name);
      if (!tag) continue;
      this.mark(extension.name);
      return tag;
    }
    return undefined;
  }

  matchType(name: string): MatchType {
    return this.#matchType(name)!;
  }

  addressPart(use: Use): AddressPart {
    return this.#addressPart(use.groups.get(addressPartGroup) ?? 'all')!;
  }

  /** Modifiers of set that are there. */
  modifiers(): Modifier[] {
    return [...this.#enabled.values()].flatMap((extension) => extension.modifiers ?? []);
  }

  envelopePart(lowerName: string): EnvelopePart | undefined {
    for (const extension of this.#enabled.values()) {
      const part = extension.envelopeParts?.[lowerName];
      if (!part) continue;
      this.mark(extension.name);
      return part;
    }
    return undefined;
  }

  namespace(lowerName: string): NonNullable<Extension['namespaces']>[string] | undefined {
    for (const extension of this.#enabled.values()) {
      const namespace = extension.namespaces?.[lowerName];
      if (!namespace) continue;
      this.mark(extension.name);
      return namespace;
    }
    return undefined;
  }

  #matchType(name: string): MatchType | undefined {
    return this.#contributed(name, baseMatchTypes, 'matchTypes', (type) => type.tag.name);
  }

  #addressPart(name: string): AddressPart | undefined {
    return this.#contributed(name, baseAddressParts, 'addressParts', (part) => part.name);
  }

  #contributed<Kind extends 'matchTypes' | 'addressParts', Item extends NonNullable<Extension[Kind]>[number]>(
    name: string,
    base: readonly Item[],
    kind: Kind,
    nameOf: (item: Item) => string,
  ): Item | undefined {
    const known = base.find((item) => nameOf(item) === name);
    if (known) return known;
    for (const extension of this.#enabled.values()) {
      const found = (extension[kind] as readonly Item[] | undefined)?.find((item) => nameOf(item) === name);
      if (!found) continue;
      this.mark(extension.name);
      return found;
    }
    return undefined;
  }
}

/** A command and a test may have one name: convert has both. */
function specKey(kind: Spec['kind'], name: string): string {
  return `${kind} ${name}`;
}
