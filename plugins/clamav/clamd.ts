/** clamd's INSTREAM: the message goes over the connection in chunks, the answer is one line. clamd(8). */
import { BrokenOffError, type Conversation, converse, type DaemonAddress } from 'mailfilter/plugin';

export type Scan =
  | { readonly outcome: 'clean' }
  | { readonly outcome: 'infected'; readonly virus: string }
  /** Longer than clamd's StreamMaxLength: it has seen a part, which says nothing. */
  | { readonly outcome: 'too-large' };

/** clamd answers in one line; this is far above the longest name of a signature. */
const answerBytesMax = 4096;

/**
 * @param message the octets to scan; read once
 * @throws Error when clamd cannot be asked, fails, or says what it should not: then nothing is known of the message
 */
export async function scan(
  address: DaemonAddress,
  message: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Scan> {
  const { answer, saidAll } = await converseTwice(address, () => inChunks(message()), signal);
  const text = answer.toString('latin1');
  // The z of zINSTREAM: NUL ends an answer, so that one cut short is no answer.
  const line = /^([^\0]*)\0$/.exec(text)?.[1];
  if (line === undefined) throw new Error(`clamd's answer is cut short: ${JSON.stringify(text)}`);
  if (line === 'INSTREAM size limit exceeded. ERROR') return { outcome: 'too-large' };
  const virus = /^stream: (.+) FOUND$/.exec(line)?.[1];
  if (virus !== undefined) return { outcome: 'infected', virus };
  if (line !== 'stream: OK') throw new Error(`clamd says ${JSON.stringify(line)}`);
  if (!saidAll) throw new Error('clamd said OK before it had seen the whole message');
  return { outcome: 'clean' };
}

/** Past StreamMaxLength clamd says so and closes, while it is still spoken to. */
async function converseTwice(
  address: DaemonAddress,
  say: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Conversation> {
  const options = { signal, answerBytesMax };
  try {
    return await converse(address, say, options);
  } catch (error) {
    if (!(error instanceof BrokenOffError)) throw error;
    const { cautiousAfterBytes } = error;
    return converse(address, say, { ...options, cautiousAfterBytes });
  }
}

const end = Buffer.alloc(4);

async function* inChunks(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from('zINSTREAM\0');
  for await (const chunk of octets) {
    if (chunk.length === 0) continue;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(chunk.length);
    yield length;
    yield chunk;
  }
  yield end;
}
