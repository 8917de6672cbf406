/** The plugins of a config: that they load, that options, order and doors fit, and which hooks a door never raises. */
import { readFileSync } from 'node:fs';
import { describeError } from '../../core/base/errors.ts';
import { silentLog } from '../../core/base/log.ts';
import type { Config, ListenerProtocol } from '../../core/config/config.ts';
import { placeOf } from '../../core/config/place.ts';
import { checkPipeline } from '../../core/pipeline/check.ts';
import { askManifests, type ManifestAnswer } from '../../core/pipeline/manifests.ts';
import type { PluginManifest } from '../../core/plugin/hooks.ts';
import { type DoorName, doors } from '../../core/session/powers.ts';
import type { Finding } from './check.ts';
import { openOnePipeline } from './one-pipeline.ts';

export async function checkPlugins(config: Config): Promise<Finding[]> {
  const specifiers = [
    ...new Set(Object.values(config.pipelines).flatMap((entries) => entries.map(({ plugin }) => plugin))),
  ];
  const answers = await askManifests(specifiers);
  const manifests = new Map(specifiers.map((specifier, index) => [specifier, answers[index]!]));
  const text = readFileSync(config.file, 'utf8');
  const at = (pointer: string): string => {
    const { line, column } = placeOf(text, pointer);
    return `${config.file}:${line}:${column}`;
  };
  const findings: Finding[] = [];
  for (const name of Object.keys(config.pipelines)) {
    const found = checkOne(name, config, manifests, at);
    const fits = found.every(({ severity }) => severity !== 'error');
    findings.push(...(fits ? ((await failedSetup(name, config, at)) ?? found) : found));
  }
  return findings;
}

/** Files that a plugin reads at its start are found missing now, and not when the server starts. */
async function failedSetup(
  name: string,
  config: Config,
  at: (pointer: string) => string,
): Promise<Finding[] | undefined> {
  if (config.pipelines[name]!.length === 0) return undefined;
  try {
    const pipelines = await openOnePipeline(config, name, silentLog);
    await pipelines.close();
    return undefined;
  } catch (error) {
    return [plugin('error', at(`/pipelines/${name}`), describeError(error))];
  }
}

function checkOne(
  name: string,
  config: Config,
  manifests: ReadonlyMap<string, ManifestAnswer>,
  at: (pointer: string) => string,
): Finding[] {
  const entries = config.pipelines[name] ?? [];
  const answers = entries.map(({ plugin }) => manifests.get(plugin)!);
  const broken = answers.flatMap((answer, index): Finding[] =>
    'error' in answer
      ? [
          plugin(
            'error',
            at(`/pipelines/${name}/${index}`),
            `${entries[index]!.plugin} does not load: ${answer.error}`,
          ),
        ]
      : [],
  );
  if (broken.length > 0) return broken;
  const loaded = answers.flatMap((answer): PluginManifest[] =>
    'manifest' in answer ? [answer.manifest] : [],
  );
  const { problems } = checkPipeline(name, entries, loaded, doorsOf(name, config));
  const findings = problems.map(({ severity, pointer, message }) => plugin(severity, at(pointer), message));
  if (problems.some(({ severity }) => severity === 'error')) return findings;
  const names = loaded.map((manifest) => manifest.name).join(', ');
  return [plugin('ok', at(`/pipelines/${name}`), `pipeline ${name}: ${names || 'no plugins'}`), ...findings];
}

function plugin(severity: Finding['severity'], where: string, what: string): Finding {
  return { severity, area: 'plugin', where, what };
}

/** The doors whose mail runs through that pipeline, each once. */
function doorsOf(pipeline: string, config: Config): DoorName[] {
  const protocols = config.listeners
    .filter((listener) => listener.pipeline === pipeline)
    .map(({ protocol }) => protocol);
  return [...new Set(protocols)].filter(isDoor);
}

function isDoor(protocol: ListenerProtocol): protocol is ListenerProtocol & DoorName {
  return Object.hasOwn(doors, protocol);
}
