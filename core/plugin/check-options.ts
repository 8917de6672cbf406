/** Checks the options of a config entry against a plugin's schemas, and fills in defaults. JSON Schema draft-07, by ajv. */
import { createRequire } from 'node:module';
import type { Ajv, ErrorObject } from 'ajv';
import type { Json } from '../base/json.ts';
import { nearest } from '../base/nearest.ts';
import { cachedAcceptor } from './acceptor.ts';
import type { PluginManifest } from './hooks.ts';
import { optionsSchema } from './options.ts';

export interface OptionsCheck {
  /** A copy with every default filled in. */
  readonly options: Readonly<Record<string, Json>>;
  /** ajv's own errors, with values (`verbose`), paths from the options object; empty when all is well. */
  readonly errors: readonly ErrorObject[];
}

/** Keywords that ajv does not know are annotations: plugins may carry more for editors than we check. */
const lenient = { strict: false, validateFormats: false } as const;

let schemaJudge: Ajv | undefined;

/**
 * @param trusted the schemas are known to be right, as those of bundled plugins, which tests look at: judging schemas
 *   takes ten times as long as judging options
 * @throws Error when a schema of the plugin itself is unusable
 */
export function checkOptions(
  { name, options: schemas, requiredOptions }: Pick<PluginManifest, 'name' | 'options' | 'requiredOptions'>,
  given: Readonly<Record<string, Json>>,
  { trusted = false } = {},
): OptionsCheck {
  const schema = optionsSchema(schemas, requiredOptions);
  try {
    const options = structuredClone(given);
    if (cachedAcceptor(schema)?.(options)) return { options, errors: [] };
    return explain(schema, structuredClone(given), trusted);
  } catch (error) {
    throw new Error(`the option schemas of plugin ${name} are unusable: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** As ajv says it, which is loaded only for that. */
function explain(schema: object, options: Record<string, Json>, trusted: boolean): OptionsCheck {
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof import('ajv');
  if (!trusted) {
    schemaJudge ??= new Ajv(lenient);
    schemaJudge.validateSchema(schema, true);
  }
  const ajv = new Ajv({
    ...lenient,
    allErrors: true,
    useDefaults: true,
    verbose: true,
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  });
  const validate = ajv.compile(schema);
  return { options, errors: validate(options) ? [] : (validate.errors ?? []) };
}

/** `/zones/0: must be string`; for an unknown name the names there are, and the nearest of them. */
export function describeOptionError(error: ErrorObject): { pointer: string; message: string } {
  const { instancePath: pointer, keyword, params, parentSchema } = error;
  switch (keyword) {
    case 'additionalProperties': {
      const unknown = String(params.additionalProperty);
      const known = Object.keys((parentSchema?.properties ?? {}) as object);
      return {
        pointer: `${pointer}/${pointerToken(unknown)}`,
        message: `unknown option "${unknown}"; expected ${known.length === 0 ? 'none' : `one of ${known.join(', ')}`}${didYouMean(unknown, known)}`,
      };
    }
    case 'required':
      return { pointer, message: `the option "${String(params.missingProperty)}" is missing` };
    case 'enum': {
      const allowed = params.allowedValues as unknown[];
      const hint = typeof error.data === 'string' ? didYouMean(error.data, allowed.map(String)) : '';
      return {
        pointer,
        message: `found ${show(error.data)}, expected one of ${allowed.map(show).join(', ')}${hint}`,
      };
    }
    default:
      return { pointer, message: `found ${show(error.data)}, which ${error.message ?? `fails ${keyword}`}` };
  }
}

function didYouMean(word: string, known: readonly string[]): string {
  const suggestion = nearest(word, known);
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}

/** RFC 6901 section 3. */
function pointerToken(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
