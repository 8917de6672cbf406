/** Secrets kept out of the config: `{ "env": "NAME" }` or `{ "file": "path" }` where a plugin's option expects a string. */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Json } from '../base/json.ts';
import { secretBytesMax } from '../base/limits/process.ts';
import { pointerStep } from './jsonc.ts';

export interface SecretProblem {
  readonly pointer: string;
  readonly found: string;
  readonly expected: string;
}

export interface SecretSource {
  readonly baseDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * The options with every reference below the first level replaced by what it names. An object whose only member is
 * `env` or `file` with a string is a reference; the options object itself never is, so that an option may be called `file`.
 */
export function resolveSecrets(
  options: Readonly<Record<string, Json>>,
  pointer: string,
  source: SecretSource,
  problems: SecretProblem[],
): Record<string, Json> {
  const members = Object.entries(options);
  return Object.fromEntries(
    members.map(([key, value]) => [key, resolveValue(value, pointer + pointerStep(key), source, problems)]),
  );
}

function resolveValue(value: Json, pointer: string, source: SecretSource, problems: SecretProblem[]): Json {
  if (Array.isArray(value)) {
    return value.map((item: Json, index) =>
      resolveValue(item, pointer + pointerStep(index), source, problems),
    );
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = value as Readonly<Record<string, Json>>;
  const keys = Object.keys(members);
  const [key] = keys;
  const named = key === undefined ? undefined : members[key];
  if (keys.length !== 1 || typeof named !== 'string') {
    return resolveSecrets(members, pointer, source, problems);
  }
  if (key === 'env') return fromEnvironment(named, pointer, source, problems);
  if (key === 'file') return fromFile(resolve(source.baseDirectory, named), pointer, problems);
  return resolveSecrets(members, pointer, source, problems);
}

function fromEnvironment(
  name: string,
  pointer: string,
  source: SecretSource,
  problems: SecretProblem[],
): string {
  const value = source.environment[name];
  if (value !== undefined && value !== '') return value;
  problems.push({
    pointer: `${pointer}/env`,
    found: value === undefined ? `${name}, which is not set` : `${name}, which is empty`,
    expected: 'the name of an environment variable that holds the secret',
  });
  return '';
}

/** The file's text without its last line end. */
function fromFile(path: string, pointer: string, problems: SecretProblem[]): string {
  let found: string;
  try {
    const { size } = statSync(path);
    if (size <= secretBytesMax) {
      const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      if (text !== '') return text;
      found = `${path}, which is empty`;
    } else {
      found = `${path} of ${size} octets`;
    }
  } catch (error) {
    found = `${path}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`;
  }
  problems.push({
    pointer: `${pointer}/file`,
    found,
    expected: 'a readable file that holds the secret alone',
  });
  return '';
}
