/** definePlugin and the check of a plugin's shape: what a plugin file exports as default. */
import { type HookName, hookNames, type Power, powerNames } from '../session/powers.ts';
import type {
  DisposeContext,
  EffectName,
  Effects,
  Hooks,
  OptionSchemas,
  PluginKind,
  PluginManifest,
  RuleLanguage,
  SetupContext,
} from './hooks.ts';
import { ruleLanguages } from './hooks.ts';
import type { OptionsOf } from './options.ts';

/**
 * A plugin as its author writes it. `Schemas` are the options' JSON Schemas, `Required` the names that must be given,
 * `Prepared` what setup answers.
 */
export interface PluginDefinition<
  Schemas extends OptionSchemas = OptionSchemas,
  Required extends keyof Schemas & string = never,
  Prepared = undefined,
> extends Effects {
  /** Lower case letters, digits and hyphens; results, state and traces go by it. */
  readonly name: string;
  /** One JSON Schema per option; hooks see the options with the types these describe. */
  readonly options?: Schemas;
  /** Options that the config must give. */
  readonly required?: readonly Required[];
  /** Powers without which the plugin makes no sense; a door that lacks one is a config error. */
  readonly needs?: readonly Power[];
  /** `connection`: all hooks of one connection run in one thread; losing that thread is then a failure. Default `any`. */
  readonly affinity?: 'any' | 'connection';
  /**
   * Languages of which the deliver hook loads the active script each time: `scripts.load` then answers in the thread,
   * without asking the core, as long as the script is the one of the message before.
   */
  readonly scripts?: readonly RuleLanguage[];
  /**
   * Runs once per thread and config entry, before any hook; a rejection keeps the plugin from starting. What it answers
   * is `context.prepared` in every hook of that entry: compiled rules, a table, a client. Stands above `hooks`, so that
   * its type is known there.
   */
  readonly setup?: (context: SetupContext<OptionsOf<Schemas, Required>>) => Prepared | Promise<Prepared>;
  /** Runs once for each setup that went well, when the thread ends in good order. */
  readonly dispose?: (
    context: DisposeContext<OptionsOf<Schemas, Required>, Prepared>,
  ) => void | Promise<void>;
  readonly hooks: Hooks<OptionsOf<Schemas, Required>, Prepared>;
}

/** A checked plugin of any options. */
export interface Plugin {
  readonly manifest: PluginManifest;
  readonly hooks: Hooks<unknown, unknown>;
  readonly setup?: (context: SetupContext<unknown>) => unknown;
  readonly dispose?: (context: DisposeContext<unknown, unknown>) => unknown;
}

/**
 * Types a plugin; its result is what the plugin file exports as default. Option types are inferred from the schemas:
 * an option is present when it has a `default`, stands in `required`, or is a list (empty when left out). The type of
 * `context.prepared` is what `setup` answers or resolves to; without a setup it is undefined.
 *
 * @throws TypeError at load when a name, hook or effect is not one that exists
 * @example
 * export default definePlugin({
 *   name: 'no-helo-ip',
 *   hooks: {
 *     helo: ({ session }) => (/^[\d.]+$/.test(session.helo) ? reject(550, '5.7.1', 'bare address in HELO') : undefined),
 *   },
 * });
 */
export function definePlugin<
  const Schemas extends OptionSchemas = Record<never, never>,
  const Required extends keyof Schemas & string = never,
  Prepared = undefined,
>(definition: PluginDefinition<Schemas, Required, Prepared>): PluginDefinition<Schemas, Required, Prepared> {
  readPlugin(definition);
  return definition;
}

const kinds: readonly PluginKind[] = ['verify', 'score', 'mutate', 'sign', 'deliver'];

/**
 * What a plugin file exports as default, checked at load, for it may not have been compiled.
 * @throws TypeError saying what is wrong
 */
