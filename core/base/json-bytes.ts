/** JSON of plain values that may hold octets: a Uint8Array becomes `{ "$bytes": "<base64>" }` and comes back as one. */

/** Costs little more than JSON.stringify where there are no octets in it. */
export function stringifyWithBytes(value: unknown): string {
  return holdsBytes(value) ? JSON.stringify(value, writeBytes) : JSON.stringify(value);
}

/** @throws SyntaxError */
export function parseWithBytes(text: string): unknown {
  return text.includes('{"$bytes":') ? JSON.parse(text, readBytes) : JSON.parse(text);
}

function holdsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Uint8Array) return true;
  for (const key in value) {
    const inner = (value as Record<string, unknown>)[key];
    if (typeof inner === 'object' && inner !== null && holdsBytes(inner)) return true;
  }
  return false;
}

/** Buffer has a toJSON of its own, so the value is taken from its holder. */
function writeBytes(this: unknown, key: string, value: unknown): unknown {
  const held = (this as Record<string, unknown>)[key];
  if (!(held instanceof Uint8Array)) return value;
  return { $bytes: Buffer.from(held.buffer, held.byteOffset, held.byteLength).toString('base64') };
}

function readBytes(_key: string, value: unknown): unknown {
  const base64 = (value as { $bytes?: unknown } | null)?.$bytes;
  if (typeof base64 !== 'string' || Object.keys(value as object).length !== 1) return value;
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
