/**
 * A disk with a power switch: from the file operations of a program it builds what may be found after a power cut. Only
 * what was synced is sure to be there; everything else may or may not be, each operation for itself.
 *
 * Stricter than any real file system: fsync of a file does not save its name, a rename is a new name and the loss of
 * the old one, which may be saved apart.
 */
import { dirname, join } from 'node:path';
import type { SystemCall } from './system-calls.ts';

type Operation = { readonly start: number; readonly end: number; savedAt: number } & (
  | { readonly kind: 'data'; readonly inode: number; readonly at: number; readonly octets: Buffer }
  | { readonly kind: 'size'; readonly inode: number; readonly size: number }
  | { readonly kind: 'name'; readonly path: string; readonly inode: number }
  | { readonly kind: 'unname'; readonly path: string; readonly inode: number; readonly needs?: Operation }
);
export type DataOperation = Operation & { kind: 'data' };

interface Descriptor {
  readonly inode: number;
  readonly path: string;
  readonly append: boolean;
  position: number;
}

/** What is found after the cut: files by path, directories as undefined. */
export type World = ReadonlyMap<string, Buffer | undefined>;

export class Disk {
  readonly operations: Operation[] = [];
  readonly #root: string;
  readonly #names = new Map<string, number>();
  readonly #sizes = new Map<number, number>();
  readonly #descriptors = new Map<number, Descriptor>();
  readonly #directories = new Set<number>();
  #inodes = 0;

  /** @param root absolute path of a directory that exists and is saved; what is outside is not looked at */
  constructor(root: string, calls: readonly SystemCall[]) {
    this.#root = root;
    this.#makeInode(root, true);
    // A descriptor is free from the start of its close on; everything else counts when it has ended.
    const order = calls.map((call) => ({ call, at: call.name === 'close' ? call.start : call.end }));
    for (const { call } of order.sort((a, b) => a.at - b.at)) this.#apply(call);
  }

  /**
   * @param time line number: what began before it may have happened
   * @param survives asked for everything that is not saved by then
   */
  worldAt(time: number, survives: (operation: Operation) => boolean | number): World {
    const names = new Map<string, number>([[this.#root, 1]]);
    const data = new Map<number, { octets: Buffer; size: number }>();
    const kept = new Set<Operation>();
    for (const operation of this.operations) {
      if (operation.start >= time) continue;
      const fate = operation.savedAt <= time || survives(operation);
      if (fate === false) continue;
      if (operation.kind === 'unname') {
        // The old name goes only where the new one stays.
        if (operation.needs && !kept.has(operation.needs)) continue;
        if (names.get(operation.path) === operation.inode) names.delete(operation.path);
      } else if (operation.kind === 'name') names.set(operation.path, operation.inode);
      else change(data, operation, typeof fate === 'number' ? fate : undefined);
      kept.add(operation);
    }
    const world = new Map<string, Buffer | undefined>();
    for (const path of [...names.keys()].sort()) {
      const parent = dirname(path);
      if (path === this.#root || (parent !== this.#root && !world.has(parent))) continue;
      const inode = names.get(path)!;
      const content = data.get(inode);
      const file = content ? content.octets.subarray(0, content.size) : Buffer.alloc(0);
      world.set(path, this.#directories.has(inode) ? undefined : file);
    }
    return world;
  }

  #apply(call: SystemCall): void {
    const { name, args, strings, result } = call;
    const fd = Number(args[0]);
    switch (name) {
      case 'open':
      case 'openat':
      case 'creat':
        this.#open(call);
        return;
      case 'close':
        this.#descriptors.delete(fd);
        return;
      case 'write':
      case 'writev':
        this.#write(call, fd, undefined);
        return;
      case 'pwrite64':
      case 'pwritev':
        // The list of buffers before it is of any length.
        this.#write(call, fd, Number(args.at(-1)));
        return;
      case 'pwritev2':
        this.#write(call, fd, Number(args.at(-2)));
        return;
      case 'ftruncate': {
        const descriptor = this.#descriptors.get(fd);
        if (descriptor) this.#resize(call, descriptor.inode, Number(args[1]));
        return;
      }
      case 'fsync':
      case 'fdatasync':
        this.#sync(call, this.#descriptors.get(fd));
        return;
      case 'syncfs':
        this.#save(call, () => true);
        return;
      case 'mkdir':
      case 'mkdirat': {
        const path = this.#path(call, 0);
        if (path) this.#name(call, path, this.#makeInode(path, true));
        return;
      }
      case 'link':
      case 'linkat': {
        const inode = this.#names.get(this.#path(call, 0) ?? '');
        const to = this.#path(call, 1);
        if (inode !== undefined && to) this.#name(call, to, inode);
        return;
      }
      case 'rename':
      case 'renameat':
      case 'renameat2':
        this.#rename(call);
        return;
      case 'unlink':
      case 'unlinkat':
      case 'rmdir': {
        const path = this.#path(call, 0);
        if (path) this.#unname(call, path);
        return;
      }
      default:
        throw new Error(`${name} of ${strings.length} strings, result ${result}, is not known to the disk`);
    }
  }

  /** The nth path of a call, absolute; undefined outside of the root. */
  #path({ name, args, strings }: SystemCall, nth: number): string | undefined {
    const text = strings[nth]!.toString('latin1').replace(/\/$/, '');
    const at =
      name.includes('at') && name !== 'creat'
        ? args[args.indexOf('$', nth === 0 ? 0 : args.indexOf('$') + 1) - 1]
        : 'AT_FDCWD';
    const base = at === 'AT_FDCWD' ? process.cwd() : this.#descriptors.get(Number(at))?.path;
    if (base === undefined && !text.startsWith('/')) return undefined;
    const path = text.startsWith('/') ? text : join(base!, text);
    return path === this.#root || path.startsWith(`${this.#root}/`) ? path : undefined;
  }

  #open(call: SystemCall): void {
    this.#descriptors.delete(call.result);
    const path = this.#path(call, 0);
    if (path === undefined || call.end === Number.MAX_SAFE_INTEGER) return;
    const flags = call.args.find((arg) => arg.startsWith('O_')) ?? '';
    let inode = this.#names.get(path);
    if (inode === undefined) {
      inode = this.#makeInode(path, false);
      this.#name(call, path, inode);
    } else if (flags.includes('O_TRUNC')) this.#resize(call, inode, 0);
    this.#descriptors.set(call.result, { inode, path, append: flags.includes('O_APPEND'), position: 0 });
  }

  #write(call: SystemCall, fd: number, position: number | undefined): void {
    const descriptor = this.#descriptors.get(fd);
    if (!descriptor) return;
    const size = this.#sizes.get(descriptor.inode) ?? 0;
    const at = position ?? (descriptor.append ? size : descriptor.position);
    const all = Buffer.concat(call.strings);
    const octets = call.end === Number.MAX_SAFE_INTEGER ? all : all.subarray(0, call.result);
    if (position === undefined) descriptor.position = at + octets.length;
    this.#sizes.set(descriptor.inode, Math.max(size, at + octets.length));
    this.#add({ ...span(call), kind: 'data', inode: descriptor.inode, at, octets });
  }

  #resize(call: SystemCall, inode: number, size: number): void {
    this.#sizes.set(inode, size);
    this.#add({ ...span(call), kind: 'size', inode, size });
  }

