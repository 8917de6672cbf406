/** Questions on the terminal, and single lines from a pipe. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { CommandError, exitCodes } from './exit-codes.ts';

/** A line longer than this is no password. */
const lineBytesMax = 4096;

/** The first line of a stream without its line end. */
export async function readLine(stream: Readable): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    text += chunk;
    if (text.includes('\n') || text.length > lineBytesMax) break;
  }
  if (text.length > lineBytesMax) throw new CommandError(exitCodes.dataError, 'the line is too long');
  return (text.split('\n', 1)[0] ?? '').replace(/\r$/, '');
}

/** Asks on the terminal and shows nothing of what is typed. Ctrl-C and Ctrl-D give up with exit code 1. */
export async function readHidden(question: string): Promise<string> {
  const { stdin } = process;
  process.stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  try {
    let typed = '';
    for (;;) {
      const [keys] = (await once(stdin, 'data')) as [string];
      for (const key of keys) {
        if (key === '\r' || key === '\n') return typed;
        if (key === '\x03' || key === '\x04') throw new CommandError(exitCodes.negative, 'given up');
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (typed.length < lineBytesMax && key >= ' ') typed += key;
      }
    }
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write('\n');
  }
}
