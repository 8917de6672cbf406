/** What plugins say of themselves, asked in a thread of their own: for `check` and for the config's schema. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeError } from '../base/errors.ts';
import { defaultLimits } from '../base/limits/settings.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { PluginManifest } from '../plugin/hooks.ts';
import { pluginFile } from './plugin-file.ts';
import { ThreadSlots } from './thread-slots.ts';

/** The installation that this file belongs to. */
const ownInstallation = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The heap of the thread that loads: for code, not for mail. */
const loadingMemoryMiB = 256;

export interface ManifestsInit {
  /** Default: the installation this code belongs to. */
  readonly installDirectory?: string;
  readonly log?: Log;
}

export type ManifestAnswer = { readonly manifest: PluginManifest } | { readonly error: string };

/**
 * One answer for each specifier, in order; a plugin that cannot be found or loaded is an error of its own. No setup
 * runs.
 * @param specifiers bundled names or absolute paths
 */
export async function askManifests(
  specifiers: readonly string[],
  init: ManifestsInit = {},
): Promise<ManifestAnswer[]> {
  const installDirectory = init.installDirectory ?? ownInstallation;
  const found = specifiers.map((specifier) => locate(specifier, installDirectory));
  const files = [...new Set(found.flatMap(({ file }) => file ?? []))];
  const loaded = await loadFiles(files, installDirectory, init.log ?? silentLog);
  return found.map(({ file, error }) => {
    if (file === undefined) return { error };
    const answer = loaded instanceof Error ? { error: loaded.message } : loaded[files.indexOf(file)]!;
    return 'error' in answer ? { error: answer.error } : { manifest: answer.manifest };
  });
}

/**
 * The manifests alone.
 * @throws Error that lists every plugin that cannot be loaded, and why
 */
export async function loadManifests(
  specifiers: readonly string[],
  init: ManifestsInit = {},
): Promise<PluginManifest[]> {
  const answers = await askManifests(specifiers, init);
  const errors = answers.flatMap((answer, index) =>
    'error' in answer ? `${specifiers[index]}: ${answer.error}` : [],
  );
  if (errors.length > 0) throw new Error(errors.join('\n'));
  return answers.flatMap((answer) => ('manifest' in answer ? answer.manifest : []));
}

type Located = { file: string; error?: undefined } | { file?: undefined; error: string };

function locate(specifier: string, installDirectory: string): Located {
  try {
    return { file: pluginFile(specifier, installDirectory) };
  } catch (error) {
    return { error: describeError(error) };
  }
}

/** An Error when the thread itself did not survive the loading. */
async function loadFiles(
  files: readonly string[],
  installDirectory: string,
  log: Log,
): Promise<readonly ManifestAnswer[] | Error> {
  if (files.length === 0) return [];
  const house = {
    installDirectory,
    baseDirectory: installDirectory,
    hostname: 'localhost',
    domains: [],
    limits: defaultLimits,
  };
  const threads = new ThreadSlots(
    { files, house, threads: 1, threadMemoryMiB: loadingMemoryMiB, log },
    {
      message: (message) => {
        if (message.type === 'output')
          log.info(message.event, { plugin: message.plugin, text: message.text });
      },
      died: () => {},
      ready: () => {},
      hopeless: () => {},
    },
  );
  try {
    return await threads.load();
  } catch (error) {
    return new Error(describeError(error));
  } finally {
    await threads.close();
  }
}
