/** Lines of a process that may be killed in the middle of one. */
import type { Readable } from 'node:stream';

/** Without their ends; what comes after the last line end is dropped. */
export async function* completeLines(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}
