/** Variables of an rcfile while it is converted: those whose value is known, and those that a script has to keep itself. */
import type { Expansion } from '../expand.ts';
import type { Item } from '../rcfile.ts';
import { CannotConvert } from './cannot-convert.ts';
import { placeholder } from './sieve-text.ts';

type Known =
  | { readonly kind: 'text'; readonly text: string }
  /** A variable of the script's. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'unknown'; readonly reason: string };

export class ConversionScope {
  readonly positional: readonly string[] = [];
  readonly #known = new Map<string, Known>();
  /** Set within a block: what they hold depends on the mail. */
  readonly #varying = new Set<string>();

  constructor(variables: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(variables)) this.#known.set(name, { kind: 'text', text });
  }

  /**
   * Reads what a file assigns before it is converted.
   * @param inBlock the file is included within one
   * @returns variables with a text so far, which the script has to keep from here on
   */
  enter(items: readonly Item[], inBlock: boolean): { readonly name: string; readonly text: string }[] {
    const kept: { name: string; text: string }[] = [];
    for (const name of new Set(assignedInBlocks(items, inBlock))) {
      if (this.#varying.has(name)) continue;
      this.#varying.add(name);
      const text = this.textOf(name);
      if (settings.has(name)) continue;
      if (text !== undefined) kept.push({ name, text });
      if (this.#known.get(name)?.kind !== 'unknown') this.setKept(name);
    }
    return kept;
  }

  /** Its text, or a placeholder for the script's variable. @throws CannotConvert */
  get(name: string): string {
    const known = this.#known.get(name);
    if (known?.kind === 'text') return known.text;
    if (known?.kind === 'unknown') throw new CannotConvert(`${name} ${known.reason}`);
    if (known === undefined) throw new CannotConvert(whyNotKnown(name));
    return placeholder(sieveName(name));
  }

  isVarying(name: string): boolean {
    return this.#varying.has(name);
  }

  /** Undefined where it is not known before mail comes. */
  textOf(name: string): string | undefined {
    const known = this.#known.get(name);
    return known?.kind === 'text' ? known.text : undefined;
  }

  setText(name: string, text: string): void {
    this.#known.set(name, { kind: 'text', text });
  }

  setKept(name: string): void {
    this.#known.set(name, { kind: 'kept' });
  }

  /** @param reason continues a sentence that begins with the name */
  setUnknown(name: string, reason: string): void {
    this.#known.set(name, { kind: 'unknown', reason });
  }

  forget(name: string): void {
    this.#known.delete(name);
  }
}

/** Variables that tell procmail how to run, not what to do with the mail. */
export const settings: ReadonlySet<string> = new Set([
  ...['LOGFILE', 'LOGABSTRACT', 'LOG', 'VERBOSE', 'COMSAT', 'UMASK', 'PATH', 'SHELL', 'SHELLFLAGS'],
  ...['SHELLMETAS', 'LINEBUF', 'TIMEOUT', 'LOCKFILE', 'LOCKEXT', 'LOCKSLEEP', 'LOCKTIMEOUT', 'SUSPEND'],
  ...['NORESRETRY', 'SENDMAIL', 'SENDMAILFLAGS', 'PROCMAIL_VERSION', 'MSGPREFIX', 'ORGMAIL', 'TZ'],
  ...['DROPPRIVS', 'LINEBUF', 'MAILDIR', 'DEFAULT'],
]);

/** RFC 5229 section 3: names are letters, digits and underscores, of either case alike. */
export function sieveName(name: string): string {
  return name.toLowerCase();
}

/** @throws CannotConvert where a program's output is wanted */
export function expanded<Result>(expansion: Expansion<Result>): Result {
  const step = expansion.next();
  if (!step.done) throw new CannotConvert(`it needs the output of a program: ${step.value}`);
  return step.value;
}

function assignedInBlocks(items: readonly Item[], inBlock = false): string[] {
  return items.flatMap((item) => {
    if (item.kind === 'assignment') return inBlock ? [item.name] : [];
    return item.action.kind === 'block' ? assignedInBlocks(item.action.items, true) : [];
  });
}

function whyNotKnown(name: string): string {
  if (/^\d$/.test(name)) return `$${name} is an argument of procmail's command line`;
  if (name === 'MATCH') return 'MATCH would have to come from another recipe';
  if (/^[=?$#-]$/.test(name)) return `$${name} is known to procmail alone`;
  return `${name} is set nowhere in the rcfile`;
}
