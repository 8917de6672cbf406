/** Where the file of a plugin lies: bundled plugins by name, others by their path. */
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { bundledPlugins } from '../plugin/bundled.ts';

/**
 * @param specifier a bundled name such as `dnsbl`, or an absolute path of a .ts or .js file
 * @throws Error saying what is missing, and which plugins are bundled
 */
export function pluginFile(specifier: string, installDirectory: string): string {
  if (isAbsolute(specifier)) {
    if (!existsSync(specifier)) throw new Error(`there is no file ${specifier}`);
    return specifier;
  }
  const directory = join(installDirectory, 'plugins');
  if (/^[a-z][a-z0-9-]*$/.test(specifier)) {
    const file = ['index.ts', 'index.js'].map((name) => join(directory, specifier, name)).find(existsSync);
    if (file !== undefined) return file;
  }
  const bundled = bundledPlugins(installDirectory);
  throw new Error(
    `no plugin is called "${specifier}"; bundled are ${bundled.join(', ')}; a file is given as ./path`,
  );
}
