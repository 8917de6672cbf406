/** Reads what strace saw of a program's file operations: calls with their arguments, when each began and when it ended. */
import { readFileSync } from 'node:fs';

/** Everything by which a program changes files, or asks for changes to be on disk. */
export const tracedCalls = [
  'open,openat,creat,close,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate',
  'fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat',
].join();

export const straceOptions = [
  '-f',
  '-qq',
  '-xx',
  '-s',
  '4000000',
  '-e',
  `trace=${tracedCalls}`,
  '-e',
  'signal=none',
];

export interface SystemCall {
  readonly name: string;
  /** Number of the line where it began, and of the line where it ended. */
  readonly start: number;
  readonly end: number;
  /** Arguments without the octets of strings, which are replaced by `$`. */
  readonly args: readonly string[];
  readonly strings: readonly Buffer[];
  readonly result: number;
}

/** Calls that succeeded, in the order in which they ended. */
export function readSystemCalls(path: string): SystemCall[] {
  const begun = new Map<string, { text: string; start: number }>();
  const calls: SystemCall[] = [];
  for (const [index, line] of readFileSync(path, 'latin1').split('\n').entries()) {
    const match = /^(\d+)\s+(.*)$/s.exec(line);
    if (!match) continue;
    const [, thread, rest] = match as unknown as [string, string, string];
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, { text: rest.slice(0, -'<unfinished ...>'.length), start: index });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest);
    const first = resumed && begun.get(thread);
    if (resumed && !first) continue;
    begun.delete(thread);
    const call = parseCall(
      first ? first.text + rest.slice(resumed[0].length) : rest,
      first?.start ?? index,
      index,
    );
    if (call && call.result >= 0) calls.push(call);
  }
  // Cut off while they ran: they may have happened, and nobody was told.
  for (const { text, start } of begun.values()) {
    const call = parseCall(`${text}) = 0`, start, Number.MAX_SAFE_INTEGER);
    if (call) calls.push(call);
  }
  return calls;
}

function parseCall(text: string, start: number, end: number): SystemCall | undefined {
  const strings: Buffer[] = [];
  const plain = text.replace(
    /"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g,
    (_, octets: string, cut: string | undefined) => {
      if (cut) throw new Error('strace cut a string off');
      strings.push(Buffer.from(octets.replaceAll('\\x', ''), 'hex'));
      return '$';
    },
  );
  const match = /^(\w+)\((.*)\)\s+= (-?\d+)/s.exec(plain);
  if (!match) return undefined;
  const args = match[2]!.split(/,\s*(?![^[{]*[\]}])/).map((arg) => arg.trim());
  return { name: match[1]!, start, end, args, strings, result: Number(match[3]) };
}
