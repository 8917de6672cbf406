/** Node's cache of compiled code, as far as it is handed on and trusted: what lies there is run. */
import { lstatSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/** For a thread or process that shall use the cache of this one: neither takes part in it unless its environment names it. */
export function compileCacheEnvironment(): { NODE_COMPILE_CACHE?: string } {
  const directory = getCompileCacheDir();
  // What is given is the folder of one version of Node, what is asked for the folder of all.
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}

/** The folder of the cache; undefined without one, and where anybody but this user or root could write to it. */
export function trustedCacheDirectory(): string | undefined {
  const directory = getCompileCacheDir();
  if (directory === undefined) return undefined;
  const [inner, outer] = [modeOfOurs(directory), modeOfOurs(dirname(directory))];
  if (inner === undefined || outer === undefined || (outer & 0o022) !== 0) return undefined;
  // Below a folder that is closed to others a generous umask does no harm.
  return (inner & 0o022) === 0 || (outer & 0o077) === 0 ? directory : undefined;
}

/** Of a folder that is this user's or root's. */
function modeOfOurs(directory: string): number | undefined {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return undefined;
  return stat.uid === 0 || stat.uid === process.getuid?.() ? stat.mode : undefined;
}
