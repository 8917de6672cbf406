/** The plugins that come with an installation: folders under plugins/ that hold an index file. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Their names, in byte order. Folders that begin with `_` are templates, not plugins.
 * @param installDirectory absolute; this installation's own when absent
 */
export function bundledPlugins(
  installDirectory: string = fileURLToPath(new URL('../..', import.meta.url)),
): string[] {
  const directory = join(installDirectory, 'plugins');
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[a-z]/.test(entry.name))
    .map((entry) => entry.name)
    .filter((name) => ['index.ts', 'index.js'].some((file) => existsSync(join(directory, name, file))))
    .sort();
}
