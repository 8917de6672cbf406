/** The schema for editors: fresh, and as strict about plugins' options as the server is. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Ajv, type ValidateFunction } from 'ajv';
import { editorSchema, editorSchemaText } from '../../../core/config/editor-schema.ts';
import { loadManifests } from '../../../core/pipeline/manifests.ts';
import { bundledPlugins } from '../../../core/plugin/bundled.ts';
import type { PluginManifest } from '../../../core/plugin/hooks.ts';
import { demoRules } from '../../../src/cli/demo-messages.ts';
import { projectRoot } from '../../kit/require.ts';

let manifests: PluginManifest[];
let validate: ValidateFunction;
before(async () => {
  manifests = await loadManifests(bundledPlugins());
  const ajv = new Ajv({ allowUnionTypes: true, strict: false });
  validate = ajv.compile(editorSchema(manifests));
});

test('mailfilter.schema.json is what the code says', () => {
  const written = readFileSync(join(projectRoot, 'mailfilter.schema.json'), 'utf8');
  assert.ok(written === editorSchemaText(manifests), 'run "npm run schema" and commit the file');
});

test('the order of the manifests does not matter', () => {
  assert.equal(editorSchemaText(manifests.toReversed()), editorSchemaText(manifests));
});

const entries: readonly { name: string; entry: unknown; fine: boolean }[] = [
  { name: 'a bundled name', entry: 'strip-origin', fine: true },
  { name: 'an unknown name', entry: 'strip-orgin', fine: false },
  { name: 'a bare name of a plugin that needs options', entry: 'header-rules', fine: false },
  { name: 'a path', entry: './mine.ts', fine: true },
  {
    name: 'a path with free options',
    entry: { plugin: './mine.ts', options: { anything: [1] } },
    fine: true,
  },
  {
    name: 'options of a bundled plugin',
    entry: { plugin: 'header-rules', options: { rules: [demoRules.edit] } },
    fine: true,
  },
  { name: 'an unknown option', entry: { plugin: 'header-rules', options: { rulez: [] } }, fine: false },
  { name: 'no options where some are required', entry: { plugin: 'header-rules' }, fine: false },
  {
    name: 'an option of a wrong type',
    entry: { plugin: 'strip-origin', options: { received: 1 } },
    fine: false,
  },
  {
    name: 'a secret for a string in a list',
    entry: { plugin: 'strip-origin', options: { extraHeaders: [{ env: 'X' }] } },
    fine: true,
  },
  { name: 'an unknown key beside the plugin', entry: { plugin: 'strip-origin', timeout: 1 }, fine: false },
];
for (const { name, entry, fine } of entries) {
  test(`${fine ? 'takes' : 'marks'} ${name}`, () => {
    const config = { hostname: 'mx.example.org', dataDirectory: 'data', pipelines: { p: [entry] } };
    assert.equal(validate(config), fine, JSON.stringify(validate.errors, null, 1));
  });
}
