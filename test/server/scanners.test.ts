/** A whole server whose scanners fail: the policy of each is done, the trace names daemon and reason, one thread tells all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scannerStubs } from '../kit/scanner-stubs.ts';
import { until } from '../kit/server.ts';
import { answering, type StubDaemon, startStubDaemon } from '../kit/stub-daemon.ts';
import { MailClient, sendOne, stuffed } from './mail-client.ts';
import { campaign, inboxOf, logOf, openServer, queueOf, traceOf } from './observe.ts';

const names = ['clamav', 'spamassassin', 'rspamd'] as const;
type Name = (typeof names)[number];
const policies = ['tempfail', 'continue', 'quarantine', 'reject'] as const;
/** What a sender writes who hopes that the scan fails. */
const forged = {
  clamav: 'X-Virus-Status: Clean',
  spamassassin: 'X-Spam-Status: No',
  rspamd: 'X-Spam-Status: No',
} as const;
const answers = {
  tempfail: /^451 4\.3\.0 /,
  continue: /^250 /,
  quarantine: /^250 /,
  reject: /^554 5\.3\.0 /,
} as const;

test('each scanner, each policy: a daemon that hangs, and then rests', async (t) => {
  const daemons = new Map<Name, StubDaemon>();
  for (const name of names) daemons.set(name, await startStubDaemon(t, () => {}));
  const listeners: Record<string, object> = {};
  const pipelines: Record<string, unknown[]> = {};
  for (const name of names) {
    for (const policy of policies) {
      const pipeline = `${name}-${policy}`;
      const options = { servers: [daemons.get(name)!.address] };
      pipelines[pipeline] = [
        { plugin: name, options, onFailure: policy, timeoutSeconds: 1 },
        { plugin: 'policy' },
      ];
      listeners[pipeline] = { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline };
    }
  }
  await using server = await openServer({ config: { listeners, pipelines } });

  for (const name of names) {
    for (const policy of policies) {
      const messageId = `<${name}.${policy}@example.org>`;
      const [reply] = await sendOne(server.ports[`${name}-${policy}`]!, {
        to: ['alice@example.test'],
        message: `Message-ID: ${messageId}\nSubject: x\n${forged[name]}\n\nHello.\n`,
      });
      assert.match(reply!, answers[policy], messageId);
      const { entries } = await traceOf(server, messageId);
      const failure = entries.find((entry) => entry.plugin === name && entry.failure)?.failure;
      assert.equal(failure?.policy, policy);
      const { address } = daemons.get(name)!;
      assert.ok(failure.message.includes(address), `${failure.message} names ${address}`);
      assert.match(failure.message, /no answer within/);
    }
  }
  await until('what may pass', () => inboxOf(server, 'alice').length === names.length);
  for (const octets of inboxOf(server, 'alice')) {
    // Nothing calls it clean, not even what the sender wrote.
    assert.doesNotMatch(octets.toString('latin1'), /^X-(?:Spam|Virus)-Status:/m);
  }
  assert.equal(queueOf(server).filter(({ status }) => status === 'held').length, names.length);
});

test('what one thread learns of a daemon all know: down is told once, up again is told once', async (t) => {
  const { isWhole, good } = scannerStubs.clamav;
  const daemon = await startStubDaemon(t, (socket) => socket.destroy());
  await using server = await openServer({
    inbound: [{ plugin: 'clamav', options: { servers: [daemon.address] } }],
    config: { processes: { threads: 3 } },
  });
  const told = (what: string) => logOf(server).filter((line) => line.what === what);
  const send = async () =>
    (
      await sendOne(server.ports.smtp!, { to: ['alice@example.test'], message: 'Subject: x\n\nHello.\n' })
    )[0]!;
  const sendMany = (count: number) => Promise.all(Array.from({ length: count }, send));
  for (const reply of await sendMany(24)) assert.match(reply, /^451 4\.3\.0 /);
  await until('daemon-down in the log', () => told('daemon-down').length === 1);
  for (const reply of await sendMany(12)) assert.match(reply, /^451 4\.3\.0 /);
  daemon.behave(answering(isWhole, () => good));
  await until('a message that passes', async () => (await send()).startsWith('250'));
  for (const reply of await sendMany(12)) assert.match(reply, /^250 /);
  await until('daemon-up in the log', () => told('daemon-up').length === 1);
  assert.equal(told('daemon-down').length, 1);
});

test('500 other messages pass while clamd holds 200', async (t) => {
  const { isWhole, good } = scannerStubs.clamav;
  let held = 0;
  const release = Promise.withResolvers<void>();
  const daemon = await startStubDaemon(t, (socket) => {
    let heard = Buffer.alloc(0);
    socket.on('data', async (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      if (!isWhole(heard)) return;
      if (heard.includes('Subject: held')) {
        held += 1;
        await release.promise;
      }
      socket.end(good, 'latin1');
    });
  });
  await using server = await openServer({
    inbound: [{ plugin: 'clamav', options: { servers: [daemon.address] }, timeoutSeconds: 120 }],
  });
  const open = (count: number) =>
    Promise.all(Array.from({ length: count }, () => MailClient.open(server.ports.smtp!)));
  const [holders, senders] = [await open(200), await open(campaign ? 5 : 10)];
  await Promise.all(holders.map((client) => client.envelope({ to: ['bob@example.test'] })));
  await Promise.all(holders.map((client) => client.say('DATA')));
  const replies = holders.map((client) => {
    client.write(stuffed('Subject: held\n\nHello.\n'));
    return client.reply();
  });
  await until('clamd to hold them all', () => held === holders.length);
  const each = 500 / senders.length;
  await Promise.all(
    senders.map(async (client) => {
      for (let n = 0; n < each; n += 1) {
        const message = `Subject: quick ${n}\n\nHello.\n`;
        assert.match((await client.send({ to: ['alice@example.test'], message }))[0]!, /^250 /);
      }
    }),
  );
  assert.equal(inboxOf(server, 'alice').length, 500);
  assert.equal(inboxOf(server, 'bob').length, 0);
  release.resolve();
  for (const reply of await Promise.all(replies)) assert.match(reply, /^250 /);
  assert.equal(inboxOf(server, 'bob').length, 200);
  for (const client of [...holders, ...senders]) client.destroy();
});
