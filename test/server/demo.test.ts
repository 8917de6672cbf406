/** `npm run demo` on a terminal: a table that fits, places that exist, and commands that can be pasted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { displayWidth } from '../../src/cli/table.ts';
import { cloneProject, onFreePorts } from '../kit/clone.ts';
import { requireProgram } from '../kit/require.ts';

const clone = cloneProject({ installed: true });
before(() => onFreePorts(clone));
after(clone.remove);

test('npm run demo without a server: starts one, shows seven messages within the terminal, and ends it', async (t) => {
  if (requireProgram(t, 'script') === undefined || requireProgram(t, 'npm') === undefined) return;
  const terminal = clone.onTerminal('npm run demo');
  let shown = '';
  terminal.stdout!.on('data', (chunk) => {
    shown += chunk;
  });
  const [code] = await once(terminal, 'close');
  assert.equal(code, 0, shown);
  const lines = shown.replace(/\x1b\[\??[\d;]*[a-zA-Z]/g, '').split(/\r+\n?/);
  const title = lines.findIndex((line) => /^sent +octets +verdict/.test(line.trim()));
  const table = lines.slice(title, title + 8).map((line) => line.trim());
  assert.ok(title > 0 && table.every((line) => displayWidth(line) <= 100), shown);
  assert.match(table[5]!, /^one to refuse +\d+ +550 /);
  const places = lines.flatMap((line) => /: (\/.*\/new\/.*)$/.exec(line)?.[1] ?? []);
  assert.equal(places.length, 6, shown);
  for (const place of places) assert.ok(existsSync(place), place);
  const explain = /npx mailfilter explain \w+/.exec(shown)?.[0];
  const story = await clone.run(explain ?? 'false');
  assert.match(story.stdout, /^\w+: accepted in \d+ ms\n/, shown);
});
