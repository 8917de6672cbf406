/** Every conversation in this folder, played against a real door. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseDialogue, playDialogue } from '../kit/dialogue.ts';

const folder = new URL('.', import.meta.url);

for (const name of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  test(`dialogue ${name}`, (t) =>
    playDialogue(t, parseDialogue(readFileSync(new URL(name, folder), 'utf8'))));
}
