/** A thousand idle connections on the default settings, then a message on each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MailClient } from './mail-client.ts';
import { inboxOf, memoryOf, openServer } from './observe.ts';

const slow = fileURLToPath(new URL('plugins/slow.ts', import.meta.url));
const count = 1000;

test(`${count} idle connections, then a message on each`, async (t) => {
  await using server = await openServer({ inbound: [slow] });
  const mta = server.pidOf('mta');
  const warm = await MailClient.open(server.ports.smtp!);
  await warm.send({ to: ['bob@example.test'], message: 'Subject: warm\n\nup\n' });
  await warm.quit();

  const before = memoryOf(mta);
  const startedMs = performance.now();
  const clients = await Promise.all(Array.from({ length: count }, () => MailClient.open(server.ports.smtp!)));
  const openMs = performance.now() - startedMs;
  const idle = memoryOf(mta);
  const perConnectionKiB = ((idle.pssMiB - before.pssMiB) * 1024) / count;

  const sendingMs = performance.now();
  const replies = await Promise.all(
    clients.map((client, n) =>
      client.send({ to: ['alice@example.test'], message: `Subject: ${n}\n\nmessage ${n}\n` }),
    ),
  );
  const sendMs = performance.now() - sendingMs;
  for (const [reply] of replies) assert.match(reply!, /^250 2\.0\.0 Ok: queued as /);
  const bodies = inboxOf(server, 'alice').map((octets) => /^message \d+$/m.exec(octets.toString())?.[0]);
  assert.equal(new Set(bodies).size, count);
  assert.equal(bodies.length, count);
  t.diagnostic(
    `open ${Math.round(openMs)} ms, ${perConnectionKiB.toFixed(1)} KiB each; messages ${Math.round(sendMs)} ms; peak ${memoryOf(mta).peakMiB.toFixed(0)} MiB`,
  );
  assert.ok(perConnectionKiB < 100, `${perConnectionKiB} KiB for one connection`);
  assert.ok(openMs + sendMs < 30_000, `took ${openMs} and ${sendMs} ms`);
  assert.equal(server.pidOf('mta'), mta);
  for (const client of clients) client.destroy();
});
