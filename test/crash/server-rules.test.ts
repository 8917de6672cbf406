/** kill -9 of the mta while rules redirect and answer: of each message that was taken every copy, redirect and answer comes, once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomSource } from '../kit/random.ts';
import { messagesIn, type TestServer, until } from '../kit/server.ts';
import { SieveClient } from '../kit/sieve-client.ts';
import { MailClient } from '../server/mail-client.ts';
import { campaign, openServer, queueOf } from '../server/observe.ts';
import { loadConfig } from './server-load.ts';

/** A role that keeps dying is started again later and later, so that more rounds cost minutes. */
const rounds = campaign ? 8 : 4;
const perRound = 12;

const script = `require ["copy", "vacation"];
redirect :copy "bob@example.test";
vacation :days 30 :addresses "alice@example.test" "away";
`;

function portNow(server: TestServer): number {
  const text = readFileSync(join(server.directory, 'data', 'run', 'listeners.json'), 'utf8');
  return (JSON.parse(text) as { name: string; port: number }[]).find(({ name }) => name === 'smtp')!.port;
}

/** True when it was taken. Who asks has an address of their own, and so an answer of their own. */
async function send(port: number, number: number): Promise<boolean> {
  try {
    const client = await MailClient.open(port);
    try {
      const from = `carol+${number}@example.test`;
      await client.envelope({ from, to: ['alice@example.test'] });
      const message = `From: ${from}\nTo: alice@example.test\nSubject: letter ${number};\n\nbody\n`;
      return (await client.data(message))[0]!.startsWith('250');
    } finally {
      client.destroy();
    }
  } catch {
    // The server went away under it: it was not taken, as far as this client knows.
    return false;
  }
}

/** How often each letter is found in the user's mailbox, by what the pattern finds in the header. */
function counts(server: TestServer, user: string, pattern: RegExp): Map<number, number> {
  const found = new Map<number, number>();
  for (const path of messagesIn(server.mailbox(user))) {
    const number = Number(pattern.exec(readFileSync(path, 'utf8'))?.[1] ?? -1);
    found.set(number, (found.get(number) ?? 0) + 1);
  }
  return found;
}

test('redirects and vacation answers come once each across kill -9', async () => {
  const random = randomSource('crash-rules');
  const listener = { address: '127.0.0.1:0', tls: 'none' };
  await using server = await openServer({
    config: {
      ...loadConfig(),
      listeners: {
        smtp: { ...listener, protocol: 'smtp', pipeline: 'inbound' },
        sieve: { ...listener, protocol: 'managesieve', authWithoutTls: true },
      },
    },
    inbound: ['sieve'],
  });
  const client = await SieveClient.login(server.ports.sieve!, 'alice@example.test');
  await client.activate('main', script);
  client.close();
  const taken = new Set<number>();
  for (let round = 0; round < rounds; round += 1) {
    const port = portNow(server);
    const mta = server.pidOf('mta');
    const letters = Array.from({ length: perRound }, async (_, index) => {
      const number = round * perRound + index;
      if (await send(port, number)) taken.add(number);
    });
    await sleep(random.below(120));
    process.kill(mta, 'SIGKILL');
    await Promise.all(letters);
    await until(
      'another mta',
      () => ![mta, 0].includes(server.pidOf('mta')) && portNow(server) !== port,
      30_000,
    );
  }
  const last = rounds * perRound;
  assert.ok(await send(portNow(server), last), 'the server takes mail again');
  taken.add(last);
  const found = () => [
    counts(server, 'alice', /^Subject: letter (\d+);/m),
    counts(server, 'bob', /^Subject: letter (\d+);/m),
    counts(server, 'carol', /^To: .*carol\+(\d+)@/m),
  ];
  await until('its answer', () => found().every((each) => each.has(last)), 60_000);
  await until('an idle queue', () => queueOf(server).length === 0, 60_000);
  const [copies, redirects, answers] = found();
  // What the client gave up may have been taken all the same, but then whole and once as well.
  const seen = new Set([...taken, ...copies!.keys(), ...redirects!.keys(), ...answers!.keys()]);
  const times = [...seen].map((number) => [
    number,
    ...[copies, redirects, answers].map((each) => each!.get(number) ?? 0),
  ]);
  assert.deepEqual(
    times.filter(([, ...each]) => each.some((count) => count !== 1)),
    [],
    'each letter, its redirect and its answer come once: number, copies, redirects, answers',
  );
});