  #rename(call: SystemCall): void {
    const from = this.#path(call, 0);
    const to = this.#path(call, 1);
    const inode = this.#names.get(from ?? '');
    if (!from || !to || inode === undefined) return;
    const name = this.#name(call, to, inode);
    this.#names.delete(from);
    this.#add({ ...span(call), kind: 'unname', path: from, inode, needs: name });
  }

  #name(call: SystemCall, path: string, inode: number): Operation {
    this.#names.set(path, inode);
    return this.#add({ ...span(call), kind: 'name', path, inode });
  }

  #unname(call: SystemCall, path: string): void {
    const inode = this.#names.get(path);
    if (inode === undefined) return;
    this.#names.delete(path);
    this.#add({ ...span(call), kind: 'unname', path, inode });
  }

  #sync(call: SystemCall, descriptor: Descriptor | undefined): void {
    if (!descriptor) return;
    this.#save(call, (operation) =>
      'inode' in operation && (operation.kind === 'data' || operation.kind === 'size')
        ? operation.inode === descriptor.inode
        : dirname((operation as { path: string }).path) === descriptor.path,
    );
  }

  #save(call: SystemCall, concerns: (operation: Operation) => boolean): void {
    if (call.end === Number.MAX_SAFE_INTEGER) return;
    for (const operation of this.operations) {
      // What was still going on when the sync began is not covered by it.
      if (operation.end > call.start || operation.savedAt <= call.end) continue;
      if (concerns(operation)) operation.savedAt = call.end;
    }
  }

  #makeInode(path: string, isDirectory: boolean): number {
    this.#inodes += 1;
    this.#names.set(path, this.#inodes);
    if (isDirectory) this.#directories.add(this.#inodes);
    return this.#inodes;
  }

  #add(operation: Operation): Operation {
    this.operations.push(operation);
    return operation;
  }
}

function span({ start, end }: SystemCall): { start: number; end: number; savedAt: number } {
  return { start, end, savedAt: Number.POSITIVE_INFINITY };
}

/** @param octetsKept of a write that was cut off */
function change(
  data: Map<number, { octets: Buffer; size: number }>,
  operation: Operation & { kind: 'data' | 'size' },
  octetsKept: number | undefined,
): void {
  const file = data.get(operation.inode) ?? { octets: Buffer.alloc(0), size: 0 };
  if (operation.kind === 'size') {
    if (operation.size < file.size) file.octets.fill(0, operation.size);
    file.size = operation.size;
  } else {
    const octets = operation.octets.subarray(0, octetsKept);
    const end = operation.at + octets.length;
    if (end > file.octets.length) {
      const larger = Buffer.alloc(Math.max(end, file.octets.length * 2));
      file.octets.copy(larger);
      file.octets = larger;
    }
    octets.copy(file.octets, operation.at);
    file.size = Math.max(file.size, end);
  }
  if (file.size > file.octets.length) {
    const larger = Buffer.alloc(file.size);
    file.octets.copy(larger);
    file.octets = larger;
  }
  data.set(operation.inode, file);
}
