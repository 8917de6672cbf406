/** The plugins that come with this installation: folders under plugins/ that hold an index file. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pluginsDirectory = fileURLToPath(new URL('../../plugins/', import.meta.url));

/** Their names, in byte order. Folders that begin with `_` are templates, not plugins. */
export function bundledPlugins(): string[] {
  return readdirSync(pluginsDirectory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'))
    .map((entry) => entry.name)
    .filter((name) => ['index.ts', 'index.js'].some((file) => existsSync(join(pluginsDirectory, name, file))))
    .sort();
}
