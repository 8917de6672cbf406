/** Messages that wait for a slow plugin hold up nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MailClient, stuffed } from './mail-client.ts';
import { campaign, inboxOf, openServer } from './observe.ts';

const slow = fileURLToPath(new URL('plugins/slow.ts', import.meta.url));

test('500 messages overtake 200 that a plugin holds for five seconds', async (t) => {
  await using server = await openServer({ inbound: [slow] });
  const open = (count: number) =>
    Promise.all(Array.from({ length: count }, () => MailClient.open(server.ports.smtp!)));
  const [holders, senders] = [await open(200), await open(campaign ? 5 : 10)];
  await Promise.all(holders.map((client) => client.envelope({ to: ['bob@example.test'] })));
  await Promise.all(holders.map((client) => client.say('DATA')));
  let answered = 0;
  const heldMs = performance.now();
  const answers = holders.map(async (client) => {
    client.write(stuffed('Subject: held\nX-Wait: 5000\n\nheld\n'));
    const reply = await client.reply();
    answered += 1;
    return { reply, afterMs: performance.now() - heldMs };
  });

  const startedMs = performance.now();
  const each = 500 / senders.length;
  await Promise.all(
    senders.map(async (client, sender) => {
      for (let n = 0; n < each; n += 1) {
        const message = `Subject: quick ${sender} ${n}\n\nquick\n`;
        const [reply] = await client.send({ to: ['alice@example.test'], message });
        assert.match(reply!, /^250 /);
      }
    }),
  );
  const quickMs = performance.now() - startedMs;
  assert.equal(inboxOf(server, 'alice').length, 500);
  assert.equal(answered, 0, 'a held message was answered before the others were delivered');
  assert.equal(inboxOf(server, 'bob').length, 0);

  const held = await Promise.all(answers);
  for (const { reply } of held) assert.match(reply, /^250 /);
  assert.equal(inboxOf(server, 'bob').length, 200);
  const last = Math.max(...held.map(({ afterMs }) => afterMs));
  t.diagnostic(
    `500 messages took ${Math.round(quickMs)} ms, the last of 200 held ones ${Math.round(last)} ms`,
  );
  for (const client of [...holders, ...senders]) client.destroy();
});