export function readPlugin(exported: unknown): Plugin {
  if (typeof exported !== 'object' || exported === null) {
    throw new TypeError('the default export is no plugin; it should be definePlugin({ ... })');
  }
  const definition = exported as Readonly<Record<string, unknown>>;
  const name = definition.name;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]{0,63}$/.test(name)) {
    throw new TypeError(
      `plugin name ${JSON.stringify(name)} is not of lower case letters, digits and hyphens`,
    );
  }
  for (const key of Object.keys(definition)) {
    if (!definitionKeys.includes(key)) throw new TypeError(`plugin ${name} has the unknown key "${key}"`);
  }
  return {
    manifest: readManifest(name, definition),
    hooks: definition.hooks as Hooks<unknown, unknown>,
    setup: readFunction(name, 'setup', definition.setup) as Plugin['setup'],
    dispose: readFunction(name, 'dispose', definition.dispose) as Plugin['dispose'],
  };
}

const definitionKeys: readonly string[] = [
  'name',
  'options',
  'required',
  'needs',
  'affinity',
  'scripts',
  'setup',
  'dispose',
  'hooks',
  'kind',
  'reads',
  'writes',
];

function readManifest(name: string, definition: Readonly<Record<string, unknown>>): PluginManifest {
  const options = readOptions(name, definition.options);
  const affinity = definition.affinity ?? 'any';
  if (affinity !== 'any' && affinity !== 'connection')
    throw new TypeError(`plugin ${name}: affinity is any or connection`);
  if (definition.kind !== undefined && !kinds.includes(definition.kind as PluginKind)) {
    throw new TypeError(`plugin ${name}: kind is one of ${kinds.join(', ')}`);
  }
  return {
    name,
    hooks: readHookNames(name, definition.hooks),
    effects: {
      kind: definition.kind as PluginKind | undefined,
      reads: readEffects(name, 'reads', definition.reads),
      writes: readEffects(name, 'writes', definition.writes),
    },
    options,
    requiredOptions: readWords(name, 'required', definition.required, Object.keys(options)),
    needs: readWords(name, 'needs', definition.needs, powerNames) as Power[],
    affinity,
    scripts: readWords(name, 'scripts', definition.scripts, ruleLanguages) as RuleLanguage[],
  };
}

function readOptions(name: string, options: unknown): OptionSchemas {
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`plugin ${name}: options is an object of JSON Schemas`);
  }
  // A manifest crosses threads: whatever JSON cannot say must not be in a schema.
  return JSON.parse(JSON.stringify(options)) as OptionSchemas;
}

function readHookNames(name: string, hooks: unknown): HookName[] {
  if (typeof hooks !== 'object' || hooks === null) throw new TypeError(`plugin ${name} has no hooks`);
  for (const [hook, value] of Object.entries(hooks)) {
    if (!(hookNames as readonly string[]).includes(hook)) {
      throw new TypeError(`plugin ${name} has the unknown hook "${hook}"; hooks are ${hookNames.join(', ')}`);
    }
    if (typeof value !== 'function') throw new TypeError(`plugin ${name}: the hook ${hook} is no function`);
  }
  return hookNames.filter((hook) => Object.hasOwn(hooks, hook));
}

function readEffects(name: string, key: string, effects: unknown): readonly EffectName[] | undefined {
  if (effects === undefined) return undefined;
  const known = /^(?:header:(?:\*|[!-9;-~]+)|body|sender|recipients)$/;
  if (
    !Array.isArray(effects) ||
    !effects.every((effect) => typeof effect === 'string' && known.test(effect))
  ) {
    throw new TypeError(
      `plugin ${name}: ${key} holds header:*, header:<name>, body, sender and recipients only`,
    );
  }
  return effects as EffectName[];
}

function readWords(name: string, key: string, words: unknown, known: readonly string[]): string[] {
  if (words === undefined) return [];
  const unknown = Array.isArray(words) ? words.find((word) => !known.includes(word as string)) : words;
  if (!Array.isArray(words) || unknown !== undefined) {
    throw new TypeError(`plugin ${name}: ${key} names "${String(unknown)}", which does not exist`);
  }
  return words as string[];
}

function readFunction(name: string, key: string, value: unknown): unknown {
  if (value !== undefined && typeof value !== 'function')
    throw new TypeError(`plugin ${name}: ${key} is no function`);
  return value;
}
