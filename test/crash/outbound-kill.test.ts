/** kill -9 under load: nothing that was acknowledged is lost on its way out, and only what was on the wire comes twice. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmtpClient } from '../../core/net/smtp-client.ts';
import { startOutgoing } from '../kit/outgoing.ts';
import { randomSource } from '../kit/random.ts';
import { serveScript } from '../kit/scripted-smtp.ts';
import { until } from '../kit/server.ts';

const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 50 : 3;
/** Domains that mail goes to, and submissions at the same time. */
const domains = 5;
const submitters = 4;

test(`kill -9 in ${rounds} rounds`, async (t) => {
  const random = randomSource('outbound-kill');
  const mx = await serveScript(t, {});
  const zone = Object.fromEntries(
    Array.from({ length: domains }, (_, index) => [`d${index}.test`, { A: ['127.0.0.1'] }]),
  );
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-kill-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  // A trusted network, so that no hashing of passwords slows the load.
  const config = { trustedNetworks: ['127.0.0.1'], queue: { retrySeconds: [1] } };
  const acknowledged = new Set<string>();
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    const outgoing = await startOutgoing(t, { zone, port: mx.port, directory, config });
    let killed = false;
    const submitting = Array.from({ length: submitters }, async () => {
      const port = outgoing.server.ports.smtp!;
      const connecting = SmtpClient.connect({ to: { host: '127.0.0.1', port }, name: 'load.test' });
      // A slow machine may kill it before it has greeted.
      const client = await connecting.catch(() => undefined);
      if (client === undefined) return;
      while (!killed) {
        const token = `token-${++sent}-`;
        const recipients = [`x@d${sent % domains}.test`, `y@d${(sent + 1) % domains}.test`];
        const text = Buffer.from(`From: ann@ours.test\r\nSubject: ${token}\r\n\r\nbody\r\n`);
        const envelope = { sender: 'ann@ours.test', recipients };
        const outcome = await client.send(envelope, { chunks: [text] }).catch(() => undefined);
        if (outcome === undefined) return;
        if (outcome.accepted) acknowledged.add(token);
      }
    });
    await sleep(300 + random.below(700));
    killed = true;
    await outgoing.server.kill();
    await Promise.all(submitting);
  }
  const last = await startOutgoing(t, { zone, port: mx.port, directory, config });
  const copies = countCopies(mx.heard);
  const missing = () => [...acknowledged].filter((token) => copies(token) < 2);
  await until('everything that was acknowledged', () => missing().length === 0, 40_000).catch(() => {
    assert.deepEqual(missing(), [], `lost, of ${acknowledged.size}`);
  });
  const twice = [...acknowledged].filter((token) => copies(token) > 2).length;
  assert.ok(acknowledged.size > 0);
  t.diagnostic(`${acknowledged.size} acknowledged, ${twice} came twice`);
  // At the moment of a kill each connection has one message at most whose answer was not yet written down.
  assert.ok(twice <= rounds * domains * 5, `${twice} came twice`);
  await last.server.stop();
});

/** Copies by token. Each line is looked at once: the host that answers lives in this process, and must not be held up. */
function countCopies(heard: readonly string[]): (token: string) => number {
  const counts = new Map<string, number>();
  let seen = 0;
  return (token) => {
    for (; seen < heard.length; seen++) {
      const found = /Subject: (token-\d+-)\r\n/.exec(heard[seen]!)?.[1];
      if (found !== undefined) counts.set(found, (counts.get(found) ?? 0) + 1);
    }
    return counts.get(token) ?? 0;
  };
}
