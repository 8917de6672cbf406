/** Schemas as functions kept on disk: they say what ajv says, they fill in what ajv fills in, and they need no ajv. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Ajv } from 'ajv';
import { configSchema } from '../../../core/config/schema.ts';
import { loadManifests } from '../../../core/pipeline/manifests.ts';
import { cachedAcceptor } from '../../../core/plugin/acceptor.ts';
import { bundledPlugins } from '../../../core/plugin/bundled.ts';
import { optionsSchema } from '../../../core/plugin/options.ts';

const schema = {
  type: 'object',
  properties: { name: { type: 'string', minLength: 2 }, count: { type: 'integer', default: 3 } },
  required: ['name'],
  additionalProperties: false,
};

test('without a cache of compiled code there is none', () => {
  assert.equal(getCompileCacheDir(), undefined);
  assert.equal(cachedAcceptor(schema), undefined);
});

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-compiled-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const written = () => readdirSync(getCompileCacheDir()!).filter((name) => name.startsWith('schema-'));

test('it accepts, refuses and fills in, and is written once', () => {
  enableCompileCache(folder);
  const accepts = cachedAcceptor(schema)!;
  const value = { name: 'ab' };
  assert.equal(accepts(value), true);
  assert.deepEqual(value, { name: 'ab', count: 3 });
  // Two UTF-16 units, one character.
  for (const wrong of [{}, { name: '😀' }, { name: 'ab', more: 1 }, { name: 'ab', count: '3' }, null]) {
    assert.equal(accepts(wrong), false);
  }
  assert.equal(written().length, 1);
  assert.equal(cachedAcceptor(structuredClone(schema)), accepts);
  assert.equal(written().length, 1);
  assert.throws(() => cachedAcceptor({ type: 'object', properties: { a: { type: 'strnig' } } }));
});

test('a file that a crash cut off is made again', () => {
  const other = { type: 'array', maxItems: 2 };
  for (const left of ['', '"use strict"; module.exports = (']) {
    const before = written();
    const key = createHash('sha256')
      .update(`1 ${JSON.stringify({ ...other, title: left })}`)
      .digest('hex');
    const file = join(getCompileCacheDir()!, `schema-${key.slice(0, 32)}.cjs`);
    writeFileSync(file, left);
    assert.equal(cachedAcceptor({ ...other, title: left }), undefined);
    assert.deepEqual(written(), before, 'it is gone, and the next process makes it anew');
  }
});

test('a folder that others can write to is not believed', () => {
  const inner = getCompileCacheDir()!;
  const trusted = (outerMode: number, innerMode: number) => {
    chmodSync(folder, outerMode);
    chmodSync(inner, innerMode);
    return cachedAcceptor(schema) !== undefined;
  };
  assert.equal(trusted(0o777, 0o755), false);
  assert.equal(trusted(0o755, 0o775), false);
  assert.equal(trusted(0o755, 0o755), true);
  assert.equal(trusted(0o700, 0o775), true);
});

test('the config and the options of every bundled plugin need no ajv, and get the same defaults', async () => {
  const manifests = await loadManifests(bundledPlugins());
  const schemas = manifests.map(({ options, requiredOptions }) => optionsSchema(options, requiredOptions));
  for (const each of [configSchema, ...schemas]) {
    const accepts = cachedAcceptor(each)!;
    const ajv = new Ajv({ useDefaults: true, strict: false, validateFormats: false }).compile(each);
    for (const given of [{}, { hostname: 'mx.example.test', dataDirectory: 'data' }]) {
      const [ours, theirs] = [structuredClone(given), structuredClone(given)];
      assert.equal(accepts(ours), ajv(theirs));
      assert.deepEqual(ours, theirs);
    }
  }
  for (const name of written()) {
    assert.doesNotMatch(readFileSync(join(getCompileCacheDir()!, name), 'utf8'), /require\(/);
  }
});
