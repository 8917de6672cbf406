/** Debian's procmail and our engine on the same rcfile and mail, each in a fresh folder: what each leaves there. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callingAccount } from '../../src/cli/deliver/account.ts';
import { readProcmailArguments } from '../../src/cli/deliver/procmail/arguments.ts';
import { deliverByRcfile } from '../../src/cli/deliver/procmail/deliver.ts';
import { collect } from '../kit/command.ts';

/** What a run left: its exit code, and every file by its name with what is in it. */
export interface Left {
  readonly exitCode: number | null;
  readonly files: Readonly<Record<string, string>>;
}

/** Both runs; equal where ours does what procmail does. */
export interface Both {
  readonly procmail: Left;
  readonly ours: Left;
}

/** procmail does not wait for programs without `w`: they may still be writing when it has ended. */
const settlings = 20;

/**
 * Runs of one rcfile may go on beside those of another: procmail sleeps a second for every mbox that it fills.
 *
 * @param rcfile with `@box@` for the folder it runs in
 * @param mail an octet a character
 */
export async function runBoth(procmail: string, rcfile: string, mail: string): Promise<Both> {
  const root = mkdtempSync(join(tmpdir(), 'mailfilter-procmail-'));
  try {
    const input = Buffer.from(mail, 'latin1');
    const [own, theirs] = [new Box(root, 'a', rcfile), new Box(root, 'b', rcfile)];
    const exitCode = await inTurn(() => ownRun(own.line, input, own.path));
    const ours = { exitCode, files: own.files() };
    const result = await collect(spawn(procmail, [...theirs.line], { cwd: theirs.path }), input);
    let files = theirs.files();
    for (let turn = 0; turn < settlings && !sameFiles(files, ours.files); turn++) {
      await sleep(25);
      files = theirs.files();
    }
    return { procmail: { exitCode: result.code, files }, ours };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

let last: Promise<unknown> = Promise.resolve();

/** Ours has the folder and the umask of this process to itself. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const mine = last.then(work);
  last = mine.catch(() => undefined);
  return mine;
}

/** Where one of the two runs: the names of both have the same length, for the log counts columns. */
class Box {
  readonly path: string;
  /** procmail's command line. */
  readonly line: readonly string[];

  constructor(root: string, name: string, rcfile: string) {
    this.path = join(root, name);
    for (const name of ['dir', 'Mail']) mkdirSync(join(this.path, name), { recursive: true });
    const [rc, sendmail] = [join(root, `${name}.rc`), join(root, `${name}.sendmail`)];
    writeFileSync(rc, Buffer.from(rcfile.replaceAll('@box@', this.path), 'latin1'));
    writeFileSync(sendmail, `#!/bin/sh\n(echo "ARGS $*"; cat) >> ${this.path}/sent\n`);
    chmodSync(sendmail, 0o755);
    const settings = { MAILDIR: this.path, DEFAULT: `${this.path}/default`, LOGFILE: `${this.path}/log` };
    const variables = { ...settings, SENDMAIL: sendmail, LOCKSLEEP: '1' };
    this.line = ['-m', ...Object.entries(variables).map((pair) => pair.join('=')), rc, 'one', 'two'];
  }

  files(): Record<string, string> {
    const found = filesIn(this.path);
    const entries = Object.entries(found).map(([name, text]) => [name, this.#nameless(text)]);
    return Object.fromEntries(entries);
  }

  #nameless(text: string): string {
    const root = join(this.path, '..');
    return text
      .replaceAll(this.path, '@box@')
      .replaceAll(`${root}/${this.path.slice(root.length + 1)}.sendmail`, '@sendmail@');
  }
}

/** In this process, which a test file has to itself: folder and umask are set back. */
async function ownRun(line: readonly string[], input: Uint8Array, folder: string): Promise<number> {
  const umask = process.umask(0o077);
  process.chdir(folder);
  try {
    return (await deliverByRcfile(input, callingAccount(), readProcmailArguments(line))).exitCode;
  } finally {
    process.umask(umask);
    process.chdir('/');
  }
}

function sameFiles(one: Left['files'], other: Left['files']): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Names that hold time, process or inode are made alike; files of equal names stand together. */
function filesIn(box: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(box, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = alike(relative(box, path));
    const mode = (statSync(path).mode & 0o777).toString(8);
    const text = entry.isDirectory() ? '' : readFileSync(path, 'latin1');
    const own = `${mode} ${name === 'log' ? abstractsOf(text) : text}`;
    files[name] = files[name] === undefined ? own : [files[name], own].sort().join('\n');
  }
  return Object.fromEntries(Object.entries(files).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function alike(name: string): string {
  return name.replace(/(new|cur)\/\d+\.\S+?(?=\s|$)/g, '$1/X').replace(/(^|[\s/])msg\.[^\s/]+/g, '$1msg.X');
}

/** What procmail says in other words is left out, and so is its order: copies of a mail run beside one another. */
function abstractsOf(log: string): string {
  const lines = log.split('\n').filter((line) => !/^(?:procmail:|\/bin\/(?:ba)?sh:)/.test(line));
  const folders = lines.map((line) => alike(line).replace(/(X)\s+(?=\d+$)/, '$1 '));
  return folders.sort().join('\n');
}
