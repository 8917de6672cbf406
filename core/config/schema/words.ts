/** What the config's JSON Schema is written with: one function for each kind of value. */

export type JsonSchema = { readonly [keyword: string]: unknown };

export const text = (description: string, more: JsonSchema = {}): JsonSchema => ({
  type: 'string',
  minLength: 1,
  description,
  ...more,
});
export const choice = (description: string, values: readonly string[], fallback?: string): JsonSchema => ({
  type: 'string',
  enum: values,
  description,
  ...(fallback === undefined ? {} : { default: fallback }),
});
export const flag = (description: string, fallback: boolean): JsonSchema => ({
  type: 'boolean',
  description,
  default: fallback,
});
export const whole = (
  description: string,
  fallback: number,
  minimum: number,
  maximum: number,
): JsonSchema => ({
  type: 'integer',
  description,
  default: fallback,
  minimum,
  maximum,
});
export const list = (description: string, items: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'array',
  description,
  items,
  ...more,
});
/** A section without required keys may be left out whole: ajv then makes it of its defaults. */
export const section = (
  description: string,
  properties: JsonSchema,
  required: readonly string[] = [],
): JsonSchema => ({
  type: 'object',
  description,
  properties,
  additionalProperties: false,
  ...(required.length > 0 ? { required } : { default: {} }),
});

/** Names of listeners and pipelines: they stand in logs, messages and file names. */
export const names: JsonSchema = {
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9_.-]{0,63}$',
  expects: 'a name of letters, digits, - _ and . that begins with a letter',
};
export const socketAddress = (description: string): JsonSchema =>
  text(description, { examples: ['127.0.0.1:2525', '[::1]:2525', 'unix:/run/mailfilter/lmtp.sock'] });
