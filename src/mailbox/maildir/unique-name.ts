/** New base names, unique on this host for ever. https://cr.yp.to/proto/maildir.html */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

const host = hostname().replace(/[^0-9A-Za-z.-]/g, '_');
/** Another for each process and each start of one, whatever its process id. */
const origin = `P${process.pid}R${randomBytes(6).toString('hex')}`;
let count = 0;

/** @param now epoch milliseconds */
export function uniqueName(now: number): string {
  count += 1;
  const micros = String(Math.floor(now * 1000) % 1_000_000).padStart(6, '0');
  // Padded, so that names of one microsecond keep their order.
  return `${Math.floor(now / 1000)}.M${micros}Q${String(count).padStart(8, '0')}${origin}.${host}`;
}
