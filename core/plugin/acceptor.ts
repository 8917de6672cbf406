/**
 * JSON Schemas as functions that are made once for all processes of a user: to load ajv and to compile a schema takes longer
 * than all else that a small command does. They lie beside Node's own cache of compiled code, in a folder that nobody else
 * can write to, and only where there is one. What is wrong with a value they do not say; who has to know asks ajv.
 */
import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { trustedCacheDirectory } from '../base/compile-cache.ts';

/** True for a value that is right, whose defaults are then filled in; a wrong one may hold some of them. */
export type Acceptor = (value: unknown) => boolean;

/** Changes when what is written for the same schema does. */
const format = 1;

const require = createRequire(import.meta.url);

/**
 * Undefined where there is no cache.
 * @param schema draft-07; what it does not say of itself (unknown words, formats) is not checked
 * @throws Error when the schema is unusable
 */
export function cachedAcceptor(schema: object): Acceptor | undefined {
  const directory = trustedCacheDirectory();
  if (directory === undefined) return undefined;
  const key = createHash('sha256')
    .update(`${format} ${JSON.stringify(schema)}`)
    .digest('hex');
  const file = join(directory, `schema-${key.slice(0, 32)}.cjs`);
  if (!existsSync(file) && !write(file, codeOf(schema))) return undefined;
  return load(file);
}

/** What a crash left of a file is no reason not to start. */
function load(file: string): Acceptor | undefined {
  try {
    const accepts: unknown = require(file);
    if (typeof accepts === 'function') return accepts as Acceptor;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  rmSync(file, { force: true });
  return undefined;
}

function codeOf(schema: object): string {
  const { Ajv } = require('ajv') as typeof import('ajv');
  const { default: standalone } =
    require('ajv/dist/standalone') as typeof import('ajv/dist/standalone/index.js');
  const ajv = new Ajv({
    useDefaults: true,
    strict: false,
    validateFormats: false,
    code: { source: true },
  });
  return (
    standalone(ajv, ajv.compile(schema))
      // The length of a text in characters: from there ajv itself cannot be found.
      .replace(/require\("ajv\/dist\/runtime\/ucs2length"\)\.default/g, '(text) => [...text].length')
  );
}

/** False where it cannot be written, or needs more of ajv at run time. */
function write(file: string, code: string): boolean {
  if (/\brequire\("/.test(code)) return false;
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, code, { mode: 0o600 });
    renameSync(draft, file);
    return true;
  } catch {
    // It takes longer without, and nothing else: a full disk is told of by who keeps mail on it.
    rmSync(draft, { force: true });
    return false;
  }
}
