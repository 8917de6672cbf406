/**
 * Messages a second through the queue to smtp-sink, 10 KB from smtp-source, beside Postfix and OpenSMTPD on the same disk.
 *
 *     node test/bench/outbound.ts [messages] [destinations] [mailfilter|postfix|opensmtpd ...]
 *
 * Postfix and OpenSMTPD know one next hop whatever the number of domains. CPU is that of all processes of a server.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveZone } from '../kit/dns-server.ts';
import { freePort } from '../kit/free-port.ts';
import { startOpenSmtpd } from '../kit/opensmtpd.ts';
import { startPostfix } from '../kit/postfix.ts';
import { startServer } from '../kit/server.ts';

const [count = 2000, destinations = 1] = process.argv.slice(2, 4).map(Number);
const asked = process.argv.slice(4);
const names = Array.from({ length: destinations }, (_, index) => `d${index}.test`);
const sessions = 10;

/** Each starts a server that sends everything to the sink's port, and answers where it listens. */
const servers: Record<string, (t: TestContext, sink: number) => Promise<number>> = {
  async mailfilter(t, sink) {
    const zone = Object.fromEntries(names.map((name) => [name, { A: ['127.0.0.1'] }]));
    const dns = await serveZone(zone);
    t.after(() => dns.close());
    const server = await startServer({
      config: {
        dns: { servers: [dns.address] },
        trustedNetworks: ['127.0.0.1'],
        routes: [{ to: '*', from: 'authenticated', relay: 'mx' }],
        outbound: { port: sink },
        log: { level: 'warn' },
      },
    });
    t.after(() => server.stop());
    return server.ports.smtp!;
  },
  async postfix(t, sink) {
    const main = {
      default_transport: `smtp:[127.0.0.1]:${sink}`,
      relay_transport: `smtp:[127.0.0.1]:${sink}`,
      mynetworks: '127.0.0.0/8',
      smtpd_recipient_restrictions: 'permit_mynetworks,reject',
      smtpd_relay_restrictions: 'permit_mynetworks,reject',
    };
    const postfix = await startPostfix(t, { main });
    return postfix!.port;
  },
  async opensmtpd(t, sink) {
    const queueFolder = mkdtempSync(join(tmpdir(), 'opensmtpd-queue-'));
    t.after(() => rmSync(queueFolder, { recursive: true, force: true }));
    chmodSync(queueFolder, 0o711);
    const before = [
      `action "out" relay host smtp://127.0.0.1:${sink}`,
      'match from any for any action "out"',
    ];
    const server = await startOpenSmtpd(t, { before, queueFolder });
    return server!.port;
  },
};

for (const [name, start] of Object.entries(servers)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  test(name, async (t) => {
    const sinkPort = await freePort();
    const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', '-c', `127.0.0.1:${sinkPort}`, '1000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => sink.kill());
    let seen = 0;
    sink.stdout.on('data', (chunk) => {
      seen = Number(/(\d+)\D*$/.exec(String(chunk))?.[1] ?? seen);
    });
    const others = new Set(children());
    const port = await start(t, sinkPort);
    const own = () => children().filter((pid) => !others.has(pid) && pid !== sink.pid);
    const each = Math.ceil(count / destinations);
    const before = cpuMs(own());
    const begun = performance.now();
    await load(port, each);
    const taken = performance.now();
    const total = each * destinations;
    while (seen < total && performance.now() - begun < 120_000) await sleep(20);
    const seconds = (performance.now() - begun) / 1000;
    const cpu = (cpuMs(own()) - before) / seen;
    t.diagnostic(
      `${seen} messages, ${destinations} destinations: ${Math.round(seen / seconds)} a second ` +
        `(taken at ${Math.round(total / ((taken - begun) / 1000))}), ${cpu.toFixed(2)} ms CPU each`,
    );
  });
}

async function load(port: number, each: number): Promise<void> {
  const source = (to: string, parallel: number) =>
    new Promise((resolve) => {
      const options = ['-s', `${parallel}`, '-m', `${each}`, '-l', '10240', '-d', '-f', 'a@x.test', '-t', to];
      spawn('/usr/sbin/smtp-source', [...options, `127.0.0.1:${port}`]).on('exit', resolve);
    });
  const next = names.values();
  await Promise.all(
    Array.from({ length: Math.min(sessions, destinations) }, async () => {
      for (const name of next) await source(`u@${name}`, destinations === 1 ? sessions : 1);
    }),
  );
}

/** Processes that descend from this one. */
function children(): number[] {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const fields = statOf(Number(pid));
    if (fields) parents.set(Number(pid), Number(fields[1]));
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === process.pid || descends(parent));
  };
  return [...parents.keys()].filter(descends);
}

function cpuMs(pids: readonly number[]): number {
  const ticks = pids.map((pid) => statOf(pid)).map((fields) => Number(fields?.[11]) + Number(fields?.[12]));
  return ticks.reduce((sum, each) => sum + (each || 0) * 10, 0);
}

/** Fields of /proc/PID/stat from the third; undefined when the process is gone. */
function statOf(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  } catch {
    return undefined;
  }
}
