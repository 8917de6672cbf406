/**
 * Power cuts under a whole server: from what it wrote and synced under load, worlds are built as a cut might have left
 * them, and the server starts in each. Every acknowledged letter is found, whole, exactly once.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type RandomSource, randomSource } from '../kit/random.ts';
import { requireProgram } from '../kit/require.ts';
import { startServer, type TestServer, until } from '../kit/server.ts';
import { campaign, logOf, queueOf } from '../server/observe.ts';
import { Disk, type World } from './disk.ts';
import { worldKinds } from './power-cut.ts';
import { type Format, judge, type Letter } from './server-load.ts';
import { type Recording, recordServer } from './server-recording.ts';
import { restore } from './world.ts';

const cases: { format: Format; kinds: string[] }[] = [
  { format: 'maildir', kinds: Object.keys(worldKinds) },
  // The journal is the same one: what differs is what becomes of the mailbox.
  {
    format: 'mbox',
    kinds: campaign ? Object.keys(worldKinds) : ['a random subset survives', 'writes are cut off'],
  },
];

for (const { format, kinds } of cases) {
  test(`the server starts in every world that a power cut may leave: ${format}`, async (t) => {
    if (!requireProgram(t, 'strace')) return;
    const random = randomSource(`power cuts ${format}`);
    const recording = await recordServer({ format, letters: campaign ? 400 : 60, keep: true });
    try {
      const disk = new Disk(recording.root, recording.calls);
      const moments = momentsOf(recording, campaign ? 20 : 1, random);
      for (const moment of moments) {
        for (const kind of kinds) {
          const world = disk.worldAt(
            moment,
            worldKinds[kind]!(() => random.below(2 ** 30) / 2 ** 30),
          );
          const where = `${kind}, cut at line ${moment}`;
          assert.deepEqual(
            await startIn(world, recording, heardBefore(recording, moment), format),
            [],
            where,
          );
        }
      }
      t.diagnostic(`${recording.acknowledgements.length} letters, ${moments.length} moments`);
    } finally {
      rmSync(dirname(recording.root), { recursive: true, force: true });
    }
  });
}

/** Right after answers: some of the first, some late ones, when segments were let go of. */
function momentsOf({ acknowledgements }: Recording, count: number, random: RandomSource): number[] {
  const late = acknowledgements.slice(Math.floor(acknowledgements.length / 2));
  return Array.from({ length: count }, () => random.pick(late).start + 1);
}

/** The letters as their clients knew them at that moment. */
function heardBefore({ letters, acknowledgements }: Recording, moment: number): Letter[] {
  const heard = new Set(acknowledgements.filter(({ start }) => start < moment).map(({ letter }) => letter));
  return letters.map((letter) => (heard.has(letter) ? letter : { ...letter, acknowledged: new Set() }));
}

async function startIn(
  world: World,
  { root }: Recording,
  letters: Letter[],
  format: Format,
): Promise<string[]> {
  restore(world, root);
  const server = await startServer({ directory: root });
  try {
    await until('an empty queue', () => queueOf(server).length === 0);
    return [...judge(server, letters, format), ...damageIn(server)];
  } finally {
    await server.stop();
  }
}

/** A torn end is what a power cut leaves; anything else would be said of records that were synced. */
function damageIn(server: TestServer): string[] {
  const events = ['journal-damaged', 'journal-record-lost', 'queue-message-missing'];
  return logOf(server)
    .filter(({ event }) => events.includes(String(event)))
    .map((line) => JSON.stringify(line));
}
