/** Message octets as DATA carries them: dots stuffed, ended by CRLF.CRLF. RFC 5321 section 4.5.2. */

const dot = 0x2e;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * The chunks with every dot at the beginning of a line doubled, and the end mark after them. Lines end with CRLF in the
 * message; a bare LF does not begin a line here, as it must not for a server.
 */
export async function* dotStuff(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  // The last two octets sent; the message begins as if a line had just ended.
  let beforeLast = carriageReturn;
  let last = lineFeed;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    let from = 0;
    for (let at = chunk.indexOf(dot); at !== -1; at = chunk.indexOf(dot, at + 1)) {
      const previous = at > 0 ? chunk[at - 1] : last;
      const oneBefore = at > 1 ? chunk[at - 2] : at === 1 ? last : beforeLast;
      if (previous !== lineFeed || oneBefore !== carriageReturn) continue;
      yield chunk.subarray(from, at + 1);
      from = at;
    }
    yield chunk.subarray(from);
    beforeLast = chunk.length > 1 ? chunk[chunk.length - 2]! : last;
    last = chunk[chunk.length - 1]!;
  }
  const endsLine = beforeLast === carriageReturn && last === lineFeed;
  yield Buffer.from(endsLine ? '.\r\n' : '\r\n.\r\n', 'latin1');
}

/** Of gathered chunks: what one write hands to the kernel. */
const gatheredBytes = 64 * 1024;

/**
 * The same octets in fewer chunks, so that a small message is one packet train and not five.
 * @param first goes before them
 */
export async function* gathered(
  chunks: AsyncIterable<Uint8Array>,
  first?: Uint8Array,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = first ? [first] : [];
  let octets = first?.length ?? 0;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    held.push(chunk);
    octets += chunk.length;
    if (octets < gatheredBytes) continue;
    yield held.length === 1 ? chunk : Buffer.concat(held);
    held = [];
    octets = 0;
  }
  if (octets > 0) yield Buffer.concat(held);
}
