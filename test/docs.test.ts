/** What the documents list is what the code has: RFCs, the bundled plugins and their options, links between documents. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { loadManifests } from '../core/pipeline/manifests.ts';
import { bundledPlugins } from '../core/plugin/bundled.ts';
import { projectRoot } from './kit/require.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const sources = globSync(['core/**/*.ts', 'src/**/*.{ts,js}', 'plugins/**/*.ts', 'rules/**/*.ts'], {
  cwd: projectRoot,
});

/** Cells of the rows below a table's head, trimmed. */
function rowsOf(text: string, firstTitle: string): string[][] {
  const lines = text.split('\n');
  const head = lines.findIndex((line) => new RegExp(`^\\| *${firstTitle} *\\|`).test(line));
  assert.notEqual(head, -1, `no table that begins with ${firstTitle}`);
  const end = lines.findIndex((line, index) => index > head && !line.startsWith('|'));
  return lines.slice(head + 2, end === -1 ? undefined : end).map((line) =>
    line
      .slice(1, line.lastIndexOf('|'))
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

const rfcs = rowsOf(read('docs/rfc.md'), 'RFC').map(([number, , kept, where]) => ({
  number: Number(number),
  kept: kept!,
  where: /\]\(\.\.\/(.+)\)/.exec(where!)?.[1],
}));

test('every RFC in the list is mentioned where the list says, and what is not kept at all has no place', () => {
  for (const { number, kept, where } of rfcs) {
    assert.match(kept, /^(?:yes|partial|no)$/, `RFC ${number}`);
    if (where === undefined) assert.equal(kept, 'no', `RFC ${number} names no file`);
    else assert.match(read(where), new RegExp(`RFC ${number}\\b`), `${where} says nothing of RFC ${number}`);
  }
  const numbers = rfcs.map(({ number }) => number);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
});

test('every RFC that the code mentions is in the list', () => {
  const listed = new Set(rfcs.map(({ number }) => number));
  const missing = sources.flatMap((file) =>
    [...read(file).matchAll(/RFC (\d+)/g)]
      .filter(([, number]) => !listed.has(Number(number)))
      .map(([mention]) => `${file}: ${mention}`),
  );
  assert.deepEqual(missing, []);
});

test('every bundled plugin is listed and has a README whose options are its own, defaults included', async () => {
  const listed = rowsOf(read('plugins/README.md'), 'plugin').map(([name]) => /\[(.+?)\]/.exec(name!)?.[1]);
  const names = bundledPlugins();
  assert.deepEqual([...listed].sort(), [...names].sort());
  const manifests = await loadManifests(names);
  for (const { name, options, requiredOptions = [] } of manifests) {
    const rows = rowsOf(read(`plugins/${name}/README.md`), 'option');
    const documented = new Map(
      rows.flatMap(([cell, value]) =>
        // `zones[].score` is a part of an option, told beside it.
        [...cell!.matchAll(/`(\w+)`/g)].map(([, option]) => [option!, value!] as const),
      ),
    );
    assert.deepEqual([...documented.keys()].sort(), Object.keys(options).sort(), name);
    for (const [option, value] of documented) {
      const { default: preset } = options[option] as { default?: unknown };
      if (requiredOptions.includes(option)) assert.equal(value, 'required', `${name}: ${option}`);
      else if (value.startsWith('`'))
        assert.equal(value, `\`${JSON.stringify(preset)}\``, `${name}: ${option}`);
      else assert.equal(value, preset === undefined ? '' : 'see below', `${name}: ${option}`);
    }
  }
});

test('links between documents lead somewhere', () => {
  const documents = globSync(['*.md', '{core,docs,packaging,plugins,rules,src,test}/**/*.md'], {
    cwd: projectRoot,
  });
  assert.ok(documents.includes('README.md') && documents.includes('docs/rfc.md'));
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target]) => target!)
      .filter((target) => !existsSync(join(projectRoot, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  );
  assert.deepEqual(broken, []);
});
