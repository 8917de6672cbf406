/**
 * Messages a second through acceptance alone: spool, journal, Maildir, checkpoint; no door, no plugins.
 *
 *     node test/bench/accept.ts [durability] [messages]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../core/base/clock.ts';
import { defaultLimits } from '../../core/base/limits/settings.ts';
import { type Acceptance, createAcceptance } from '../../src/flow/accept.ts';
import { type Accepted, acceptedVersion } from '../../src/flow/accepted.ts';
import { createSpool, type Spool } from '../../src/flow/spool.ts';

const durability = process.argv[2] === 'file' ? 'file' : 'journal';
const messages = Number(process.argv[3] ?? 20_000);
const line = `${'x'.repeat(70)}\r\n`;
const message = Buffer.from(`From: a@b.test\r\nTo: c@d.test\r\nSubject: bench\r\n\r\n${line.repeat(141)}`);
const silent = { debug() {}, info() {}, warn: console.warn, error: console.error };

for (const inFlight of [1, 10, 50]) {
  const root = mkdtempSync(join(process.cwd(), '.bench-'));
  const spool = createSpool({ directory: join(root, 'spool'), limits: defaultLimits });
  const acceptance = createAcceptance({
    dataDirectory: root,
    durability,
    journal: { segmentBytes: 64 * 1024 * 1024, checkpointMs: 2000 },
    queue: {
      directory: root,
      enqueue: () => Promise.reject(new Error('nothing is queued here')),
      settle: async () => {},
      renew: async () => {},
    },
    log: silent,
    clock: systemClock,
  });
  await acceptance.recover();
  const total = inFlight === 1 ? messages / 4 : messages;
  const cpu = process.cpuUsage();
  const times: number[] = [];
  const start = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < total) {
      next += 1;
      const began = performance.now();
      await one(acceptance, spool, root, next);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(times.length * part)]!.toFixed(2);
  const each = (used.user + used.system) / total / 1000;
  console.log(
    `${durability} ${String(inFlight).padStart(3)} in flight: ${Math.round(total / seconds)}/s, ` +
      `${each.toFixed(3)} ms CPU each, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${times.at(-1)!.toFixed(0)} ms`,
  );
  await acceptance.drain();
  await acceptance.close();
  rmSync(root, { recursive: true, force: true });
}

async function one(acceptance: Acceptance, spool: Spool, root: string, number: number): Promise<void> {
  const sink = spool.open();
  await sink.write(message);
  const spooled = await sink.finish();
  const id = `BENCH${number}`;
  const received = `from bench.test ([192.0.2.1]) by mx.test with ESMTP id ${id}; Thu, 1 Jan 2026 00:00:00 +0000`;
  const accepted: Accepted = {
    version: acceptedVersion,
    id,
    acceptedAt: Date.now(),
    envelope: {
      sender: 'a@b.test',
      recipients: [{ id: 'r1', address: 'c@d.test', original: 'c@d.test', notify: [] }],
      body: '8bitmime',
      smtputf8: false,
      requireTls: false,
    },
    edits: [{ type: 'insertHeader', index: 0, name: 'Received', value: received }],
    stores: [
      {
        id: `${id}/r1/0`,
        user: 'c@d.test',
        format: 'maildir',
        path: join(root, 'mail', 'c'),
        folder: 'INBOX',
        create: false,
        flags: [],
        internalDate: Date.now(),
        name: `1800000000.${id}_r1_0.mx.test`,
        sender: 'a@b.test',
        deliveredTo: 'c@d.test',
        edits: [],
      },
    ],
    queue: [],
  };
  await acceptance.accept({ accepted, source: spooled.source, spooled });
}
