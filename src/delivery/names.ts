/** Unique names for Maildir files: no two deliveries of any process, at any time, on any host give the same. https://cr.yp.to/proto/maildir.html */
import { randomBytes } from 'node:crypto';

// The random part stands for the process: in a container every start has the same pid, and a clock may be set back.
const processPart = `P${process.pid}R${randomBytes(8).toString('hex')}`;
let counter = 0;

/**
 * The base of a file name, `<seconds>.M<microseconds>P<pid>R<random>Q<counter>.<host>`: unique for ever.
 * @param now epoch milliseconds
 */
export function uniqueName(now: number, hostname: string): string {
  const seconds = Math.floor(now / 1000);
  const microseconds = Math.floor((now - seconds * 1000) * 1000);
  counter += 1;
  return `${seconds}.M${microseconds}${processPart}Q${counter}.${escapeHost(hostname)}`;
}

/** The specification replaces `/` by `\057` and `:` by `\072`; a comma would begin our own size fields. */
function escapeHost(hostname: string): string {
  if (/^[A-Za-z0-9.-]+$/.test(hostname)) return hostname;
  const escaped = hostname.replace(
    /[/:,\0-\x20]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return escaped === '' ? 'localhost' : escaped;
}
