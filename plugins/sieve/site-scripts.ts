/** The site's own scripts: those before and after the users', the one for users who have none, and those to include. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

export interface SiteScript {
  readonly name: string;
  readonly source: string;
}

interface SiteOptions {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly default?: string;
  readonly global?: string;
}

/** Read when the plugin starts, and again at a reload: no message waits for them. */
export interface SiteScripts {
  readonly before: readonly SiteScript[];
  readonly after: readonly SiteScript[];
  readonly default: SiteScript | undefined;
  /** For `include :global`, by name. */
  readonly global: ReadonlyMap<string, SiteScript>;
}

/** @throws Error of the system that names the file */
export function readSiteScripts(options: SiteOptions, baseDirectory: string): SiteScripts {
  const all = (paths: readonly string[]) =>
    paths.flatMap((path) => readScripts(resolve(baseDirectory, path)));
  const globals = options.global === undefined ? [] : all([options.global]);
  return {
    before: all(options.before),
    after: all(options.after),
    default: options.default === undefined ? undefined : readScript(resolve(baseDirectory, options.default)),
    global: new Map(globals.map((script) => [script.name, script])),
  };
}

/** A file, or the `.sieve` files of a folder in the order of their names. */
function readScripts(path: string): SiteScript[] {
  if (!statSync(path).isDirectory()) return [readScript(path)];
  const names = readdirSync(path).filter((name) => name.endsWith('.sieve'));
  return names.sort().map((name) => readScript(join(path, name)));
}

function readScript(path: string): SiteScript {
  return { name: basename(path, '.sieve'), source: readFileSync(path, 'utf8') };
}
