/** Options of a config entry against a plugin's schemas: defaults, mistakes, and schemas that are mistakes themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOptions, describeOptionError } from '../../../core/plugin/check-options.ts';

const zones = { type: 'array', items: { type: 'string' } } as const;
const manifest = {
  name: 'lists',
  options: { zones, score: { type: 'number', default: 2 } },
  requiredOptions: ['zones'],
} as const;

for (const trusted of [true, false]) {
  test(`defaults are filled in and what was given stays as it was (${trusted ? 'bundled' : 'a file'})`, () => {
    const given = { zones: ['bl.test'] };
    const { options, errors } = checkOptions(manifest, given, { trusted });
    assert.deepEqual(errors, []);
    assert.deepEqual(options, { zones: ['bl.test'], score: 2 });
    assert.deepEqual(given, { zones: ['bl.test'] });
  });

  test(`each mistake has its place (${trusted ? 'bundled' : 'a file'})`, () => {
    const { errors } = checkOptions(manifest, { score: 'high', zone: 'bl.test' }, { trusted });
    const told = errors.map(describeOptionError).map(({ pointer, message }) => `${pointer}: ${message}`);
    assert.deepEqual(told.sort(), [
      '/score: found "high", which must be number',
      '/zone: unknown option "zone"; expected one of zones, score; did you mean "zones"?',
      ': the option "zones" is missing',
    ]);
  });
}

test('a schema that says nothing that can be checked is the fault of the plugin', () => {
  const broken = {
    name: 'broken',
    options: { size: { type: 'string', minLength: 'long' } },
    requiredOptions: [],
  };
  // As it comes from a file: no compiler has looked at it.
  const fromFile = JSON.parse(JSON.stringify(broken));
  assert.throws(
    () => checkOptions(fromFile, {}),
    /option schemas of plugin broken are unusable.*minLength must be integer/,
  );
});
