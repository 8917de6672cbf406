/** A queue that is killed at a named point: `crash-child.ts DIRECTORY POINT`; says on stdout what it was promised. */
import { writeSync } from 'node:fs';
import { systemClock } from '../../core/base/clock.ts';
import { silentLog } from '../../core/base/log.ts';
import { openQueue } from '../../src/queue/open.ts';
import type { Attempt, NewQueueEntry } from '../../src/queue/queue.ts';

const [directory, point] = process.argv.slice(2) as [string, string];
const die = () => process.kill(process.pid, 'SIGKILL');
const say = (line: string) => writeSync(1, `${line}\n`);

const queue = openQueue({
  directory,
  retrySeconds: [0],
  expireSeconds: 1000,
  clock: systemClock,
  log: silentLog,
});
const body = Buffer.from('Subject: crash\r\n\r\nwhole\r\n');
const buffer = new SharedArrayBuffer(body.length);
new Uint8Array(buffer).set(body);

function entry(id: string): NewQueueEntry {
  return {
    id,
    transactionId: id.split('/')[0]!,
    work: { kind: 'store', store: null },
    envelope: { sender: '', recipients: [], body: '7bit', smtputf8: false, requireTls: false },
    edits: [],
    createdAt: Date.now(),
  };
}
async function enqueue(...ids: string[]): Promise<void> {
  const entries = ids.map(entry);
  const promised = queue.enqueue(entries, { kind: 'memory', buffer, offset: 0, length: body.length });
  const turns = /^enqueue-(\d+)$/.exec(point)?.[1];
  if (turns !== undefined) setTimeout(die, Number(turns));
  await promised;
  for (const id of ids) say(`promised ${id}`);
}

const outcomes: Readonly<Record<string, Attempt>> = {
  failed: { outcome: 'failed', reply: { code: 550, enhanced: '5.1.1', text: 'no' } },
  retried: { outcome: 'retry', reason: 'later' },
};
await enqueue('T1/r1/0', 'T1/r2/0');
await enqueue('T2/r1/0');
if (point === 'promised') die();
if (point === 'held') {
  await queue.hold('T2/r1/0', 'operator');
  say('held T2/r1/0');
  die();
}
if (point === 'released') {
  await queue.hold('T2/r1/0', 'operator');
  await queue.release('T2/r1/0');
  die();
}
if (point === 'hurried') {
  await queue.retry('T2/r1/0');
  die();
}
if (point === 'removed') {
  await queue.remove('T2/r1/0');
  say('removed T2/r1/0');
  die();
}
queue.start({
  async attempt(one) {
    say(`attempt ${one.id}`);
    if (point === 'attempt') die();
    const later = /^after-(\w+)-(\d+)$/.exec(point);
    if (later !== null) setTimeout(die, Number(later[2]));
    return outcomes[later?.[1] ?? (point === 'telling' ? 'failed' : '')] ?? { outcome: 'done' };
  },
  async expired([failure]) {
    say(`expired ${failure!.entry.id}`);
    if (point === 'telling') die();
  },
});
// A point that was never reached is a mistake of the test.
setTimeout(() => process.exit(3), 30_000);
