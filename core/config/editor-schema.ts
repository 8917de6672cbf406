/** The schema that editors complete mailfilter.json from: the config's own, with every bundled plugin and its options. */
import type { OptionSchema, PluginManifest } from '../plugin/hooks.ts';
import { optionsSchema } from '../plugin/options.ts';
import type { JsonSchema } from './schema/words.ts';
import { configSchema } from './schema.ts';

/** @param manifests of the bundled plugins; their order does not matter */
export function editorSchema(manifests: readonly PluginManifest[]): JsonSchema {
  const sorted = manifests.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const { properties, ...rest } = configSchema as { properties: Readonly<Record<string, JsonSchema>> };
  const pipelines = properties.pipelines as { additionalProperties: { items: JsonSchema } };
  const { items: entry, ...list } = pipelines.additionalProperties;
  return {
    ...rest,
    properties: {
      ...properties,
      pipelines: {
        ...pipelines,
        additionalProperties: { ...list, items: { $ref: '#/definitions/pipelineEntry' } },
      },
    },
    definitions: {
      secret: secretSchema,
      pipelineEntry: entrySchema(entry, sorted),
      ...Object.fromEntries(sorted.map((manifest) => [`options:${manifest.name}`, pluginOptions(manifest)])),
    },
  };
}

/** The file as it is written: stable, so that a difference means a change. */
export function editorSchemaText(manifests: readonly PluginManifest[]): string {
  return `${JSON.stringify(withoutExpects(editorSchema(manifests)), null, 2)}\n`;
}

const secretSchema: JsonSchema = {
  description: 'A secret kept elsewhere: in the environment, or in a file of its own.',
  oneOf: [
    {
      type: 'object',
      properties: { env: { type: 'string' } },
      required: ['env'],
      additionalProperties: false,
    },
    {
      type: 'object',
      properties: { file: { type: 'string' } },
      required: ['file'],
      additionalProperties: false,
    },
  ],
};

const pathSchema: JsonSchema = {
  type: 'string',
  pattern: '^[./]',
  description: 'Path of a plugin file, relative to the config.',
};

function entrySchema(entry: JsonSchema, manifests: readonly PluginManifest[]): JsonSchema {
  const { description, properties } = entry as {
    description: string;
    properties: Record<string, JsonSchema>;
  };
  const names = manifests.map(({ name }) => name);
  // A plugin that must be given options makes no sense as a bare name.
  const bare = manifests
    .filter(({ requiredOptions }) => requiredOptions.length === 0)
    .map(({ name }) => name);
  return {
    description,
    anyOf: [
      { type: 'string', enum: bare, description: 'A bundled plugin as it is.' },
      pathSchema,
      {
        type: 'object',
        properties: { ...properties, plugin: { anyOf: [{ type: 'string', enum: names }, pathSchema] } },
        required: ['plugin'],
        additionalProperties: false,
        allOf: manifests.map(optionsOfEntry),
      },
    ],
  };
}

function optionsOfEntry({ name, requiredOptions }: PluginManifest): JsonSchema {
  return {
    if: { properties: { plugin: { const: name } }, required: ['plugin'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: { options: { $ref: `#/definitions/options:${name}` } },
      ...(requiredOptions.length > 0 ? { required: ['options'] } : {}),
    },
  };
}

function pluginOptions({ options, requiredOptions }: PluginManifest): JsonSchema {
  return allowSecrets(optionsSchema(options, requiredOptions));
}

/** A string that an operator types may come from elsewhere; one of a fixed choice has nothing to hide. */
function allowSecrets(schema: OptionSchema): JsonSchema {
  if (schema.type === 'string' && schema.enum === undefined && schema.const === undefined) {
    const { description, ...rest } = schema;
    return {
      ...(description === undefined ? {} : { description }),
      anyOf: [rest, { $ref: '#/definitions/secret' }],
    };
  }
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, property]) => [name, allowSecrets(property)]),
          ),
        }),
    ...(items === undefined ? {} : { items: allowSecrets(items) }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: allowSecrets(additionalProperties) }
      : {}),
  };
}

/** `expects` words our own messages; other readers of the schema do not know it. */
function withoutExpects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutExpects);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) =>
      key === 'expects' && typeof member === 'string' ? [] : [[key, withoutExpects(member)]],
    ),
  );
}
