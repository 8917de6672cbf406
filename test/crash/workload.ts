/** Accepts messages until it is told to stop being: a process for crash tests. Prints `250 <number>` for each once it may. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSpool } from '../../src/flow/spool.ts';
import { openAcceptance, planOf } from '../flow/acceptance-kit.ts';
import { durableQueue } from './durable-queue.ts';
import { idOf, storesOf, textOf } from './mail.ts';

const [root, durability, first, count, inFlight] = process.argv.slice(2) as [
  string,
  'journal' | 'file',
  string,
  string,
  string,
];
const spool = createSpool({
  directory: join(root, 'spool'),
  limits: { memoryMessageBytesMax: 64 * 1024, memoryTotalBytesMax: 1024 * 1024 },
});
const { acceptance, log } = openAcceptance(root, {
  durability,
  journal: { segmentBytes: 512 * 1024, checkpointMs: 60 },
  queue: durableQueue(root),
});
spool.recover();
await acceptance.recover();
writeSync(1, 'ready\n');
let next = Number(first);
const end = next + Number(count);

async function worker(): Promise<void> {
  while (next < end) {
    const number = next++;
    const sink = spool.open();
    await sink.write(Buffer.from(textOf(number)));
    const spooled = await sink.finish();
    const accepted = planOf(idOf(number), root, storesOf(number, root));
    await acceptance.accept({ accepted, source: spooled.source, spooled });
    writeSync(1, `250 ${number}\n`);
    // Now and then nobody has anything to send, as in life.
    if (number % 13 === 0) await sleep(10);
  }
}

await Promise.all(Array.from({ length: Number(inFlight) }, worker));
for (const { level, event, facts } of log.lines) {
  if (level === 'error') writeSync(2, `${event} ${JSON.stringify(facts)}\n`);
}
await acceptance.drain();
await acceptance.close();
