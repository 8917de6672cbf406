/**
 * The real spamd and rspamd behind a server, stopped and killed in the middle of scans and started again: the policy of each
 * pipeline is done, the trace names daemon and reason, a daemon that is away costs no waits, and it is used again by itself.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { RealDaemon } from '../kit/process-group.ts';
import { startRspamd } from '../kit/rspamd.ts';
import { until } from '../kit/server.ts';
import { startSpamd } from '../kit/spamd.ts';
import { sendOne } from './mail-client.ts';
import { inboxOf, logOf, openServer, traceOf, type WholeServer } from './observe.ts';

const scanners = { spamassassin: startSpamd, rspamd: startRspamd } as const;
/** What the daemons' own scans are given; a machine that is busy may need most of it. */
const timeoutSeconds = 30;
/** What is waited for a daemon that was stopped. */
const shortTimeoutSeconds = 1;

for (const name of ['spamassassin', 'rspamd'] as const) {
  test(`${name}: its daemon stopped, killed and started again under a server`, async (t) => {
    const daemon = await scanners[name](t);
    if (!daemon) return;
    await using server = await serverFor(name, daemon);
    const asked = new Asker(server, name);

    await t.test('it scans', async () => {
      const { reply, scanned } = await asked.send('patient');
      assert.match(reply, /^250 /);
      assert.equal(scanned, true);
    });
    await t.test('stopped in the middle of scans', () => hangs(asked, daemon, server));
    await t.test('killed in the middle of scans', () => dies(asked, daemon, server));
    await t.test('started again', async () => {
      await daemon.start();
      await until('a message that is scanned', async () => (await asked.send('patient')).scanned, 90_000);
      await until('daemon-up in the log', () => told(server, 'daemon-up') === told(server, 'daemon-down'));
    });
    for (const octets of inboxOf(server, 'bob')) {
      // Passed unscanned by the policy `continue`: nothing calls it clean, not even what the sender wrote.
      assert.doesNotMatch(octets.toString('latin1'), /^X-Spam-Status:/m);
    }
  });
}

async function hangs(asked: Asker, daemon: RealDaemon, server: WholeServer): Promise<void> {
  daemon.signal('SIGSTOP');
  const failed = await Promise.all([1, 2, 3].map(() => asked.send('tempfail')));
  for (const { reply, scanned, failure } of failed) {
    assert.match(reply, /^451 4\.3\.0 /);
    assert.equal(scanned, false);
    assert.ok(failure.includes(daemon.address), `${failure} names ${daemon.address}`);
    assert.match(failure, /no answer within/);
  }
  await until('daemon-down in the log', () => told(server, 'daemon-down') === 1);
  // Its rest was begun; sooner or later a message finds it resting, and is not held up.
  await until('a message that waits for nobody', async () =>
    /rests after \d+ failures: no answer within/.test((await asked.send('tempfail')).failure),
  );
  const passed = await asked.send('continue');
  assert.match(passed.reply, /^250 /);
  assert.equal(passed.scanned, false);
  daemon.signal('SIGCONT');
  await until('a message that is scanned', async () => (await asked.send('patient')).scanned, 90_000);
}

async function dies(asked: Asker, daemon: RealDaemon, server: WholeServer): Promise<void> {
  // Stopped, so that the scans are under way for certain when it is killed.
  daemon.signal('SIGSTOP');
  const before = connectionsTo(daemon.port);
  const scans = [1, 2].map(() => asked.send('patient'));
  await until('scans under way', () => connectionsTo(daemon.port) >= before + scans.length);
  await daemon.kill();
  for (const { reply, scanned, failure } of await Promise.all(scans)) {
    assert.match(reply, /^451 4\.3\.0 /);
    assert.equal(scanned, false);
    assert.ok(failure.includes(daemon.address), `${failure} names ${daemon.address}`);
    assert.match(failure, /ECONNRESET|ECONNREFUSED|hang up|without an answer|cut short/);
  }
  await until('nobody listens', async () => /ECONNREFUSED/.test((await asked.send('tempfail')).failure));
  await until('daemon-down in the log again', () => told(server, 'daemon-down') === 2);
  const passed = await asked.send('continue');
  assert.match(passed.reply, /^250 /);
  assert.equal(passed.scanned, false);
  assert.match(passed.failure, /rests after|ECONNREFUSED/);
}

const told = (server: WholeServer, what: string): number =>
  logOf(server).filter((line) => line.what === what).length;

function serverFor(name: keyof typeof scanners, daemon: RealDaemon): Promise<WholeServer> {
  const entry = (onFailure: string, seconds: number) => [
    { plugin: name, options: { servers: [daemon.address] }, onFailure, timeoutSeconds: seconds },
    'policy',
  ];
  const pipelines = {
    patient: entry('tempfail', timeoutSeconds),
    tempfail: entry('tempfail', shortTimeoutSeconds),
    continue: entry('continue', shortTimeoutSeconds),
  };
  const listeners = Object.fromEntries(
    Object.keys(pipelines).map((pipeline) => [
      pipeline,
      { protocol: 'smtp', address: '127.0.0.1:0', tls: 'none', pipeline },
    ]),
  );
  return openServer({ config: { listeners, pipelines } });
}

interface Fate {
  readonly reply: string;
  readonly scanned: boolean;
  /** What the trace says of the scanner's failure; empty where there was none. */
  readonly failure: string;
}

/** Sends messages, each with a Message-ID of its own, and reads what the trace says of them. */
class Asker {
  readonly #server: WholeServer;
  readonly #plugin: string;
  #sent = 0;

  constructor(server: WholeServer, plugin: string) {
    this.#server = server;
    this.#plugin = plugin;
  }

  async send(pipeline: 'patient' | 'tempfail' | 'continue'): Promise<Fate> {
    const messageId = `<${pipeline}.${++this.#sent}@example.org>`;
    const [reply = ''] = await sendOne(this.#server.ports[pipeline]!, {
      to: [pipeline === 'continue' ? 'bob@example.test' : 'alice@example.test'],
      message: `Message-ID: ${messageId}\nSubject: x\nX-Spam-Status: No\n\nHello.\n`,
    });
    const { entries } = await traceOf(this.#server, messageId);
    const entry = entries.find(({ plugin, stage }) => plugin === this.#plugin && stage === 'message');
    const result = entry?.result as { scanned?: boolean } | undefined;
    return { reply, scanned: result?.scanned === true, failure: entry?.failure?.message ?? '' };
  }
}

/** Sockets of ours that are connected to a port of loopback, our side closed or not. proc(5). */
function connectionsTo(port: number): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [established, halfClosed] = ['01', '05'];
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return rows.filter((row) => {
    const [, , to, state, , , , , , inode] = row.trim().split(/\s+/);
    // Without an inode it is the kernel's alone: whoever had it has closed it.
    return to === remote && (state === established || state === halfClosed) && inode !== '0';
  }).length;
}
