/** The TypeScript types of a plugin's options, inferred from their JSON Schemas. */
import type { OptionSchema, OptionSchemas } from './hooks.ts';

/** The value that a schema describes; `unknown` for what is not typed at compile time. */
export type ValueOf<Schema> = Schema extends { readonly enum: readonly (infer Choice)[] }
  ? Choice
  : Schema extends { readonly type: 'string' }
    ? string
    : Schema extends { readonly type: 'number' | 'integer' }
      ? number
      : Schema extends { readonly type: 'boolean' }
        ? boolean
        : Schema extends { readonly type: 'array' }
          ? readonly ItemOf<Schema>[]
          : Schema extends { readonly type: 'object' }
            ? ObjectOf<Schema>
            : unknown;

type ItemOf<Schema> = Schema extends { readonly items: infer Items } ? ValueOf<Items> : unknown;

type ObjectOf<Schema> = Schema extends { readonly properties: infer Properties }
  ? OptionsOf<Properties, Schema extends { readonly required: readonly (infer Key)[] } ? Key : never>
  : Schema extends { readonly additionalProperties: infer Values extends OptionSchema }
    ? { readonly [key: string]: ValueOf<Values> }
    : { readonly [key: string]: unknown };

/** A default makes an option present; so does being a list, which is empty when the config leaves it out. */
type Present<Schema> = Schema extends { readonly default: unknown }
  ? true
  : Schema extends { readonly type: 'array' }
    ? true
    : false;

/** The options as hooks see them. `Required` are the names that the config must give. */
export type OptionsOf<Schemas, Required = never> = Flat<
  {
    readonly [Name in keyof Schemas as IsPresent<Schemas, Name, Required> extends true
      ? Name
      : never]: ValueOf<Schemas[Name]>;
  } & {
    readonly [Name in keyof Schemas as IsPresent<Schemas, Name, Required> extends true
      ? never
      : Name]?: ValueOf<Schemas[Name]>;
  }
>;

type IsPresent<Schemas, Name extends keyof Schemas, Required> = Name extends Required
  ? true
  : Present<Schemas[Name]>;

/** One object type instead of an intersection, for readable messages and completion. */
type Flat<Type> = { readonly [Key in keyof Type]: Type[Key] };

/**
 * The schema of the whole options object: unknown names are errors, and a list without a default is empty, here and
 * in the objects within.
 */
export function optionsSchema(schemas: OptionSchemas, required: readonly string[]): OptionSchema {
  return withEmptyLists({ type: 'object', properties: schemas, required, additionalProperties: false });
}

function withEmptyLists(schema: OptionSchema): OptionSchema {
  const { properties, items, required = [] } = schema;
  if (properties === undefined && items === undefined) return schema;
  return {
    ...schema,
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => {
          const inner = withEmptyLists(property);
          const missing = inner.type === 'array' && inner.default === undefined && !required.includes(name);
          return [name, missing ? { ...inner, default: [] } : inner];
        }),
      ),
    }),
    ...(items !== undefined && { items: withEmptyLists(items) }),
  };
}
