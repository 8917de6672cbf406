/** Large messages pass through a plugin that reads the body, octet for octet, in bounded memory. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../kit/server.ts';
import { sendOne } from './mail-client.ts';
import { campaign, memoryOf, openServer, resetPeak, traceOf, type WholeServer } from './observe.ts';

const MiB = 2 ** 20;
const bodyDigest = fileURLToPath(new URL('plugins/body-digest.ts', import.meta.url));

let server: WholeServer;
before(async () => {
  server = await openServer({ inbound: [bodyDigest], config: { limits: { messageBytesMax: 2 ** 31 } } });
  await warmUp();
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

test('a message of 1 GiB by DATA', (t) => carry(t, 'data', 1024, 'alice'));

test('a message of 30 MiB by BDAT', (t) => carry(t, 'bdat', 30, 'bob'));

test('several large messages at once', async (t) => {
  const pid = server.pidOf('mta');
  resetPeak(pid);
  const before = memoryOf(pid);
  const [count, sizeMiB] = campaign ? [8, 128] : [5, 16];
  const sent = await Promise.all(Array.from({ length: count }, () => sendLarge('data', sizeMiB, 'carol')));
  const files = await deliveredTo('carol', count);
  const grownMiB = memoryOf(pid).peakMiB - before.peakMiB;
  t.diagnostic(`${count} messages of ${sizeMiB} MiB at once: the mta grew by ${grownMiB.toFixed(1)} MiB`);
  assert.ok(grownMiB < 128, `grew by ${grownMiB} MiB`);
  const digests = await Promise.all(files.map(storedDigest));
  assert.deepEqual(
    digests,
    sent.map(({ storedSha256 }) => storedSha256),
  );
});

/** Everything that is loaded for the first message of all is loaded. */
async function warmUp(): Promise<void> {
  for (let n = 0; n < 20; n += 1) {
    await sendOne(server.ports.smtp!, { to: ['alice@example.test'], message: 'Subject: warm\n\nup\n' });
  }
  await sendLarge('data', 3, 'alice');
  for (const path of [...(await deliveredTo('alice', 21))]) rmSync(path);
}

async function carry(
  t: { diagnostic(text: string): void },
  command: 'data' | 'bdat',
  sizeMiB: number,
  user: string,
): Promise<void> {
  const pid = server.pidOf('mta');
  resetPeak(pid);
  const before = memoryOf(pid);
  const startedMs = performance.now();
  const sent = await sendLarge(command, sizeMiB, user);
  const tookMs = performance.now() - startedMs;
  const trace = await traceOf(server, sent.messageId);
  const { result } = trace.entries.find(({ plugin }) => plugin === 'body-digest')!;
  assert.deepEqual(result, { length: sent.length, sha256: sent.sha256 });
  // Delivery of a message that large goes on after the answer; memory is looked at until its end.
  const [file] = await deliveredTo(user, 1);
  const grownMiB = memoryOf(pid).peakMiB - before.peakMiB;
  t.diagnostic(
    `${sizeMiB} MiB by ${command}: ${Math.round(tookMs)} ms; resident ${before.peakMiB.toFixed(1)} MiB, grew by ${grownMiB.toFixed(1)} MiB`,
  );
  assert.equal(await storedDigest(file!), sent.storedSha256);
  assert.ok(grownMiB < 64, `the mta grew by ${grownMiB} MiB`);
  assert.ok(tookMs < 2000 + sizeMiB * 150, `took ${tookMs} ms`);
}

async function deliveredTo(user: string, count: number): Promise<string[]> {
  await until(`${count} messages for ${user}`, () => server.messages(user).length >= count, 60_000);
  return server.messages(user);
}

interface Sent {
  readonly messageId: string;
  /** Of the body, CRLF line ends. */
  readonly length: number;
  readonly sha256: string;
  /** Of the body with LF line ends. */
  readonly storedSha256: string;
}

let serial = 0;

/** Streams a message whose body is about so large; every MiB of it differs. Throws when it is not accepted. */
async function sendLarge(command: 'data' | 'bdat', sizeMiB: number, user: string): Promise<Sent> {
  serial += 1;
  const messageId = `<large-${serial}@client.example>`;
  const socket = connect(server.ports.smtp!, '127.0.0.1');
  const replies = replyReader(socket);
  const expect = async (code: string) => assert.match(await replies(), new RegExp(`^${code}`));
  await expect('220');
  for (const line of [
    'EHLO client.example',
    'MAIL FROM:<a@client.example>',
    `RCPT TO:<${user}@example.test>`,
  ]) {
    socket.write(`${line}\r\n`);
    await expect('250');
  }
  if (command === 'data') {
    socket.write('DATA\r\n');
    await expect('354');
  }
  const header = Buffer.from(`Message-ID: ${messageId}\r\nSubject: large\r\n\r\n`);
  if (command === 'bdat') socket.write(`BDAT ${header.length}\r\n`);
  socket.write(header);
  if (command === 'bdat') await expect('250');
  const body = new LargeBody(sizeMiB);
  for (const chunk of body) {
    if (command === 'bdat') socket.write(`BDAT ${chunk.length}\r\n`);
    if (!socket.write(chunk)) await once(socket, 'drain');
    if (command === 'bdat') await expect('250');
  }
  socket.write(command === 'data' ? '.\r\n' : 'BDAT 0 LAST\r\n');
  await expect('250');
  socket.destroy();
  return { messageId, ...body.digests() };
}

/** Chunks of one MiB of text: numbered, so that none can be lost, doubled or moved unseen. */
class LargeBody {
  readonly #sizeMiB: number;
  readonly #sent = createHash('sha256');
  readonly #stored = createHash('sha256');
  #length = 0;

  constructor(sizeMiB: number) {
    this.#sizeMiB = sizeMiB;
  }

  *[Symbol.iterator](): Generator<Buffer, void> {
    const line = `${'large body, line of seventy-eight octets; 0123456789 abcdefghijklmnopqrst '.padEnd(76, 'z')}\r\n`;
    const lines = line.repeat(Math.floor(MiB / line.length));
    const stored = Buffer.from(lines.replaceAll('\r\n', '\n'));
    for (let n = 0; n < this.#sizeMiB; n += 1) {
      const number = `chunk ${String(n).padStart(8, '0')}`;
      // A buffer of its own: the socket may still hold the last one.
      const chunk = Buffer.from(`${number}\r\n${lines}`);
      this.#sent.update(chunk);
      this.#stored.update(`${number}\n`).update(stored);
      this.#length += chunk.length;
      yield chunk;
    }
  }

  digests(): Omit<Sent, 'messageId'> {
    return {
      length: this.#length,
      sha256: this.#sent.digest('hex'),
      storedSha256: this.#stored.digest('hex'),
    };
  }
}

/** SHA-256 of the body of a stored message. */
async function storedDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  let inBody = false;
  for await (const chunk of createReadStream(path, { highWaterMark: MiB }) as AsyncIterable<Buffer>) {
    const at = inBody ? 0 : chunk.indexOf('\n\n') + 2;
    inBody = true;
    hash.update(chunk.subarray(at));
  }
  return hash.digest('hex');
}

/** Answers the last line of the next reply. */
function replyReader(socket: Socket): () => Promise<string> {
  let input = '';
  let wake = () => {};
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    input += chunk.toString('latin1');
    wake();
  });
  socket.on('close', () => {
    ended = true;
    wake();
  });
  socket.on('error', () => wake());
  return async () => {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/.exec(input);
      if (match) {
        input = input.slice(match[0].length);
        return match[1]!;
      }
      if (ended) return 'the server has closed';
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
