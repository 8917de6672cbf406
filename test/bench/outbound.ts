/** Messages a second through the queue to smtp-sink: `outbound.ts MESSAGES DESTINATIONS`, from smtp-source, 10 KB, ten sessions. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveZone } from '../kit/dns-server.ts';
import { freePort } from '../kit/free-port.ts';
import { startServer } from '../kit/server.ts';

const [count = 2000, destinations = 1] = process.argv.slice(2).map(Number);
const each = Math.ceil(count / destinations);
const port = await freePort();
const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', '-c', `127.0.0.1:${port}`, '1000'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let seen = 0;
sink.stdout.on('data', (chunk) => {
  seen = Number(/(\d+)\D*$/.exec(String(chunk))?.[1] ?? seen);
});
const names = Array.from({ length: destinations }, (_, index) => `d${index}.test`);
const dns = await serveZone(Object.fromEntries(names.map((name) => [name, { A: ['127.0.0.1'] }])));
const server = await startServer({
  config: {
    dns: { servers: [dns.address] },
    trustedNetworks: ['127.0.0.1'],
    routes: [{ to: '*', from: 'authenticated', relay: 'mx' }],
    outbound: { port },
    log: { level: 'warn' },
  },
});
const source = (to: string, sessions: number) =>
  new Promise((resolve) => {
    const options = ['-s', `${sessions}`, '-m', `${each}`, '-l', '10240', '-d', '-f', 'a@x.test', '-t', to];
    spawn('/usr/sbin/smtp-source', [...options, `127.0.0.1:${server.ports.smtp}`]).on('exit', resolve);
  });
const cpu = () => {
  const fields = readFileSync(`/proc/${server.pidOf('mta')}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
const before = cpu();
const start = performance.now();
const next = names.values();
const sessions = destinations === 1 ? 10 : 1;
await Promise.all(
  Array.from({ length: Math.min(10, destinations) }, async () => {
    for (const name of next) await source(`u@${name}`, sessions);
  }),
);
while (seen < each * destinations && performance.now() - start < 60_000) await sleep(20);
const seconds = (performance.now() - start) / 1000;
const each_ms = (cpu() - before) / seen;
console.log(`${seen} messages, ${destinations} destinations: ${Math.round(seen / seconds)} a second, ${each_ms.toFixed(2)} ms CPU`);
await server.stop();
sink.kill();
await dns.close();
