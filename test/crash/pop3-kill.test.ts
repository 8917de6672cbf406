/** kill -9 during POP3: before QUIT nothing goes, at QUIT only what was marked, and what was answered stays so. RFC 1939 section 6. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { ImapClient, plainMessages } from '../kit/imap-client.ts';
import { ImapWire } from '../kit/imap-values.ts';
import { randomSource } from '../kit/random.ts';
import { projectRoot } from '../kit/require.ts';

const rounds = process.env.MAILFILTER_CAMPAIGN === '1' ? 40 : 1;
const messages = plainMessages(12);

interface Server {
  readonly port: number;
  readonly imapPort: number;
  readonly child: ChildProcess;
}

for (const format of ['maildir', 'mbox'] as const) {
  test(`${format}: killed between DELE and QUIT, and at QUIT`, async (t) => {
    const { below } = randomSource(`pop3-kill ${format}`);
    const mailRoot = mkdtempSync(join(tmpdir(), 'mailfilter-pop3-kill-'));
    t.after(() => rmSync(mailRoot, { recursive: true, force: true }));
    let server = await start(t, format, mailRoot);
    await fill(server);
    const known = await uidls(server);
    assert.equal(known.size, messages.length);

    await talk(server, ['DELE 2', 'RETR 3', 'DELE 5', 'NOOP'], () => {});
    server = await killAndStart(t, server, format, mailRoot);
    assert.deepEqual(await uidls(server), known, 'without QUIT nothing goes');

    for (let round = 0; round < rounds; round += 1) {
      const before = await uidls(server);
      if (before.size < 3) break;
      const marked = [...before.keys()].slice(0, 1 + below(2));
      const waitMs = below(12);
      const heard = await talk(server, [...marked.map((number) => `DELE ${number}`), 'QUIT'], () => {
        setTimeout(() => server.child.kill('SIGKILL'), waitMs);
      });
      server = await killAndStart(t, server, format, mailRoot);
      const ids = new Set((await uidls(server)).values());
      const gone = [...before].filter(([, id]) => !ids.has(id)).map(([number]) => number);
      assert.ok(
        gone.every((number) => marked.includes(number)),
        `${gone} went, ${marked} were marked`,
      );
      if (heard.endsWith('+OK bye\r\n')) assert.deepEqual(gone, marked, 'what was answered is done');
      assert.ok(
        [...ids].every((id) => [...before.values()].includes(id)),
        'unique ids stay',
      );
    }
  });
}

async function start(t: TestContext, format: string, mailRoot: string): Promise<Server> {
  const worker = join(projectRoot, 'test/crash/pop3-worker.ts');
  const child = spawn(process.execPath, [worker, format, mailRoot], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // It starts again and again.
    env: { ...process.env, NODE_COMPILE_CACHE: join(mailRoot, 'compiled') },
  });
  t.after(() => child.kill('SIGKILL'));
  // Other lines are those of a certificate that is made.
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) return { ...(JSON.parse(line) as { port: number; imapPort: number }), child };
  }
  throw new Error('the server did not start');
}

async function killAndStart(
  t: TestContext,
  { child }: Server,
  format: string,
  root: string,
): Promise<Server> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  return start(t, format, root);
}

async function fill({ imapPort }: Server): Promise<void> {
  const client = new ImapClient(await ImapWire.open(imapPort));
  await client.ok('LOGIN alice@example.test secret');
  for (const message of messages) await client.append('INBOX', message);
  client.close();
}

/** Unique ids by message number: a session can be had at once, whatever became of the last. */
async function uidls(server: Server): Promise<Map<number, string>> {
  const heard = await talk(server, ['UIDL', 'RSET', 'QUIT'], () => {});
  const lines = heard.matchAll(/^(\d+) (\S+)\r$/gm);
  return new Map(Array.from(lines, ([, number, id]) => [Number(number), id!]));
}

/** Says all of it, and hears all that comes until the server or its process ends the connection, or the last is answered. */
async function talk({ port }: Server, commands: readonly string[], sent: () => void): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(['USER alice@example.test', 'PASS secret', ...commands, ''].join('\r\n'));
  const isLast = (heard: string) => heard.includes(commands.includes('QUIT') ? '+OK bye' : '+OK still here');
  const heard = await hear(socket, isLast, sent);
  socket.destroy();
  return heard;
}

async function hear(socket: Socket, isLast: (heard: string) => boolean, begun: () => void): Promise<string> {
  let heard = '';
  let hasBegun = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  // A process that was killed resets the connection.
  socket.on('error', () => resolve());
  socket.on('close', () => resolve());
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    if (!hasBegun && heard.includes(' messages\r\n')) {
      hasBegun = true;
      begun();
    }
    if (isLast(heard)) resolve();
  });
  await promise;
  return heard;
}
