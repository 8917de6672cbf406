/** Message sources made from text, and the real messages of the third-party suites. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MessageSource } from '../../core/mail/source.ts';

export type MemorySource = Extract<MessageSource, { kind: 'memory' }>;

/** A string stands for its octets: one character, one octet. An odd offset shows whether it is heeded. */
export function memorySource(message: string | Uint8Array): MemorySource {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
  const offset = 3;
  const buffer = new SharedArrayBuffer(bytes.length + offset + 5);
  new Uint8Array(buffer).fill(0xee);
  new Uint8Array(buffer, offset).set(bytes);
  return { kind: 'memory', buffer, offset, length: bytes.length };
}

/** The same in a file that goes when the test ends. */
export function fileSource(
  t: TestContext,
  message: string | Uint8Array,
): Extract<MessageSource, { kind: 'file' }> {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-message-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'message');
  writeFileSync(path, bytes);
  return { kind: 'file', path, length: bytes.length };
}

export async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** Paths of the messages below a folder of the suites: reference results beside them left out. */
export function messageFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(?:ref|json)$|^COPYING|^README/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** A message file with CRLF line ends, as a door would hand it in. */
export function readMessage(path: string): Buffer {
  return Buffer.from(readFileSync(path, 'latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}
