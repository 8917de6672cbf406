/** Reads alias tables: from options, from files as aliases(5) describes them, with `address: targets` lines too, and from rows. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, resolve, sep } from 'node:path';
import { compareForm, isAddress, joinAddress } from 'mailfilter/mail';
import type { AliasDatabase } from './database.ts';
import type { AliasTable } from './expand.ts';
import { parseAliasLines, splitTargets } from './parse-aliases.ts';
import { compileAliasPatterns, type PatternSource } from './patterns.ts';

export interface TableSource {
  readonly table: Readonly<Record<string, unknown>>;
  readonly file?: string;
  readonly patterns?: readonly PatternSource[];
  /** Program targets that may be named, as written behind the bar, and the address that stands for each. */
  readonly programs?: Readonly<Record<string, unknown>>;
  readonly domains: readonly string[];
  /** The config's directory: relative paths start there, and included files must lie within it. */
  readonly baseDirectory: string;
}

/** A million short entries; more belongs in a database. */
const fileBytesMax = 64 * 1024 * 1024;

/** @throws Error naming the file, the line and what is wrong there */
export function readTable(
  { table, file, patterns = [], programs = {}, domains, baseDirectory }: TableSource,
  database?: AliasDatabase,
): AliasTable {
  const reader = new Reader(baseDirectory, programs);
  for (const [key, targets] of Object.entries(table)) {
    const list = Array.isArray(targets) ? targets.map(String) : splitTargets(String(targets));
    reader.add(key, list, `table: "${key}"`);
  }
  if (file !== undefined) {
    const path = isAbsolute(file) ? file : resolve(baseDirectory, file);
    for (const { key, targets, line } of parseAliasLines(readText(path), path)) {
      reader.add(key, targets, `${path}:${line}`);
    }
  }
  const match = compileAliasPatterns(patterns);
  return {
    entries: reader.entries,
    domains: new Set(domains.map((domain) => domain.toLowerCase())),
    ...(database && { stored: (key) => reader.stored(database.targets(key), key) }),
    ...(patterns.length > 0 && {
      matched: (address) => match(address)?.map((target) => reader.single(target, `patterns: "${address}"`)),
    }),
  };
}

class Reader {
  readonly entries = new Map<string, readonly string[]>();
  readonly #baseDirectory: string;
  readonly #programs: ReadonlyMap<string, string>;

  constructor(baseDirectory: string, programs: Readonly<Record<string, unknown>>) {
    this.#baseDirectory = baseDirectory;
    this.#programs = new Map(
      Object.entries(programs).map(([name, address]) => [name, programAddress(name, String(address))]),
    );
  }

  add(key: string, written: readonly string[], where: string): void {
    const name = readKey(key, where);
    if (this.entries.has(name)) throw new Error(`${where}: "${key}" has an entry already`);
    const targets = written.flatMap((target) => this.#target(target, where));
    if (targets.length === 0) throw new Error(`${where}: no targets`);
    this.entries.set(name, targets);
  }

  /** Rows of a database: lists within them, but no includes, which are read at the start alone. */
  stored(rows: readonly string[], key: string): readonly string[] | undefined {
    if (rows.length === 0) return undefined;
    return rows.flatMap(splitTargets).map((target) => this.single(target, `database: "${key}"`));
  }

  /** @throws Error for programs that are not named, for files, and for what is no address */
  single(target: string, where: string): string {
    const program = /^"?\|\s*(.*?)\s*"?$/.exec(target)?.[1];
    if (program === undefined) return readTarget(target, where);
    const address = this.#programs.get(program);
    if (address !== undefined) return address;
    throw new Error(
      `${where}: "${target}" is a program; name it in "programs", with an address whose route is a "pipe"`,
    );
  }

  #target(target: string, where: string): readonly string[] {
    const included = /^:include:\s*(.+)$/.exec(target)?.[1];
    return included === undefined ? [this.single(target, where)] : this.#include(included, where);
  }

  #include(file: string, where: string): readonly string[] {
    const path = resolve(this.#baseDirectory, file);
    // By its real path, so that no link leads out.
    const within = (directory: string) => realPath(path, where).startsWith(directory + sep);
    if (!within(realpathSync(this.#baseDirectory))) {
      throw new Error(`${where}: ${path} lies outside the config's directory and is not included`);
    }
    return readText(path)
      .split('\n')
      .flatMap((line, index) => {
        const text = line.replace(/#.*$/s, '').trim();
        return splitTargets(text).map((target) => this.single(target, `${path}:${index + 1}`));
      });
  }
}

function realPath(path: string, where: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new Error(`${where}: cannot include ${path}: ${(error as Error).message}`);
  }
}

function readText(path: string): string {
  const { size } = statSync(path);
  if (size > fileBytesMax) throw new Error(`${path} is larger than ${fileBytesMax} bytes`);
  return readFileSync(path, 'utf8');
}

/** A route's pipe serves whole addresses. */
function programAddress(name: string, address: string): string {
  if (address.includes('@') && isAddress(address)) return address;
  throw new Error(`programs: "${name}": "${address}" is no address`);
}

function readKey(key: string, where: string): string {
  const name = readName(key);
  if (name === undefined) throw new Error(`${where}: "${key}" is no address, name or @domain`);
  const lower = name.toLowerCase();
  return lower.includes('@') && !lower.startsWith('@') ? compareForm(lower) : lower;
}

/** @throws Error for files, which would be written with the server's rights, and for what is no address */
function readTarget(target: string, where: string): string {
  if (/^"?\//.test(target)) throw new Error(`${where}: "${target}" is a file; deliver to a mailbox instead`);
  if (target.startsWith(':')) throw new Error(`${where}: "${target}" is not known; :include:path is`);
  const name = readName(target.replace(/^\\/, ''));
  if (name === undefined) throw new Error(`${where}: "${target}" is no address`);
  return name;
}

/** An address, a bare local part without its quotes, or @domain; undefined for anything else. */
function readName(written: string): string | undefined {
  if (written.startsWith('@')) return isAddress(`x${written}`) ? written : undefined;
  // aliases(5) quotes whole names; quotes that the address grammar needs come before an @.
  const inner = /^"([^"\\]*)"$/.exec(written)?.[1];
  const name = inner ?? written;
  if (name.includes('@')) return isAddress(name) ? name : undefined;
  const complete = inner === undefined ? `${name}@domain.example` : joinAddress(inner, 'domain.example');
  return isAddress(complete) ? name : undefined;
}
