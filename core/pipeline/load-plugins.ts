/** Loads plugin files into this thread. `mailfilter/*` means this installation, wherever the plugin file lies. */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeError } from '../base/errors.ts';
import { type Plugin, readPlugin } from '../plugin/define.ts';

/** Once per thread, before any plugin is loaded. */
export function resolveToInstallation(installDirectory: string): void {
  // A package may import itself by its name: as if this installation asked, its own `exports` answer.
  const parentURL = pathToFileURL(join(installDirectory, 'package.json')).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      /^mailfilter(?:\/|$)/.test(specifier)
        ? next(specifier, { ...context, parentURL })
        : next(specifier, context),
  });
}

/**
 * @param file absolute path
 * @throws Error whose message tells the author what is wrong, and where
 */
export async function loadPlugin(file: string): Promise<Plugin> {
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new Error(describeLoadError(error), { cause: error });
  }
  return readPlugin(module.default);
}

/** Syntax errors carry file and line in the first lines of their stack, not in their message. */
function describeLoadError(error: unknown): string {
  const text = describeError(error);
  if (!(error instanceof SyntaxError)) return text;
  const where = /^(file:.*|\/.*):(\d+)$/m.exec(error.stack ?? '');
  return where === null ? text : `${text} (${where[1]}:${where[2]})`;
}
