/**
 * Power cuts while mail waits to leave: in every world that one may leave the server starts, and everything that was
 * acknowledged reaches the next hop, whole; nothing is given up for lost.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { randomSource } from '../kit/random.ts';
import { requireProgram } from '../kit/require.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { startServer, until } from '../kit/server.ts';
import { campaign, logOf, queueOf } from '../server/observe.ts';
import { Disk, type World } from './disk.ts';
import { worldKinds } from './power-cut.ts';
import { numberIn, textOf } from './server-load.ts';
import { type Recording, recordServer } from './server-recording.ts';
import { restore } from './world.ts';

const kinds = campaign ? Object.keys(worldKinds) : ['nothing survives', 'a random subset survives'];
const letters = campaign ? 200 : 40;

test('what was acknowledged leaves after a power cut', async (t) => {
  if (!requireProgram(t, 'strace')) return;
  const random = randomSource('power cuts outbound');
  const hop = await serveScript(t, { EHLO: '250-me\r\n250-PIPELINING\r\n250 SIZE 1000000' });
  // One in four is taken at once; the others are in the queue when the power goes.
  hop.answers.MAIL = Array.from({ length: 100_000 }, (_, index) =>
    index % 4 === 0 ? '250 2.1.0 ok' : '451 4.3.0 later',
  );
  const config = {
    trustedNetworks: ['127.0.0.1'],
    routes: [{ to: '*', from: 'authenticated', relay: `smtp://127.0.0.1:${hop.port}?tls=none` }],
  };
  const recording = await recordServer({ letters, config, clients: 2, keep: true });
  t.after(() => rmSync(dirname(recording.root), { recursive: true, force: true }));
  const before = heardBy(hop.heard);
  hop.answers.MAIL = '250 2.1.0 ok';
  const disk = new Disk(recording.root, recording.calls);
  const { acknowledgements } = recording;
  for (let round = 0; round < (campaign ? 20 : 1); round++) {
    const moment = random.pick(acknowledgements.slice(Math.floor(acknowledgements.length / 2))).start + 1;
    for (const kind of kinds) {
      const world = disk.worldAt(
        moment,
        worldKinds[kind]!(() => random.below(2 ** 30) / 2 ** 30),
      );
      hop.heard.length = 0;
      const wrong = await startIn(world, recording);
      const heard = new Set([...before, ...heardBy(hop.heard)]);
      const promised = acknowledgements.filter(({ start }) => start < moment);
      const lost = promised.filter(({ letter }) => !heard.has(letter.number)).map(({ id }) => id);
      assert.deepEqual([lost, wrong], [[], []], `${kind}, cut at line ${moment}`);
    }
  }
  t.diagnostic(`${acknowledgements.length} letters, ${before.size} left before`);
});

/** Letters that came whole. */
function heardBy(heard: readonly string[]): Set<number> {
  const numbers = heard.flatMap((text) => {
    const number = numberIn(text);
    const whole =
      number !== undefined &&
      text.replaceAll('\r\n', '\n').replace(/^\./gm, '').includes(textOf(number).trimEnd());
    return whole ? [number] : [];
  });
  return new Set(numbers);
}

async function startIn(world: World, { root }: Recording): Promise<string[]> {
  restore(world, root);
  const server = await startServer({ directory: root });
  try {
    await until('an empty queue', () => queueOf(server).length === 0, 60_000);
    const events = ['journal-damaged', 'journal-record-lost', 'queue-message-missing', 'bounced'];
    return logOf(server).flatMap((line) =>
      events.includes(String(line.event)) ? [JSON.stringify(line)] : [],
    );
  } finally {
    await server.stop();
  }
}
