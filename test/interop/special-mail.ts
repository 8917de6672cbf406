/** Mail that doors are tried with beside the usual: 30 MB, an address beyond US-ASCII, a filter that dies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { createTransport } from 'nodemailer';
import type { TestServer } from '../kit/server.ts';
import { until } from '../kit/server.ts';

export const largeBody = Buffer.alloc(
  30 << 20,
  'a line of sixty-four octets, its end included, again and again\r\n',
);

async function sendRaw(port: number, from: string, to: string, raw: Buffer): Promise<void> {
  const transport = createTransport({ host: '127.0.0.1', port, ignoreTLS: true });
  try {
    await transport.sendMail({ envelope: { from, to: [to] }, raw });
  } finally {
    transport.close();
  }
}

/** as-told adds `X-Size: 31457280`. */
export function sendLarge(port: number, to: string): Promise<void> {
  return sendRaw(
    port,
    'ann@example.org',
    to,
    Buffer.concat([Buffer.from('Subject: large\r\nX-Do: size\r\n\r\n'), largeBody]),
  );
}

export function assertLarge(text: string): void {
  const unix = text.replaceAll('\r\n', '\n');
  assert.match(unix.slice(0, 4000), new RegExp(`^X-Size: ${largeBody.length}$`, 'm'));
  const body = unix.slice(unix.indexOf('\n\n') + 2);
  assert.equal(body.trimEnd() === largeBody.toString('latin1').replaceAll('\r\n', '\n').trimEnd(), true);
}

/** With SMTPUTF8. as-told adds `X-Envelope: jörg@example.org true grün`. RFC 6531. */
export function sendUtf8(port: number, to: string): Promise<void> {
  const text = 'From: <jörg@example.org>\r\nSubject: grün\r\nX-Do: envelope\r\n\r\nä\r\n';
  return sendRaw(port, 'jörg@example.org', to, Buffer.from(text));
}

/** @param text its octets as latin1 */
export function assertUtf8(text: string): void {
  const utf8 = Buffer.from(text, 'latin1').toString('utf8');
  assert.match(utf8, /^X-Envelope: jörg@example\.org true grün\r?$/m);
  assert.match(utf8, /^From: <jörg@example\.org>\r?$/m);
}

/** Until as-told hangs in a message. */
export function untilItHangs(server: TestServer): Promise<void> {
  return until('the plugin to hang', () => server.output().includes('as told: hang'));
}

/** SIGKILL to every Node process that was started with that text in its command line; resolves once there was one. */
export async function killStartedWith(text: string): Promise<void> {
  await until(`a process with ${text}`, () => {
    const found = readdirSync('/proc').filter((name) => isStartedWith(name, text));
    for (const pid of found) process.kill(Number(pid), 'SIGKILL');
    return found.length > 0;
  });
}

function isStartedWith(pid: string, text: string): boolean {
  if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
  try {
    // Who starts it may have the same words in its own command line.
    if (readlinkSync(`/proc/${pid}/exe`) !== realpathSync(process.execPath)) return false;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
  } catch {
    // It ended meanwhile.
    return false;
  }
}
