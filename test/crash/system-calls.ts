/** Reads what strace saw of a program's file operations: calls with their arguments, when each began and when it ended. */
import { readFileSync } from 'node:fs';

/** Everything by which a program changes files, or asks for changes to be on disk. */
export const tracedCalls = [
  'open,openat,creat,close,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate',
  'fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat',
].join();

/** By which threads and processes are made: a descriptor's number means something within one process only. */
const threadCalls = 'clone,clone3,fork,vfork';

export const straceOptions = [
  '-f',
  // Calls that are not asked for cost nothing then.
  '--seccomp-bpf',
  '-qq',
  '-xx',
  '-s',
  '4000000',
  '-e',
  `trace=${tracedCalls},${threadCalls}`,
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

/**
 * Calls that succeeded, in the order in which they ended.
 * @param pid where more than one process was traced: the one whose calls are wanted
 */
export function readSystemCalls(path: string, pid?: number): SystemCall[] {
  const begun = new Map<string, { text: string; start: number }>();
  const calls: SystemCall[] = [];
  const lines = readFileSync(path, 'latin1').split('\n');
  const threads = pid === undefined ? undefined : threadsOf(lines, pid);
  for (const [index, line] of lines.entries()) {
    const match = /^(\d+)\s+(.*)$/s.exec(line);
    if (!match) continue;
    const [, thread, rest] = match as unknown as [string, string, string];
    if (threads && !threads.has(thread)) continue;
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

/** Threads of a process, by their numbers: its first one, and all that these made as threads. */
function threadsOf(lines: readonly string[], pid: number): Set<string> {
  const makers = new Map<string, string>();
  const making = new Set<string>();
  for (const line of lines) {
    const match = /^(\d+)\s+(?:clone3?\(|<\.\.\. clone3? resumed>)(.*)$/.exec(line);
    if (!match) continue;
    const [, maker, rest] = match as unknown as [string, string, string];
    const isThread = making.delete(maker) || rest.includes('CLONE_THREAD');
    const made = /= (\d+)$/.exec(rest)?.[1];
    if (isThread && made === undefined) making.add(maker);
    if (isThread && made !== undefined) makers.set(made, maker);
  }
  const isOurs = (thread: string | undefined): boolean =>
    thread !== undefined && (thread === String(pid) || isOurs(makers.get(thread)));
  return new Set([String(pid), ...[...makers.keys()].filter(isOurs)]);
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
  if (!match || threadCalls.split(',').includes(match[1]!)) return undefined;
  const args = match[2]!.split(/,\s*(?![^[{]*[\]}])/).map((arg) => arg.trim());
  return { name: match[1]!, start, end, args, strings, result: Number(match[3]) };
}
