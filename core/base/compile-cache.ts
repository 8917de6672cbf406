/** Node's cache of compiled code, as far as it is handed on and trusted: what lies there is run. */
import { lstatSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { errnoOf } from './errors.ts';

/**
 * The environment of a thread or process that shall use the cache of this one: neither takes part in it unless its
 * environment names it. Where others could write to it by now, nobody does.
 */
export function withCompileCache(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE: _, ...others } = environment;
  const directory = trustedCacheDirectory();
  // What is given is the folder of one version of Node, what is asked for the folder of all.
  return directory === undefined ? others : { ...others, NODE_COMPILE_CACHE: dirname(directory) };
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

/** Of a folder that is this user's or root's; root's own may be closed to who root has become. */
function modeOfOurs(directory: string): number | undefined {
  try {
    const stat = lstatSync(directory);
    return stat.isDirectory() && (stat.uid === 0 || stat.uid === process.getuid?.()) ? stat.mode : undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'EACCES' || errno === 'ENOTDIR') return undefined;
    throw error;
  }
}
