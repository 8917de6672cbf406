/** The whole server under strace: no 250 is written to a socket before the message it is about would outlast a power cut. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { requireProgram } from '../kit/require.ts';
import { Disk } from './disk.ts';
import { type Durability, textOf } from './server-load.ts';
import { type Recording, recordServer } from './server-recording.ts';

for (const durability of ['journal', 'file'] as const) {
  test(`${durability}: what a 250 is about is on disk before it`, async (t) => {
    const recording = await record(t, durability);
    if (!recording) return;
    assert.deepEqual(tooEarly(recording, durability), []);
    t.diagnostic(`${recording.acknowledgements.length} answers`);
    // What is sought is found where it is missing.
    const without = durability === 'journal' ? ['fdatasync'] : ['fsync'];
    const calls = recording.calls.filter(({ name }) => !without.includes(name));
    assert.notDeepEqual(tooEarly({ ...recording, calls }, durability), []);
  });
}

async function record(t: TestContext, durability: Durability): Promise<Recording | undefined> {
  if (!requireProgram(t, 'strace')) return undefined;
  return recordServer({ durability, letters: 24, slowSyncs: true });
}

/** Answers that were begun while nothing that is synced held the message. */
function tooEarly({ root, calls, acknowledgements }: Recording, durability: Durability): string[] {
  const disk = new Disk(root, calls);
  return acknowledgements.flatMap(({ letter, id, start }) => {
    const world = [...disk.worldAt(start, () => false)];
    const text = textOf(letter.number);
    const promised = world.filter(([path]) => path.startsWith(`${root}/data/journal/`));
    const wire = text.replaceAll('\n', '\r\n');
    const isHeld = (needle: string) => promised.some(([, octets]) => octets?.includes(needle));
    const copies = world.filter(
      ([path, octets]) => /\/new\/[^/]*$/.test(path) && octets?.toString('latin1').endsWith(`\n${text}`),
    );
    const isSafe =
      durability === 'journal'
        ? isHeld(wire) && isHeld(`"${id}`)
        : copies.length === letter.recipients.length;
    return isSafe ? [] : [`letter ${letter.number} was answered with 250 ${id} before it was safe`];
  });
}
